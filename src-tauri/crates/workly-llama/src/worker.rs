//! The life of a worker process.

use std::fs::File;

use llama_cpp_2::llama_backend::LlamaBackend;
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::lifeline::die_with_parent;
use workly_engine::protocol::{Command, LoadRequest, OWN_ID, PROTOCOL_VERSION, Reply, Request};

use crate::backends::{self, BackendSet};
use crate::generate::{Conversation, Job};
use crate::inbox::Inbox;
use crate::load::Loading;
use crate::outbox::Outbox;
use crate::{fault, footprint, inspect, llama_log};

/// Niceness of a worker that gives way, of at most 19.
const LOW_PRIORITY: i32 = 10;

/// How a worker was started.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// Which backends to load.
    pub backends: BackendSet,
    /// Process id of the supervisor.
    pub parent: u32,
    /// Leave the processor to others where they want it.
    pub low_priority: bool,
}

/// Runs a worker on this process's standard input and output, until told to stop or the parent is gone.
///
/// # Errors
///
/// When standard input and output cannot be taken over, or no backend can be loaded. The supervisor reads it from
/// standard error.
pub fn run_worker(options: WorkerOptions) -> Result<std::convert::Infallible, Problem> {
    if !die_with_parent(options.parent) {
        leave();
    }
    die_of_faults();
    fault::arm()?;
    if options.low_priority {
        give_way();
    }
    llama_log::capture();
    let could_not_start = |error: std::io::Error| {
        Problem::new(ProblemCode::WorkerMissing, format!("The worker could not take over its pipes: {error}"))
    };
    let outbox = take_standard_output().and_then(Outbox::new).map_err(could_not_start)?;
    let backend = backends::load(options.backends)?;
    let inbox = Inbox::new(std::io::stdin(), outbox.clone()).map_err(could_not_start)?;
    outbox.say(OWN_ID, Reply::Hello { protocol: PROTOCOL_VERSION, version: env!("CARGO_PKG_VERSION").to_owned() });
    let worker = Worker { backend, inbox, outbox };
    let mut next = Next::Idle;
    loop {
        next = match next {
            Next::Idle => worker.serve(None),
            Next::Load(id, request) => worker.serve_with_model(id, &request),
            Next::Unloaded(id) => {
                worker.outbox.say(id, Reply::Unloaded);
                Next::Idle
            }
        };
    }
}

struct Worker {
    backend: LlamaBackend,
    inbox: Inbox,
    outbox: Outbox,
}

/// What follows once the present model, if any, is gone.
enum Next {
    Idle,
    /// Load this for the request of this id.
    Load(u64, LoadRequest),
    /// Confirm to the request of this id that the model is gone.
    Unloaded(u64),
}

impl Worker {
    /// Loads a model and serves with it. The context borrows the model, so both live on this stack.
    fn serve_with_model(&self, id: u64, request: &LoadRequest) -> Next {
        let at_work = self.outbox.work();
        let loading =
            Loading { backend: &self.backend, outbox: &self.outbox, interruptions: self.inbox.interruptions(), id };
        let refuse = |problem| {
            self.outbox.say(id, Reply::Failed(problem));
            Next::Idle
        };
        let model = match loading.model(request) {
            Ok(model) => model,
            Err(problem) => return refuse(problem),
        };
        let mut conversation = match loading.conversation(&model, request) {
            Ok(conversation) => conversation,
            Err(problem) => return refuse(problem),
        };
        drop(at_work);
        self.outbox.say(id, Reply::Loaded(conversation.info().clone()));
        self.serve(Some(&mut conversation))
    }

    fn job(&self, id: u64) -> Job<'_> {
        Job { id, outbox: &self.outbox, interruptions: self.inbox.interruptions() }
    }

    /// Obeys until the model must go.
    fn serve(&self, mut conversation: Option<&mut Conversation<'_>>) -> Next {
        loop {
            let Request { id, command } = self.inbox.next();
            let at_work = self.outbox.work();
            let reply = match command {
                Command::Load(request) => return Next::Load(id, request),
                Command::Unload => return Next::Unloaded(id),
                Command::Footprint(request) => footprint::measure(&self.backend, &self.outbox, &request)
                    .map_or_else(Reply::Failed, Reply::Footprints),
                Command::Inspect { path } => {
                    inspect::read(&self.backend, &path).map_or_else(Reply::Failed, Reply::Inspected)
                }
                Command::Generate(request) => {
                    with(conversation.as_deref_mut(), |conversation| conversation.answer(&request, &self.job(id)))
                }
                Command::Resume(request) => {
                    with(conversation.as_deref_mut(), |conversation| conversation.resume(request, &self.job(id)))
                }
                Command::Save { state } => {
                    with(conversation.as_deref_mut(), |conversation| Ok(conversation.put_down(&state)))
                }
                Command::Restore { state } => {
                    with(conversation.as_deref_mut(), |conversation| Ok(conversation.take_up(&state)))
                }
                // Heard by the inbox itself.
                Command::Cancel { .. } | Command::HandOver { .. } | Command::Devices | Command::Ping => continue,
            };
            drop(at_work);
            self.inbox.interruptions().forget(id);
            self.outbox.say(id, reply);
        }
    }
}

/// What a command on the loaded model ends with.
fn with<'model>(
    conversation: Option<&mut Conversation<'model>>,
    obey: impl FnOnce(&mut Conversation<'model>) -> Result<Reply, Problem>,
) -> Reply {
    match conversation {
        Some(conversation) => obey(conversation).unwrap_or_else(Reply::Failed),
        None => Reply::Failed(Problem::new(ProblemCode::NoModel, "No model is loaded in this worker.")),
    }
}

/// Keeps standard output for frames alone: whatever a library prints goes to standard error instead.
fn take_standard_output() -> std::io::Result<File> {
    #[cfg(unix)]
    {
        let frames = rustix::io::dup(rustix::stdio::stdout())?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        Ok(File::from(frames))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle as _;
        Ok(File::from(std::io::stdout().as_handle().try_clone_to_owned()?))
    }
}

/// Lets other programs go first: the game must not stutter because the model left the GPU. On Windows the priority stays.
fn give_way() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::nice(LOW_PRIORITY) {
        tracing::warn!(%error, "the priority stays as it is");
    }
}

/// Lets a memory fault end the process, also one that was sent from outside: Rust's own handler, which is there to
/// explain stack overflows, would let the first one pass.
fn die_of_faults() {
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "std offers no way to take its handler back")]
    // SAFETY: restores the system's default for two signals; no other thread runs yet.
    unsafe {
        libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
    }
}

/// Ends the process at once, without running destructors: GPU drivers crash when torn down under a running
/// computation, and the system takes everything back anyway.
#[expect(unsafe_code, reason = "std's exit runs exit handlers, which is what must not happen here")]
pub(crate) fn leave() -> ! {
    // SAFETY: `_exit` takes any status and does not return.
    unsafe { libc::_exit(0) }
}
