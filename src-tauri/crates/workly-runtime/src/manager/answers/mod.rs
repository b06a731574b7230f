//! The answers: those that wait their turn, those being written, and those between two workers.
//!
//! A collection, although one is written at a time today. Each has its life (`life`: a typed state with pure
//! transitions) and its transcript (`answer`); here the two are joined, and the effects are carried out.

mod answer;
pub(crate) mod handover;
mod kept;
pub(crate) mod life;
pub(crate) mod state_file;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::profile::Profile;
use workly_core::reading::ProcessUse;
use workly_engine::protocol::Reply;
use workly_engine::worker::{Call, CallEvent};
use workly_wire::answer::AnswerStats;

pub(crate) use answer::Answer;
pub use answer::random_seed;
use handover::{Left, Parked, Released, Saved};
use kept::{Checkpoints, Kept};
use life::{Effect, Event, Heard, Life, WorkerId};
use state_file::StateFile;

use super::workers::engine::{Engine, Resume};

/// Most answers that are under way at a time.
const AT_ONCE: usize = 1;
/// How long a worker that was told to stop may take to tell the figures of the answer; a token, or a chunk of the prompt,
/// takes a fraction of it. After that the figures are those that were heard.
const STOP_WITHIN: Duration = Duration::from_millis(500);
/// How often the speed of an answer is told while it is written.
const SPEED_EVERY: Duration = Duration::from_millis(500);

/// An answer's number.
pub(crate) type AnswerId = u64;

/// The answers, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    slots: Vec<Slot>,
    /// Checkpoints of conversations that none of them belongs to.
    kept: Kept,
}

/// One of them.
#[derive(Debug)]
struct Slot {
    id: AnswerId,
    life: Life,
    answer: Answer,
    /// The worker's part; none while no worker writes it.
    call: Option<Call>,
    /// How far it is, while it is between two workers.
    parked: Option<Parked>,
    /// What its workers save of the KV cache; none where memory is short.
    checkpoints: Option<Checkpoints>,
    /// When a worker that was told to stop has had its time.
    stop_by: Option<Instant>,
    speed_told: Instant,
}

/// What came of the answers.
#[derive(Debug)]
pub(crate) enum AnswerNews {
    /// A worker said something of one.
    Heard(AnswerId, CallEvent),
    /// A worker has had its time to stop.
    StopOverdue(AnswerId),
}

/// What the rest of the manager has to know of an event, or to do about it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// A token was told: tokens in the context by now.
    pub(crate) token: Option<u32>,
    /// The worker computed something.
    pub(crate) worked: bool,
    /// The speed to show, tokens per second.
    pub(crate) speed: Option<f64>,
    /// An answer ended, and its worker with nothing amiss.
    pub(crate) ended: Option<Finished>,
    /// It was handed over, or its worker was left.
    pub(crate) parked: bool,
    /// The worker could not compute, or said what it must not.
    pub(crate) fault: Option<Problem>,
    /// The worker hangs and nobody wants what it might still say.
    pub(crate) end_worker: bool,
    /// The worker has saved what it computed so far, and nothing else happened.
    pub(crate) checkpointed: bool,
}

/// An answer that is complete.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its figures; none where it failed.
    pub(crate) stats: Option<AnswerStats>,
    /// The one profile it was written in.
    pub(crate) written_in: Option<Profile>,
}

/// The worker that answers are given to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) id: WorkerId,
    pub(crate) profile: Profile,
    pub(crate) engine: &'a dyn Engine,
}

impl Answers {
    /// Takes an answer in; it waits its turn.
    pub(crate) fn push(&mut self, id: AnswerId, answer: Answer) {
        self.slots.push(Slot {
            id,
            life: Life::Waiting,
            answer,
            call: None,
            parked: None,
            checkpoints: None,
            stop_by: None,
            speed_told: Instant::now(),
        });
    }

    /// Whether one is being written, or is between two workers.
    pub(crate) fn is_any_under_way(&self) -> bool {
        self.slots.iter().any(|slot| slot.life.is_under_way())
    }

    /// Whether one that somebody wants is still with this worker.
    pub(crate) fn is_any_with(&self, worker: WorkerId) -> bool {
        self.slots.iter().any(|slot| slot.life.worker() == Some(worker))
    }

    /// The next thing that comes of them; for ever where there is none.
    pub(crate) async fn next(&mut self) -> AnswerNews {
        let overdue = self.slots.iter().filter_map(|slot| Some((slot.stop_by?, slot.id))).min();
        let heard = poll_fn(|context| {
            for slot in &mut self.slots {
                let Some(call) = &mut slot.call else { continue };
                if let Poll::Ready(event) = pin!(call.next()).poll(context) {
                    return Poll::Ready(AnswerNews::Heard(slot.id, event));
                }
            }
            Poll::Pending
        });
        match overdue {
            None => heard.await,
            Some((by, id)) => tokio::select! {
                news = heard => news,
                () = tokio::time::sleep_until(by) => AnswerNews::StopOverdue(id),
            },
        }
    }

    /// Gives the worker what it may write: what is between two workers first, then what waits its turn.
    pub(crate) fn give(&mut self, writer: &Writer<'_>) -> bool {
        let parked = |slot: &Slot| matches!(slot.life, Life::Parked { .. });
        let under_way = self.slots.iter().filter(|slot| slot.life.is_under_way() && !parked(slot)).count();
        let mut room = AT_ONCE.saturating_sub(under_way);
        let mut given = false;
        for wants in [parked, |slot: &Slot| slot.life == Life::Waiting] {
            for slot in self.slots.iter_mut().filter(|slot| wants(slot)).take(room) {
                if slot.checkpoints.is_none() {
                    slot.checkpoints = self.kept.take(slot.answer.messages());
                }
                slot.apply(Event::Given(writer.id), None, Some(writer));
                room -= 1;
                given = true;
            }
        }
        given
    }

    /// Asks the worker for what it writes. Tells whether there is anything to wait for.
    pub(crate) fn ask_to_hand_over(&mut self, writer: &Writer<'_>) -> bool {
        for slot in self.slots.iter_mut().filter(|slot| slot.life.worker() == Some(writer.id)) {
            slot.apply(Event::HandOver, None, Some(writer));
        }
        self.is_any_with(writer.id)
    }

    /// A worker is left: what it has not handed over goes on from what was heard.
    pub(crate) fn leave(&mut self, writer: &Writer<'_>) -> Outcome {
        self.apply_with(writer, Event::Leave)
    }

    /// A worker has ended.
    pub(crate) fn died(&mut self, writer: &Writer<'_>) -> Outcome {
        self.apply_with(writer, Event::Heard(writer.id, Heard::Died))
    }

    fn apply_with(&mut self, writer: &Writer<'_>, event: Event) -> Outcome {
        let mut outcome = Outcome::default();
        for slot in self.slots.iter_mut().filter(|slot| slot.life.worker() == Some(writer.id)) {
            outcome = slot.apply(event, None, Some(writer));
        }
        self.forget_ended();
        outcome
    }

    /// Hears the worker that writes an answer.
    pub(crate) fn heard(&mut self, id: AnswerId, event: CallEvent, writer: Option<&Writer<'_>>) -> Outcome {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) else { return Outcome::default() };
        // Without that worker there is nobody to have said it.
        let Some(writer) = writer.filter(|writer| slot.life.worker() == Some(writer.id)) else {
            slot.call = None;
            return Outcome::default();
        };
        let outcome = match event {
            CallEvent::Silent => slot.apply(Event::Heard(writer.id, Heard::Silent), None, Some(writer)),
            CallEvent::Resumed => slot.apply(Event::Heard(writer.id, Heard::Resumed), None, Some(writer)),
            CallEvent::Ended(_) => slot.apply(Event::Heard(writer.id, Heard::Died), None, Some(writer)),
            CallEvent::Reply(reply) => match slot.answer.judge(&reply) {
                Ok(heard) => slot.apply(Event::Heard(writer.id, heard), Some(reply), Some(writer)),
                Err(violation) => {
                    let mut outcome = slot.apply(Event::Heard(writer.id, Heard::Fault), None, Some(writer));
                    outcome.fault = Some(violation);
                    outcome
                }
            },
        };
        self.forget_ended();
        outcome
    }

    /// Whether this worker writes it.
    pub(crate) fn is_of(&self, id: AnswerId, writer: Option<&Writer<'_>>) -> bool {
        let life = self.slots.iter().find(|slot| slot.id == id).map(|slot| slot.life);
        writer.is_some_and(|writer| life.and_then(Life::worker) == Some(writer.id))
    }

    /// Stops one answer, or lets go of one whose asker has gone away.
    pub(crate) fn stop(&mut self, id: AnswerId, writer: Option<&Writer<'_>>) -> Outcome {
        self.apply_to(|slot| slot.id == id, Event::Stop, writer)
    }

    /// Whoever asked for it has gone away.
    pub(crate) fn hung_up(&mut self, id: AnswerId, writer: Option<&Writer<'_>>) -> Outcome {
        self.apply_to(|slot| slot.id == id, Event::HungUp, writer)
    }

    /// Stops all of them.
    pub(crate) fn stop_all(&mut self, writer: Option<&Writer<'_>>) -> Outcome {
        self.apply_to(|_| true, Event::Stop, writer)
    }

    /// A worker has had its time to stop.
    pub(crate) fn stop_overdue(&mut self, id: AnswerId, writer: Option<&Writer<'_>>) -> Outcome {
        self.apply_to(|slot| slot.id == id, Event::StopOverdue, writer)
    }

    /// Workly ends.
    pub(crate) fn shut_down(&mut self) {
        self.apply_to(|_| true, Event::ShutDown, None);
    }

    /// What is under way ends with its model, as if it had been stopped; what waits goes on waiting.
    pub(crate) fn end_under_way(&mut self) {
        self.apply_to(|slot| slot.life.is_under_way(), Event::ShutDown, None);
    }

    /// None of them gets a worker, for this reason.
    pub(crate) fn refuse_all(&mut self, problem: &Problem) {
        for slot in &mut self.slots {
            slot.refuse(problem);
        }
        self.forget_ended();
    }

    fn apply_to(&mut self, which: impl Fn(&Slot) -> bool, event: Event, writer: Option<&Writer<'_>>) -> Outcome {
        let mut all = Outcome::default();
        for slot in self.slots.iter_mut().filter(|slot| which(slot)) {
            let outcome = slot.apply(event, None, writer);
            all.end_worker |= outcome.end_worker;
            all.parked |= outcome.parked;
        }
        self.forget_ended();
        all
    }

    /// Lets go of those that have ended; what was saved of their conversations is kept.
    fn forget_ended(&mut self) {
        for slot in self.slots.extract_if(.., |slot| slot.life == Life::Ended) {
            if let Some(checkpoints) = slot.checkpoints {
                self.kept.keep(slot.answer.messages(), checkpoints);
            }
        }
    }

    /// What a worker that comes up takes over, so that it need not be computed: what was saved of the answer under way,
    /// else of the conversation that was written in last.
    pub(crate) fn to_take_along(&self) -> Option<StateFile> {
        let under_way = self.slots.iter().find(|slot| slot.life.is_under_way());
        match under_way {
            Some(slot) => slot.checkpoints.as_ref().map(|checkpoints| checkpoints.file.clone()),
            None => self.kept.latest().cloned(),
        }
    }

    /// Sees to it that checkpoints leave memory to others.
    pub(crate) fn make_room(&mut self) {
        let bytes = self.slots.iter().filter_map(|slot| Some(slot.checkpoints.as_ref()?.bytes)).sum();
        if !self.kept.make_room(bytes) {
            tracing::info!(bytes, "memory is short: no more checkpoints of this answer");
            for checkpoints in self.slots.iter_mut().filter_map(|slot| slot.checkpoints.as_mut()) {
                checkpoints.file.give_up();
                (checkpoints.tokens, checkpoints.bytes) = (0, 0);
            }
        }
    }

    /// Another model follows, or the same in another shape: what was saved is of no use to it.
    pub(crate) fn forget_checkpoints(&mut self) {
        self.kept.forget();
        self.slots.iter_mut().for_each(|slot| slot.checkpoints = None);
    }

    /// Names those who caused the moves that are not told yet.
    pub(crate) fn blame(&mut self, culprits: &[ProcessUse]) {
        self.slots.iter_mut().for_each(|slot| slot.answer.blame(culprits));
    }

    /// The worker of this number is gone, so long after it was decided to leave it.
    pub(crate) fn released(&mut self, worker: WorkerId, after: Duration) {
        for slot in &mut self.slots {
            match &mut slot.parked {
                Some(parked) if parked.left.worker == worker => parked.left.released = Released::After(after),
                _ => slot.answer.released(worker, after),
            }
        }
    }

    /// What is between two workers goes on with the next one: each is told how it got there.
    pub(crate) fn hand_to(&mut self, told: impl Fn(&Parked) -> handover::Handover) {
        for slot in &mut self.slots {
            if let Some(parked) = &slot.parked {
                slot.answer.handed_over(told(parked));
            }
        }
    }

    /// Bytes that the KV cache of a token takes, as one that was saved just now shows.
    pub(crate) fn state_bytes_per_token(&self) -> Option<u64> {
        self.slots.iter().find_map(|slot| {
            let saved = slot.checkpoints.as_ref()?;
            saved.bytes.checked_div(u64::from(saved.tokens))
        })
    }

    /// The worker that was left frees nothing of a card.
    pub(crate) fn nothing_is_released(&mut self) {
        for parked in self.slots.iter_mut().filter_map(|slot| slot.parked.as_mut()) {
            if parked.left.released == Released::Pending {
                parked.left.released = Released::NoneEnds;
            }
        }
    }
}

impl Slot {
    /// Goes on to what follows from an event, and does what is to be done. `reply`: what was heard, where that is what
    /// happened.
    fn apply(&mut self, event: Event, reply: Option<Reply>, writer: Option<&Writer<'_>>) -> Outcome {
        let (after, effects) = self.life.after(event);
        self.life = after;
        let mut outcome = Outcome::default();
        let mut reply = reply;
        if matches!(event, Event::Heard(_, Heard::Fault))
            && let Some(Reply::Failed(problem)) = &reply
        {
            outcome.fault = Some(problem.clone());
        }
        for effect in effects {
            match effect {
                Effect::Ask => {
                    if let Some(writer) = writer {
                        self.ask(writer.engine);
                    }
                }
                Effect::AskHandOver => {
                    if let (Some(call), Some(writer)) = (&self.call, writer) {
                        let checkpoints = self.checkpoints.get_or_insert_with(Checkpoints::new);
                        writer.engine.hand_over(call, checkpoints.file.path());
                    }
                }
                Effect::Cancel => {
                    if let (Some(call), Some(writer)) = (&self.call, writer) {
                        writer.engine.stop(call);
                    }
                    self.stop_by = Some(Instant::now() + STOP_WITHIN);
                }
                Effect::ParkAsHandedOver | Effect::ParkAsHeard => {
                    self.park(reply.take(), writer);
                    outcome.parked = true;
                }
                Effect::Tell => self.tell(event, reply.take(), writer, &mut outcome),
                Effect::TellStopped => self.answer.stopped(),
                Effect::TellRefused => {}
                Effect::EndWorker => outcome.end_worker = true,
            }
        }
        if self.life == Life::Ended {
            self.call = None;
            outcome.ended.get_or_insert(Finished { stats: None, written_in: None });
        }
        outcome
    }

    fn refuse(&mut self, problem: &Problem) {
        let (after, effects) = self.life.after(Event::Refused);
        self.life = after;
        for effect in effects {
            match effect {
                Effect::TellRefused => self.answer.fail(problem.clone()),
                Effect::TellStopped => self.answer.stopped(),
                _ => {}
            }
        }
    }

    fn ask(&mut self, engine: &dyn Engine) {
        let request = self.answer.command(self.checkpoints.as_ref().map(|checkpoints| checkpoints.file.path()));
        self.call = Some(match self.parked.take() {
            Some(Parked { unfinished: Some(answer), saved, .. }) => {
                let how = if saved.is_some() { Resume::Checkpoints(answer) } else { Resume::Tokens(answer) };
                engine.resume(request, how)
            }
            Some(Parked { unfinished: None, .. }) | None => engine.generate(request),
        });
    }

    /// Puts the answer down: as its worker handed it over, else as it was heard.
    fn park(&mut self, reply: Option<Reply>, writer: Option<&Writer<'_>>) {
        let Some(writer) = writer else { return };
        let left = Left { worker: writer.id, profile: writer.profile, released: Released::Pending };
        let (unfinished, took_ms) = match reply {
            Some(Reply::HandedOver { answer, saved_in_ms, .. }) => (Some(answer), Some(saved_in_ms)),
            _ => (self.answer.unfinished(), None),
        };
        let checkpoints = self.checkpoints.as_ref().filter(|checkpoints| checkpoints.tokens > 0);
        let saved = checkpoints.map(|saved| Saved { tokens: saved.tokens, bytes: saved.bytes, took_ms });
        self.parked = Some(Parked { unfinished, saved, left });
        self.call = None;
    }

    /// Passes on what was heard.
    fn tell(&mut self, event: Event, reply: Option<Reply>, writer: Option<&Writer<'_>>, outcome: &mut Outcome) {
        match (event, reply) {
            (Event::Heard(_, Heard::Silent), _) => self.answer.silent(),
            (Event::Heard(_, Heard::Resumed), _) => self.answer.resumed(),
            (_, Some(reply)) => {
                let Some(writer) = writer else { return };
                let (is_token, is_final) = (matches!(reply, Reply::Token { .. }), reply.is_final());
                if let (Reply::Checkpointed { tokens, bytes }, Some(checkpoints)) = (&reply, &mut self.checkpoints) {
                    (checkpoints.tokens, checkpoints.bytes, outcome.checkpointed) = (*tokens, *bytes, true);
                }
                outcome.worked = true;
                let stats = self.answer.hear(reply, writer.profile);
                if is_token {
                    outcome.token = Some(self.answer.context_tokens());
                }
                if is_final {
                    outcome.speed = stats.as_ref().map(|stats| stats.tokens_per_second);
                    outcome.ended = Some(Finished { stats, written_in: self.answer.written_in() });
                } else if is_token && self.speed_told.elapsed() >= SPEED_EVERY {
                    self.speed_told = Instant::now();
                    outcome.speed = self.answer.speed();
                }
            }
            (_, None) => {}
        }
    }
}

/// Whether a worker that answers so may be at fault itself, so that another one may do better.
const fn is_a_fault(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::DecodeFailed | ProblemCode::OutOfMemory | ProblemCode::NoModel)
}
