//! Why the model is where it is, and what the user should know of it: codes with their numbers. The words are
//! `workly-wire`'s, one match for each language.

use serde::{Deserialize, Serialize};

use crate::policy::{Numbers, Reason, Switch};
use crate::problem::Problem;
use crate::profile::Profile;
use crate::reading::ProcessUse;

/// Why the model moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Why {
    /// The policy decided it.
    Policy {
        /// Which of its rules.
        reason: Reason,
        /// The profile that was left.
        from: Profile,
        /// The profile that was taken.
        to: Profile,
        /// What was known.
        numbers: Numbers,
        /// The programs on the card that caused it, where that was asked.
        culprits: Vec<ProcessUse>,
    },
    /// Whoever drives Workly asked for it, on the command line or through the API.
    Asked {
        /// After so many tokens of an answer.
        after_token: Option<u32>,
    },
    /// The worker ended, or could not compute.
    Worker {
        /// What happened to it.
        fault: WorkerFault,
    },
    /// In words alone: those of a script, or as Workly wrote them down before reasons had codes.
    Text {
        /// The words, in English.
        text: String,
    },
}

impl Why {
    /// A decision of the policy and the programs that caused it.
    pub fn decided(switch: &Switch, culprits: Vec<ProcessUse>) -> Self {
        let Switch { from, to, reason, numbers, .. } = *switch;
        Self::Policy { reason, from, to, numbers, culprits }
    }

    /// The reason as a code of the policy: a worker that ended by itself is a crash, or a fault where memory ran out.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Policy { reason, .. } => Some(*reason),
            Self::Worker { fault } if fault.kind == WorkerFaultKind::OutOfMemory => Some(Reason::Fault),
            Self::Worker { .. } => Some(Reason::Crash),
            Self::Asked { .. } | Self::Text { .. } => None,
        }
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Self {
        Self::Text { text: text.to_owned() }
    }
}

/// What happened to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct WorkerFault {
    /// Which kind of end.
    pub kind: WorkerFaultKind,
    /// The signal that ended it, on Unix.
    pub signal: Option<i32>,
    /// Its exit code, where it ended by itself.
    pub exit_code: Option<i32>,
}

/// Kinds of ends of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum WorkerFaultKind {
    /// Something outside ended it.
    Killed,
    /// A fault of its own ended it.
    Crashed,
    /// It left although nobody asked it to.
    Left,
    /// It ran out of memory.
    OutOfMemory,
    /// The model file brought it down.
    BadModel,
    /// It did not speak the protocol.
    Protocol,
    /// It stopped answering, or got nowhere.
    Unresponsive,
    /// It could not be started.
    NotStarted,
    /// It lives, and could not compute.
    NotComputed,
}

/// Something the user should know although the model works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Notice {
    /// There is no room on the card for the profile that was chosen: the model stays where it is.
    NoRoom {
        /// The profile that was chosen.
        wanted: Profile,
    },
    /// There was no room on the card for the profile that was chosen when the model was loaded: it runs on the CPU.
    NoRoomAtStart {
        /// The profile that was chosen.
        wanted: Profile,
    },
    /// A profile could not be taken.
    NotTaken {
        /// The profile.
        wanted: Profile,
        /// Why.
        problem: Problem,
    },
    /// The CPU could not take the model: it stays where it is.
    CpuRefused {
        /// Why.
        problem: Problem,
    },
    /// The model crashed on the GPU too often with this driver: it stays on the CPU until a GPU profile is chosen again.
    CrashedTooOften,
    /// The card would not hold the model: it runs on the CPU.
    CardRefused {
        /// Name of the card.
        card: String,
    },
    /// The driver brought a worker down: the GPU is not used.
    GpuUnusable {
        /// What happened to the worker.
        fault: WorkerFault,
    },
    /// No GPU that can be used was found for the profile that was chosen.
    NoGpu {
        /// The profile.
        wanted: Profile,
    },
    /// The last load in a profile never ended, so the model starts lower.
    CameBack {
        /// The profile of that load.
        wanted: Profile,
        /// The profile that is taken.
        taken: Profile,
    },
    /// The model will not fit in RAM.
    LowMemory {
        /// Bytes that it needs.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        needed_bytes: u64,
        /// Bytes that are free.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        available_bytes: u64,
    },
    /// A worker cannot be ended: the system holds it, and what it has of the card.
    WorkerHeld {
        /// Its process.
        process_id: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_with_its_code_and_comes_back() {
        let fault = WorkerFault { kind: WorkerFaultKind::Killed, signal: Some(9), exit_code: None };
        let why = Why::Worker { fault };
        let json = serde_json::to_value(&why).unwrap();
        assert_eq!((json["code"].as_str(), json["fault"]["kind"].as_str()), (Some("worker"), Some("killed")));
        assert_eq!(serde_json::from_value::<Why>(json).unwrap(), why);
    }

    #[test]
    fn a_worker_that_ended_by_itself_is_a_crash_and_one_without_memory_a_fault() {
        let of = |kind| Why::Worker { fault: WorkerFault { kind, signal: None, exit_code: None } }.reason();
        assert_eq!(of(WorkerFaultKind::Crashed), Some(Reason::Crash));
        assert_eq!(of(WorkerFaultKind::Killed), Some(Reason::Crash));
        assert_eq!(of(WorkerFaultKind::OutOfMemory), Some(Reason::Fault));
        assert_eq!(Why::Asked { after_token: Some(3) }.reason(), None);
    }
}
