//! The life of a worker process.

use llama_cpp_2::llama_backend::LlamaBackend;
use workly_core::problem::{Problem, ProblemCode};
use workly_engine::lifeline::die_with_parent;
use workly_engine::protocol::{Command, LoadRequest, OWN_ID, PROTOCOL_VERSION, Reply, Request};

use crate::backends::{self, BackendSet};
use crate::inbox::Inbox;
use crate::job::Job;
use crate::load::Loading;
use crate::outbox::Outbox;
use crate::process::{die_of_faults, give_way, leave, leave_no_core, take_standard_output};
use crate::session::Session;
use crate::{fault, footprint, inspect, llama_log};

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
    leave_no_core();
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
}

impl Worker {
    /// Loads a model and serves with it. The context borrows the model, so both live on this stack.
    fn serve_with_model(&self, id: u64, request: &LoadRequest) -> Next {
        let at_work = self.outbox.work();
        let loading =
            Loading { backend: &self.backend, outbox: &self.outbox, interruptions: self.inbox.interruptions(), id };
        let refuse = |problem| {
            self.end(id, Reply::Failed(problem));
            Next::Idle
        };
        let model = match loading.model(request) {
            Ok(model) => model,
            Err(problem) => return refuse(problem),
        };
        let mut session = match loading.session(&model, request) {
            Ok(session) => session,
            Err(problem) => return refuse(problem),
        };
        drop(at_work);
        self.end(id, Reply::Loaded(session.info().clone()));
        self.serve(Some(&mut session))
    }

    /// Gives a request its final reply.
    fn end(&self, id: u64, reply: Reply) {
        self.inbox.interruptions().ended(id);
        self.outbox.say(id, reply);
    }

    fn job(&self, id: u64) -> Job<'_> {
        Job { id, outbox: &self.outbox, interruptions: self.inbox.interruptions() }
    }

    /// Obeys until the model must go.
    fn serve(&self, mut session: Option<&mut Session<'_>>) -> Next {
        loop {
            let Request { id, command } = self.inbox.next();
            let at_work = self.outbox.work();
            let reply = match command {
                Command::Load(request) => return Next::Load(id, request),
                Command::Footprint(request) => footprint::measure(&self.backend, &self.outbox, &request)
                    .map_or_else(Reply::Failed, Reply::Footprints),
                Command::Inspect { path } => {
                    inspect::read(&self.backend, &path).map_or_else(Reply::Failed, Reply::Inspected)
                }
                Command::Generate(request) => {
                    with(session.as_deref_mut(), |session| session.answer(&request, &self.job(id)))
                }
                Command::Resume(request) => {
                    with(session.as_deref_mut(), |session| session.resume(request, &self.job(id)))
                }
                Command::Restore { state } => with(session.as_deref_mut(), |session| Ok(session.restore(&state))),
                // Heard by the inbox itself.
                Command::Cancel { .. } | Command::HandOver { .. } | Command::Devices | Command::Ping => continue,
            };
            drop(at_work);
            self.end(id, reply);
        }
    }
}

/// What a command on the loaded model ends with.
fn with<'model>(
    session: Option<&mut Session<'model>>,
    obey: impl FnOnce(&mut Session<'model>) -> Result<Reply, Problem>,
) -> Reply {
    match session {
        Some(session) => obey(session).unwrap_or_else(Reply::Failed),
        None => Reply::Failed(Problem::new(ProblemCode::NoModel, "No model is loaded in this worker.")),
    }
}
