//! English.

use std::fmt::Write as _;

use workly_core::policy::{Numbers, Reason};
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::why::{Notice, Why, WorkerFault, WorkerFaultKind};

use super::signal_name;

pub(super) const SILENT: &str =
    "The model process is not answering. It is given a few seconds to come back; you can also stop the answer.";

pub(super) fn why(why: &Why) -> String {
    match why {
        Why::Policy { reason, from, to, numbers, culprits } => {
            let mut said = figures(*reason, numbers);
            said.extend(rule(*reason, *to < *from).map(str::to_owned));
            let mut said = said.join(", ");
            if matches!(reason, Reason::Overload | Reason::Stress | Reason::Fault) && !culprits.is_empty() {
                let _ = write!(said, " ({})", programs(culprits));
            }
            said
        }
        Why::Asked { after_token: Some(token) } => format!("asked for after token {token}"),
        Why::Asked { after_token: None } => "asked for".to_owned(),
        Why::Worker { fault } => worker(*fault),
        Why::Text { text } => text.clone(),
    }
}

fn figures(reason: Reason, numbers: &Numbers) -> Vec<String> {
    let say = |what: &str, percent: Option<f64>| percent.map(|percent| format!("{what} {percent:.0} %"));
    let vram = || say("VRAM", numbers.vram_percent);
    let others_vram = || say("others' VRAM", numbers.external_vram_percent);
    let others_gpu = || say("others' GPU", numbers.external_gpu_percent);
    let said = match reason {
        Reason::Overload => [vram(), others_vram()],
        Reason::Stress | Reason::Table => [vram(), others_gpu()],
        Reason::Recovered | Reason::Start => [others_vram(), others_gpu()],
        Reason::Fault | Reason::Replan => [vram(), None],
        Reason::Crash | Reason::Override | Reason::Choice | Reason::GpuGone => [None, None],
    };
    said.into_iter().flatten().collect()
}

const fn rule(reason: Reason, is_down: bool) -> Option<&'static str> {
    match reason {
        Reason::Fault => Some("the model's worker ran out of memory"),
        Reason::Crash => Some("the model's worker ended unexpectedly"),
        Reason::Replan if is_down => Some("the model took more than planned"),
        Reason::Replan => Some("there is room for more layers"),
        Reason::Override => Some("as you asked for now"),
        Reason::Choice => Some("as chosen in the settings"),
        Reason::GpuGone => Some("the GPU does not answer any more"),
        Reason::Overload | Reason::Stress | Reason::Recovered | Reason::Start | Reason::Table => None,
    }
}

/// The three programs that take most.
fn programs(culprits: &[ProcessUse]) -> String {
    let mut largest: Vec<_> = culprits.iter().collect();
    largest.sort_by_key(|process| std::cmp::Reverse(process.vram_bytes));
    let named = largest.into_iter().take(3).map(|process| {
        let name = process.name.clone().unwrap_or_else(|| format!("process {}", process.pid));
        match process.vram_bytes {
            Some(bytes) => format!("{name} {}", gigabytes(bytes)),
            None => name,
        }
    });
    named.collect::<Vec<_>>().join(", ")
}

fn worker(fault: WorkerFault) -> String {
    let how = match fault {
        WorkerFault { signal: Some(signal), .. } => format!(" ({})", signal_name(signal)),
        WorkerFault { exit_code: Some(code), .. } => format!(" (exit code {code})"),
        WorkerFault { .. } => String::new(),
    };
    match fault.kind {
        WorkerFaultKind::Killed => format!("the model process was ended from outside{how}"),
        WorkerFaultKind::Crashed => format!("the model process crashed{how}"),
        WorkerFaultKind::Left => "the model process left by itself".to_owned(),
        WorkerFaultKind::OutOfMemory => "the model process ran out of memory".to_owned(),
        WorkerFaultKind::BadModel => format!("the model file brought the model process down{how}"),
        WorkerFaultKind::Protocol => "the model process and Workly do not understand each other".to_owned(),
        WorkerFaultKind::Unresponsive => "the model process stopped answering and was ended".to_owned(),
        WorkerFaultKind::NotStarted => "the model process could not be started".to_owned(),
        WorkerFaultKind::NotComputed => "the model could not compute".to_owned(),
    }
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::NoRoom { wanted } => {
            format!("There is no room on the GPU for {} now: the model stays where it is.", profile(*wanted))
        }
        Notice::NoRoomAtStart { wanted } => {
            format!("There is no room on the GPU for {}: the model runs on the CPU.", profile(*wanted))
        }
        Notice::NotTaken { wanted, problem } => {
            format!("The model could not move to {}: {}", profile(*wanted), problem.message)
        }
        Notice::CpuRefused { problem } => format!("The model could not move to the CPU: {}", problem.message),
        Notice::CrashedTooOften => {
            "The model crashed on the GPU too often with this driver: it stays on the CPU until \
                                    you choose a GPU profile again."
                .to_owned()
        }
        Notice::CardRefused { card } => format!("{card} would not hold the model: it runs on the CPU."),
        Notice::GpuUnusable { fault } => format!("The GPU cannot be used: {}.", worker(*fault)),
        Notice::NoGpu { wanted } => {
            format!("No GPU that can be used was found: the model runs on the CPU instead of in {}.", profile(*wanted))
        }
        Notice::CameBack { wanted, taken } => format!(
            "The last load in {} never ended, so the model starts in {}. Choose the profile again to try it anew.",
            profile(*wanted),
            profile(*taken)
        ),
        Notice::LowMemory { needed_bytes, available_bytes } => format!(
            "This model needs about {} of memory and {} are free: the machine may become very slow. Close other \
             programs, or choose a smaller model.",
            gigabytes(*needed_bytes),
            gigabytes(*available_bytes)
        ),
        Notice::WorkerHeld { process_id } => format!(
            "The model process {process_id} cannot be ended: the system holds it, and its memory on the GPU with it. The \
             model goes on in another process. If it stays, restart the computer."
        ),
    }
}

const fn profile(profile: Profile) -> &'static str {
    profile.name()
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
