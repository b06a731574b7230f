//! How a worker ended, told from its exit, what it was doing and its last words. Pure.

use std::process::ExitStatus;

use workly_core::problem::{Problem, ProblemCode};

/// Exit of a process: a code, or on Unix the signal that ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// Exit code, where the process ended by itself.
    pub code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(not(unix))]
        let signal = None;
        Self { code: status.code(), signal }
    }
}

/// Why the supervisor itself ended the worker, if it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Intent {
    /// It did not: the worker ended on its own.
    #[default]
    None,
    /// It was asked to stop.
    Asked,
    /// It said nothing for too long.
    Silent,
    /// It was alive but got nowhere for too long.
    NoProgress,
    /// It said something that is not the protocol.
    Protocol(String),
    /// It could not be started at all.
    NotStarted(String),
}

/// What the worker was doing last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Nothing, or something short.
    #[default]
    Idle,
    /// Reading a model.
    Loading,
    /// Writing an answer.
    Generating,
}

/// Kinds of ends that call for different reactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// It stopped because it was asked to.
    Clean,
    /// Something outside ended it.
    Killed,
    /// A fault of its own ended it.
    Aborted,
    /// It ran out of memory.
    OutOfMemory,
    /// The model file brought it down.
    BadModel,
    /// It did not speak the protocol.
    Protocol,
    /// It stopped answering.
    Unresponsive,
    /// It never ran.
    NotStarted,
}

/// The end of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerEnd {
    /// Kind of the end.
    pub kind: EndKind,
    /// How the process ended; unknown where it is not gone.
    pub exit: Exit,
    /// Whether the process is gone. One that was ended may be held by a driver or a debugger; then its memory, that of
    /// the card included, may still be taken, until [`Worker::gone`](crate::worker::Worker::gone) says otherwise.
    pub gone: bool,
    /// What happened, without a capital letter or a full stop, for the middle of a sentence.
    pub what: String,
    /// What happened and what to do.
    pub message: String,
    /// The worker's last words on standard error.
    pub stderr: String,
}

const SIGNAL_KILL: i32 = 9;
const SIGNALS_FROM_OUTSIDE: [i32; 4] = [1, 2, SIGNAL_KILL, 15];

/// Words of llama.cpp, its backends and the C++ library when memory runs out, in lower case.
const OUT_OF_MEMORY_WORDS: [&str; 9] = [
    "out of memory",
    "outofdevicememory",
    "out_of_device_memory",
    "outofhostmemory",
    "std::bad_alloc",
    "memory allocation of",
    "failed to allocate",
    "cudaerrormemoryallocation",
    "insufficient memory",
];

impl WorkerEnd {
    /// Tells how a worker ended.
    pub fn classify(exit: Exit, intent: &Intent, activity: Activity, stderr: String) -> Self {
        let kind = kind_of(exit, intent, activity, &stderr);
        let what = what_happened(kind, exit, intent, activity);
        let message = format!("{}{}.{}", what[..1].to_uppercase(), &what[1..], advice(kind, exit));
        Self { kind, exit, gone: true, what, message, stderr }
    }

    /// The same end of a process that was ended and that the system has not let go of.
    #[must_use]
    pub(crate) fn of_a_held_process(mut self) -> Self {
        self.gone = false;
        self.message.push_str(" The system still holds the process: its memory comes back once it lets go.");
        self
    }

    /// The end as a problem for the user.
    pub fn problem(&self) -> Problem {
        let code = match self.kind {
            EndKind::Clean => ProblemCode::Cancelled,
            EndKind::Killed => ProblemCode::WorkerKilled,
            EndKind::Aborted => ProblemCode::WorkerCrashed,
            EndKind::OutOfMemory => ProblemCode::OutOfMemory,
            EndKind::BadModel => ProblemCode::ModelDamaged,
            EndKind::Protocol => ProblemCode::Protocol,
            EndKind::Unresponsive => ProblemCode::WorkerUnresponsive,
            EndKind::NotStarted => ProblemCode::WorkerMissing,
        };
        Problem::new(code, self.message.clone()).with_details(last_lines(&self.stderr, 12))
    }
}

/// Whether a log tells of memory running out.
pub fn mentions_lack_of_memory(log: &str) -> bool {
    let log = log.to_lowercase();
    OUT_OF_MEMORY_WORDS.iter().any(|words| log.contains(words))
}

fn kind_of(exit: Exit, intent: &Intent, activity: Activity, stderr: &str) -> EndKind {
    match intent {
        Intent::Asked => return EndKind::Clean,
        Intent::Silent | Intent::NoProgress => return EndKind::Unresponsive,
        Intent::Protocol(_) => return EndKind::Protocol,
        Intent::NotStarted(_) => return EndKind::NotStarted,
        Intent::None => {}
    }
    if exit.signal.is_some_and(|signal| SIGNALS_FROM_OUTSIDE.contains(&signal)) {
        return EndKind::Killed;
    }
    if exit.code == Some(0) {
        return EndKind::Aborted;
    }
    if mentions_lack_of_memory(&last_lines(stderr, 40)) {
        return EndKind::OutOfMemory;
    }
    if activity == Activity::Loading && exit.signal.is_some() { EndKind::BadModel } else { EndKind::Aborted }
}

fn what_happened(kind: EndKind, exit: Exit, intent: &Intent, activity: Activity) -> String {
    let doing = match activity {
        Activity::Idle => "",
        Activity::Loading => " while it read the model",
        Activity::Generating => " while it wrote an answer",
    };
    let how = match exit {
        Exit { signal: Some(signal), .. } => format!(" ({})", signal_name(signal)),
        Exit { code: Some(code), .. } => format!(" (exit code {code})"),
        Exit { .. } => String::new(),
    };
    match (kind, intent) {
        (EndKind::Clean, _) => "the model process stopped".to_owned(),
        (EndKind::Killed, _) => format!("the model process was ended from outside{doing}{how}"),
        (EndKind::OutOfMemory, _) => format!("the model process ran out of memory{doing}"),
        (EndKind::BadModel, _) => format!("the model file brought the model process down{how}"),
        (EndKind::Unresponsive, Intent::NoProgress) => format!("the model process got nowhere{doing} and was ended"),
        (EndKind::Unresponsive, _) => format!("the model process stopped answering{doing} and was ended"),
        (EndKind::Protocol, Intent::Protocol(fault)) => {
            format!("the model process and Workly do not understand each other ({fault})")
        }
        (EndKind::NotStarted, Intent::NotStarted(fault)) => format!("the model process could not be started: {fault}"),
        (EndKind::Aborted, _) if exit.code == Some(0) => format!("the model process left{doing} without being asked"),
        (EndKind::Aborted | EndKind::Protocol | EndKind::NotStarted, _) => {
            format!("the model process crashed{doing}{how}")
        }
    }
}

const fn advice(kind: EndKind, exit: Exit) -> &'static str {
    match (kind, exit.signal) {
        (EndKind::Clean, _) => "",
        (EndKind::Killed, Some(SIGNAL_KILL)) => {
            " A person may have done that, or the system when memory ran short. Send the message again."
        }
        (EndKind::Killed | EndKind::Unresponsive | EndKind::Aborted, _) => " Send the message again.",
        (EndKind::OutOfMemory, _) => {
            " Close other programs, choose a smaller context or model, or put fewer layers on the GPU."
        }
        (EndKind::BadModel, _) => " The file is probably damaged: fetch it again, or choose another.",
        (EndKind::Protocol, _) => " Reinstall Workly so that both are of one version.",
        (EndKind::NotStarted, _) => " Reinstall Workly if its files are missing.",
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn signal(number: i32) -> Exit {
        Exit { code: None, signal: Some(number) }
    }

    const fn code(number: i32) -> Exit {
        Exit { code: Some(number), signal: None }
    }

    fn kind(exit: Exit, activity: Activity, stderr: &str) -> EndKind {
        WorkerEnd::classify(exit, &Intent::None, activity, stderr.to_owned()).kind
    }

    #[test]
    fn every_end_has_its_kind() {
        use Activity::{Generating, Idle, Loading};
        let table = [
            (code(0), Idle, "", EndKind::Aborted),
            (code(0), Generating, "", EndKind::Aborted),
            (signal(9), Generating, "", EndKind::Killed),
            (signal(15), Idle, "", EndKind::Killed),
            (signal(11), Generating, "", EndKind::Aborted),
            (signal(6), Generating, "ggml_abort: CUDA error: out of memory", EndKind::OutOfMemory),
            (signal(6), Loading, "terminate called after throwing 'std::bad_alloc'", EndKind::OutOfMemory),
            (signal(6), Generating, "vk::Device::allocateMemory: ErrorOutOfDeviceMemory", EndKind::OutOfMemory),
            (signal(6), Loading, "GGML_ASSERT(ctx->kv[key_id].type) failed", EndKind::BadModel),
            (signal(11), Loading, "", EndKind::BadModel),
            (code(101), Loading, "thread 'main' panicked", EndKind::Aborted),
        ];
        for (exit, activity, stderr, expected) in table {
            assert_eq!(kind(exit, activity, stderr), expected, "{exit:?} {activity:?} {stderr}");
        }
    }

    #[test]
    fn what_the_supervisor_did_goes_before_what_the_exit_looks_like() {
        for (intent, expected) in [
            (Intent::Asked, EndKind::Clean),
            (Intent::Silent, EndKind::Unresponsive),
            (Intent::NoProgress, EndKind::Unresponsive),
            (Intent::Protocol("garbage".into()), EndKind::Protocol),
        ] {
            let end = WorkerEnd::classify(signal(9), &intent, Activity::Generating, String::new());
            assert_eq!(end.kind, expected);
        }
    }

    #[test]
    fn a_worker_that_leaves_unasked_is_named_and_counted() {
        let end = WorkerEnd::classify(code(0), &Intent::None, Activity::Idle, String::new());
        assert_eq!((end.kind, end.gone), (EndKind::Aborted, true));
        assert_eq!(end.message, "The model process left without being asked. Send the message again.");
        assert_eq!(WorkerEnd::classify(code(0), &Intent::Asked, Activity::Idle, String::new()).kind, EndKind::Clean);
    }

    #[test]
    fn an_old_complaint_about_memory_does_not_explain_a_later_crash() {
        let stderr = format!("failed to allocate, trying less\n{}", "all is well\n".repeat(100));
        assert_eq!(kind(signal(11), Activity::Generating, &stderr), EndKind::Aborted);
    }

    #[test]
    fn a_problem_says_what_happened_and_keeps_the_last_words() {
        let stderr = "first\nlast words\n".to_owned();
        let end = WorkerEnd::classify(signal(11), &Intent::None, Activity::Generating, stderr);
        let problem = end.problem();
        assert_eq!(problem.code, ProblemCode::WorkerCrashed);
        assert_eq!(
            problem.message,
            "The model process crashed while it wrote an answer (SIGSEGV). Send the message again."
        );
        assert_eq!(problem.details.as_deref(), Some("first\nlast words"));
    }
}
