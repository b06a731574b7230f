//! Decisions: hold, or switch, with the numbers and the culprits that explain it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::profile::Profile;
use crate::reading::ProcessUse;

/// Why the model moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// VRAM ran over the overload threshold.
    Overload,
    /// VRAM was high while others kept the GPU busy.
    Stress,
    /// The worker died of memory.
    Fault,
    /// The worker crashed, hung, or was ended from outside.
    Crash,
    /// There has been room for long enough.
    Recovered,
    /// The same profile, or the way to it, with another number of layers.
    Replan,
    /// The user asked for it in the tray, for a while.
    Override,
    /// The user's profile choice.
    Choice,
    /// The GPU is gone.
    GpuGone,
    /// The first profile after a start.
    Start,
    /// The seed's table alone; only in simulations.
    Table,
}

impl Reason {
    /// The name used in JSON, on the command line and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Stress => "stress",
            Self::Fault => "fault",
            Self::Crash => "crash",
            Self::Recovered => "recovered",
            Self::Replan => "replan",
            Self::Override => "override",
            Self::Choice => "choice",
            Self::GpuGone => "gpu_gone",
            Self::Start => "start",
            Self::Table => "table",
        }
    }
}

/// What was known when a decision was made; percentages, of total VRAM where they are of VRAM.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Numbers {
    /// VRAM in use by everyone.
    pub vram_percent: Option<f64>,
    /// Utilization of the whole card, Workly's own included.
    pub gpu_percent: Option<f64>,
    /// VRAM in use by others.
    pub external_vram_percent: Option<f64>,
    /// Utilization by others.
    pub external_gpu_percent: Option<f64>,
}

/// A switch to carry out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Switch {
    /// The profile that is left; while the model moves, the one it was moving to.
    pub from: Profile,
    /// The profile to take. The same as `from` when only the number of layers changes.
    pub to: Profile,
    /// Why.
    pub reason: Reason,
    /// Whether the GPU worker must end at once, before a CPU worker is ready.
    pub emergency: bool,
    /// What was known.
    pub numbers: Numbers,
}

/// What the policy wants done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Nothing.
    Hold,
    /// A switch.
    Switch(Switch),
}

impl Decision {
    /// The switch, if it is one.
    pub const fn switch(self) -> Option<Switch> {
        match self {
            Self::Hold => None,
            Self::Switch(switch) => Some(switch),
        }
    }
}

impl Switch {
    /// One line for the log and the window, such as `balanced: VRAM 85 %, others' GPU 88 % (obs 1.2 GB)`.
    ///
    /// `culprits`: the other processes on the GPU, asked for once now; the largest three are named.
    pub fn sentence(&self, culprits: &[ProcessUse]) -> String {
        let mut sentence = self.to.to_string();
        let mut separator = ": ";
        let mut say = |what: &str, percent: Option<f64>| {
            if let Some(percent) = percent {
                let _ = write!(sentence, "{separator}{what} {percent:.0} %");
                separator = ", ";
            }
        };
        let Numbers { vram_percent, external_vram_percent, external_gpu_percent, .. } = self.numbers;
        match self.reason {
            Reason::Overload => {
                say("VRAM", vram_percent);
                say("others' VRAM", external_vram_percent);
            }
            Reason::Stress | Reason::Table => {
                say("VRAM", vram_percent);
                say("others' GPU", external_gpu_percent);
            }
            Reason::Recovered | Reason::Start => {
                say("others' VRAM", external_vram_percent);
                say("others' GPU", external_gpu_percent);
            }
            Reason::Fault | Reason::Replan => say("VRAM", vram_percent),
            Reason::Crash | Reason::Override | Reason::Choice | Reason::GpuGone => {}
        }
        let why = match self.reason {
            Reason::Fault => "the model's worker ran out of memory",
            Reason::Crash => "the model's worker ended unexpectedly",
            Reason::Replan if self.to < self.from => "the model took more than planned",
            Reason::Replan => "there is room for more layers",
            Reason::Override => "as you asked for now",
            Reason::Choice => "as chosen in the settings",
            Reason::GpuGone => "the GPU does not answer any more",
            Reason::Overload | Reason::Stress | Reason::Recovered | Reason::Start | Reason::Table => "",
        };
        if !why.is_empty() {
            let _ = write!(sentence, "{separator}{why}");
        }
        if matches!(self.reason, Reason::Overload | Reason::Stress | Reason::Fault) {
            name_culprits(&mut sentence, culprits);
        }
        sentence
    }
}

fn name_culprits(sentence: &mut String, culprits: &[ProcessUse]) {
    let mut largest: Vec<_> = culprits.iter().collect();
    largest.sort_by_key(|process| std::cmp::Reverse(process.vram_bytes));
    for (index, process) in largest.into_iter().take(3).enumerate() {
        sentence.push_str(if index == 0 { " (" } else { ", " });
        let _ = match &process.name {
            Some(name) => write!(sentence, "{name}"),
            None => write!(sentence, "process {}", process.pid),
        };
        if let Some(bytes) = process.vram_bytes {
            let _ = write!(sentence, " {:.1} GB", bytes as f64 / 1e9);
        }
    }
    if !culprits.is_empty() {
        sentence.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(to: Profile, reason: Reason) -> Switch {
        let numbers = Numbers {
            vram_percent: Some(85.2),
            gpu_percent: Some(99.0),
            external_vram_percent: Some(16.0),
            external_gpu_percent: Some(88.0),
        };
        Switch { from: Profile::Performance, to, reason, emergency: false, numbers }
    }

    fn process(pid: u32, name: Option<&str>, vram_bytes: Option<u64>) -> ProcessUse {
        ProcessUse { pid, name: name.map(Into::into), vram_bytes }
    }

    #[test]
    fn a_sentence_carries_the_numbers_and_the_culprits() {
        let obs = process(7, Some("obs"), Some(1_200_000_000));
        let stressed = switch(Profile::Balanced, Reason::Stress);
        assert_eq!(stressed.sentence(std::slice::from_ref(&obs)), "balanced: VRAM 85 %, others' GPU 88 % (obs 1.2 GB)");
        let many = [process(1, None, None), obs, process(3, Some("game"), Some(4_000_000_000)), process(4, None, None)];
        assert_eq!(
            switch(Profile::CpuFallback, Reason::Overload).sentence(&many),
            "cpu_fallback: VRAM 85 %, others' VRAM 16 % (game 4.0 GB, obs 1.2 GB, process 1)"
        );
    }

    #[test]
    fn a_sentence_leaves_out_what_is_unknown() {
        let unknown = Switch { numbers: Numbers::default(), ..switch(Profile::CpuFallback, Reason::Fault) };
        assert_eq!(unknown.sentence(&[]), "cpu_fallback: the model's worker ran out of memory");
    }

    #[test]
    fn every_reason_is_written_as_it_is_named() {
        for reason in [
            Reason::Overload,
            Reason::Stress,
            Reason::Fault,
            Reason::Crash,
            Reason::Recovered,
            Reason::Replan,
            Reason::Override,
            Reason::Choice,
            Reason::GpuGone,
            Reason::Start,
            Reason::Table,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
