//! An answer between two workers, and what is told of its way.

use std::time::Duration;

use workly_core::policy;
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_core::switch_plan::SwitchStrategy;
use workly_core::why::Why;
use workly_engine::protocol::UnfinishedAnswer;
use workly_wire::answer::AnswerSwitch;

use super::life::WorkerId;

/// Why the model moves.
#[derive(Debug, Clone)]
pub(crate) enum Reason {
    /// Known as it is.
    Known(Why),
    /// Not known.
    Unknown,
    /// A decision of the policy; those who caused it are named once the card has told who is on it.
    Decided { switch: policy::Switch, culprits: Option<Vec<ProcessUse>> },
}

impl Reason {
    /// Whether nothing is still to be found out.
    pub(crate) const fn is_complete(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Unknown | Self::Decided { culprits: Some(_), .. })
    }

    /// Names those who caused it.
    pub(crate) fn blame(&mut self, found: &[ProcessUse]) {
        if let Self::Decided { culprits, .. } = self {
            culprits.get_or_insert_with(|| found.to_vec());
        }
    }

    /// What is told of it.
    pub(crate) fn why(&self) -> Option<Why> {
        match self {
            Self::Known(why) => Some(why.clone()),
            Self::Unknown => None,
            Self::Decided { switch, culprits } => Some(Why::decided(switch, culprits.clone().unwrap_or_default())),
        }
    }
}

/// An answer that waits for a worker to go on with.
#[derive(Debug)]
pub(crate) struct Parked {
    /// How far it is; none where its prompt is not even known: it begins again.
    pub(crate) unfinished: Option<UnfinishedAnswer>,
    /// What there is of its KV cache.
    pub(crate) saved: Option<Saved>,
    /// The worker that wrote it.
    pub(crate) left: Left,
}

/// A KV cache in checkpoints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Saved {
    /// Tokens whose KV cache it is.
    pub(crate) tokens: u32,
    pub(crate) bytes: u64,
    /// Milliseconds that saving what was lacking took, where the worker was there to do it.
    pub(crate) took_ms: Option<f64>,
}

/// The worker an answer has left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) worker: WorkerId,
    pub(crate) profile: Profile,
    /// How long after the decision its process was gone.
    pub(crate) released: Released,
}

/// When the process that was left was gone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Released {
    /// It is not gone yet.
    Pending,
    /// So long after the decision.
    After(Duration),
    /// None on the GPU ends.
    NoneEnds,
}

/// An answer that has changed workers, while the figures come in.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) left: Left,
    pub(crate) to: Profile,
    pub(crate) reason: Reason,
    pub(crate) strategy: SwitchStrategy,
    /// What was saved of the KV cache.
    pub(crate) saved: Option<Saved>,
    /// Tokens that the KV cache spared the new worker, and the milliseconds that took.
    pub(crate) restored: Option<(u32, f64)>,
    /// Index of the new worker's first token, and the time since the old one's last.
    pub(crate) first_token: Option<(u32, Duration)>,
}

impl Handover {
    /// What is told of it, once all figures are known.
    pub(crate) fn complete(&self) -> Option<AnswerSwitch> {
        let known = self.left.released != Released::Pending && self.reason.is_complete();
        if known { self.so_far() } else { None }
    }

    /// What is known of it, once the new worker writes.
    pub(crate) fn so_far(&self) -> Option<AnswerSwitch> {
        let (at_token, gap) = self.first_token?;
        let carried = self.restored.is_some_and(|(tokens, _)| tokens > 0);
        Some(AnswerSwitch {
            from: self.left.profile,
            to: self.to,
            why: self.reason.why().unwrap_or(Why::Asked { after_token: None }),
            strategy: if carried { self.strategy } else { SwitchStrategy::Replay },
            at_token,
            gap_ms: milliseconds(gap),
            vram_released_ms: match self.left.released {
                Released::After(time) => Some(milliseconds(time)),
                Released::Pending | Released::NoneEnds => None,
            },
            state_bytes: self.saved.filter(|_| carried).map(|saved| saved.bytes),
            saved_in_ms: self.saved.filter(|_| carried).and_then(|saved| saved.took_ms),
            restored_in_ms: self.restored.filter(|_| carried).map(|(_, took)| took),
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handover() -> Handover {
        Handover {
            left: Left { worker: 1, profile: Profile::Performance, released: Released::Pending },
            to: Profile::CpuFallback,
            reason: Reason::Known(Why::Asked { after_token: None }),
            strategy: SwitchStrategy::Standby,
            saved: Some(Saved { tokens: 40, bytes: 1_000, took_ms: Some(5.0) }),
            restored: Some((40, 1.0)),
            first_token: Some((20, Duration::from_millis(30))),
        }
    }

    #[test]
    fn a_handover_is_told_once_the_first_token_is_there_and_the_old_worker_is_gone() {
        let mut handover = handover();
        assert_eq!(handover.complete(), None);
        handover.left.released = Released::After(Duration::from_millis(200));
        let switch = handover.complete().unwrap();
        assert_eq!((switch.at_token, switch.strategy), (20, SwitchStrategy::Standby));
        assert!((switch.gap_ms - 30.0).abs() < 1e-9);
        assert_eq!((switch.vram_released_ms, switch.state_bytes), (Some(200.0), Some(1_000)));
        handover.first_token = None;
        assert_eq!(handover.complete(), None);
    }

    #[test]
    fn it_waits_for_the_culprits_of_a_decision() {
        let switch = policy::Switch {
            from: Profile::Performance,
            to: Profile::CpuFallback,
            reason: policy::Reason::Overload,
            emergency: false,
            numbers: policy::Numbers::default(),
        };
        let left = Left { released: Released::NoneEnds, ..handover().left };
        let reason = Reason::Decided { switch, culprits: None };
        let mut handover = Handover { left, reason, ..handover() };
        assert_eq!(handover.complete(), None);
        handover.reason.blame(&[ProcessUse { pid: 7, name: Some("game".into()), vram_bytes: None }]);
        let Why::Policy { culprits, .. } = handover.complete().unwrap().why else { panic!("no decision") };
        assert_eq!(culprits[0].name.as_deref(), Some("game"));
    }

    #[test]
    fn where_nothing_was_carried_over_the_tokens_were_replayed() {
        for restored in [None, Some((0, 1.0))] {
            let switch = Handover { restored, ..handover() }.so_far().unwrap();
            assert_eq!((switch.strategy, switch.state_bytes), (SwitchStrategy::Replay, None));
        }
    }
}
