//! One thread that starts all workers and lives as long as the program.
//!
//! On Linux a worker asks to be ended with its parent, and the kernel takes the *thread* that spawned it for the
//! parent: a worker started from a thread of the async runtime's pool would die when that thread retires.

use std::io;
use std::sync::{LazyLock, mpsc};
use std::thread;

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Spawned = io::Result<Box<dyn ChildWrapper>>;

struct Job {
    command: CommandWrap,
    runtime: Handle,
    done: oneshot::Sender<Spawned>,
}

static JOBS: LazyLock<io::Result<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Job>();
    thread::Builder::new().name("worker-spawner".into()).spawn(move || {
        for mut job in jobs {
            let _reactor = job.runtime.enter();
            // A caller that has gone away drops the child, which ends it.
            drop(job.done.send(job.command.spawn()));
        }
    })?;
    Ok(sender)
});

/// Starts a process from the long-lived thread.
pub(crate) async fn spawn(command: CommandWrap) -> Spawned {
    let (done, spawned) = oneshot::channel();
    let jobs = JOBS.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
    jobs.send(Job { command, runtime: Handle::current(), done }).map_err(io::Error::other)?;
    spawned.await.map_err(io::Error::other)?
}
