//! Workers that were left and are not gone yet.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use workly_engine::worker::{Worker, none_there};

use crate::manager::answers::life::WorkerId;

/// How long the end of a process is waited for before what follows from it. One that the system holds is never gone.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Workers that were left and are not gone yet.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    tasks: JoinSet<Gone>,
    /// How many of them are on the GPU.
    pub(crate) on_gpu: usize,
}

/// A worker that was left is gone, or has had its time to go.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) worker: WorkerId,
    pub(crate) was_on_gpu: bool,
    /// From the decision to its end; none where the system still holds it.
    pub(crate) after: Option<Duration>,
    pub(crate) process_id: u32,
}

impl Leaving {
    /// Ends a worker; leaving it was `decided` then.
    pub(crate) fn end(&mut self, worker: Worker, was_on_gpu: bool, decided: Instant) {
        worker.kill();
        self.on_gpu += usize::from(was_on_gpu);
        self.tasks.spawn(async move {
            let ended = tokio::time::timeout(GONE_WITHIN, worker.gone()).await;
            let after = ended.is_ok().then(|| decided.elapsed());
            Gone { worker: worker.serial(), was_on_gpu, after, process_id: worker.process_id() }
        });
    }

    /// Waits for the next one to be gone; for ever where there is none.
    pub(crate) async fn next(&mut self) -> Gone {
        match self.tasks.join_next().await {
            Some(Ok(gone)) => {
                self.on_gpu -= usize::from(gone.was_on_gpu);
                gone
            }
            // The tasks only wait; they end with the runtime.
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    /// Waits until all are gone, or have had their time; those too that were dropped while they were coming up.
    pub(crate) async fn all_gone(&mut self) {
        while self.tasks.join_next().await.is_some() {}
        let _ = tokio::time::timeout(GONE_WITHIN, none_there()).await;
    }
}
