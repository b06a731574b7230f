//! Taking the conversation along when the model moves between two answers, so that the next one need not be preceded by
//! computing all that was said before.

use workly_engine::protocol::{Command, Reply};
use workly_engine::worker::{Call, CallEvent};

use super::handover::StateFolder;
use super::switch::Switch;
use super::task::Task;
use crate::bring_up::Running;

/// A KV cache on its way.
pub(super) struct Carrying {
    pub(super) call: Call,
    folder: StateFolder,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Saving,
    Saved,
    Restoring,
}

impl Carrying {
    /// Whether the worker that is left is still saving; until it is done it begins no answer.
    pub(super) fn is_saving(&self) -> bool {
        self.step == Step::Saving
    }
}

impl Task {
    /// Asks the idle worker to save what was said so far; tells whether there is one to ask.
    pub(super) fn put_down(&mut self) -> bool {
        let Some(placed) = &self.running else { return false };
        let folder = StateFolder::new();
        let call = placed.running.worker.call(Command::Save { state: folder.file() });
        self.carrying = Some(Carrying { call, folder, step: Step::Saving });
        true
    }

    /// Gives the next worker what the last one saved, before anything else is asked of it.
    pub(super) fn take_up(&mut self, target: &Running) {
        let Some(carrying) = self.carrying.as_mut().filter(|carrying| carrying.step == Step::Saved) else { return };
        carrying.call = target.worker.call(Command::Restore { state: carrying.folder.file() });
        carrying.step = Step::Restoring;
    }

    /// The worker that saves, or the one that restores, has answered.
    pub(super) fn carried(&mut self, event: &CallEvent) {
        let Some(carrying) = &mut self.carrying else { return };
        match event {
            CallEvent::Reply(Reply::Saved { state_bytes: Some(_) }) => carrying.step = Step::Saved,
            CallEvent::Reply(Reply::Restored { .. } | Reply::Saved { .. } | Reply::Failed(_)) | CallEvent::Ended(_) => {
                let was_saving = carrying.is_saving();
                self.carrying = None;
                if !was_saving {
                    return;
                }
            }
            CallEvent::Reply(_) | CallEvent::Silent | CallEvent::Resumed => return,
        }
        if self.switch.as_ref().is_some_and(Switch::awaits_present) {
            self.leave();
        } else {
            // The switch was called off meanwhile: the worker that saved goes on.
            self.carrying = None;
        }
    }
}
