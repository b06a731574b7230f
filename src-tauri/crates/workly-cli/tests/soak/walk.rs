//! A walk without an aim over all that can happen to the manager: answers that are asked for, stopped and let go of,
//! workers that die or freeze, another place, another model, none at all, and the end of the manager itself. In whatever
//! order that comes, each answer has one end and no token twice, no process is without an owner, and nothing hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use workly_core::profile::Profile;
use workly_runtime::manager::AnswerStream;
use workly_wire::answer::AnswerEvent;
use workly_wire::model::ModelState;

use crate::answer::{Heard, Vocabulary};
use crate::cast::Cast;
use crate::report::Report;
use crate::stage::{Stage, none_left, strike, workers};
use crate::support::progress::{Deadline, unless_it_hangs};

/// Answers that are asked for at a time.
const MOST_ANSWERS: usize = 4;
/// Workers that may die without a token between them: Workly gives up on a model at six.
const DEATHS_IN_A_ROW: u32 = 2;
/// Longest time for which a worker is frozen. One that is silent for ten seconds is taken for dead.
const FREEZE_MS: u64 = 3_000;
/// Longest pause between two steps.
const PAUSE_MS: u64 = 300;
/// Steps that are told when something fails.
const TOLD: usize = 40;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Stop,
    HangUp,
    StopAll,
    Choose,
    Move,
    Kill,
    Freeze,
    AnotherModel,
    Unload,
    Load,
    /// Everything comes to rest, and is looked at.
    Settle,
    ShutDown,
}

/// How often each is drawn, beside the others.
const STEPS: [(Step, usize); 13] = [
    (Step::Ask, 10),
    (Step::Stop, 3),
    (Step::HangUp, 2),
    (Step::StopAll, 1),
    (Step::Choose, 3),
    (Step::Move, 3),
    (Step::Kill, 4),
    (Step::Freeze, 2),
    (Step::AnotherModel, 1),
    (Step::Unload, 1),
    (Step::Load, 1),
    (Step::Settle, 3),
    (Step::ShutDown, 1),
];

/// What the user wants of an answer that is being heard.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Stop,
    HangUp,
}

/// How the hearing of an answer came to its end.
#[derive(Debug)]
enum End {
    Over(Heard),
    LetGo,
    Hangs(Heard),
}

/// An answer under way.
struct Asked {
    tokens: u32,
    /// It may end before it has all of them.
    is_cut: bool,
    wishes: mpsc::UnboundedSender<Wish>,
    hearing: JoinHandle<End>,
}

struct Walk {
    stage: Stage,
    random: Rng,
    answers: Vec<Asked>,
    /// Tokens that were heard of any answer.
    tokens: Arc<AtomicU32>,
    /// How many those were at the last death, and the deaths since they were more.
    deaths: (u32, u32),
    /// Workers that are frozen go on after a while.
    frozen: JoinSet<()>,
    is_other_model: bool,
    story: Vec<String>,
}

/// Goes so many steps, or until something is wrong.
pub(crate) async fn run(report: &mut Report, cast: Cast, steps: u64) {
    let mut walk = Walk {
        stage: Stage::with(cast),
        random: Rng::with_seed(report.seed()),
        answers: Vec::new(),
        tokens: Arc::default(),
        deaths: (0, 0),
        frozen: JoinSet::new(),
        is_other_model: false,
        story: Vec::new(),
    };
    for number in 0..steps {
        let steps = STEPS.iter().flat_map(|(step, times)| std::iter::repeat_n(*step, *times));
        let step = walk.random.choice(steps.collect::<Vec<_>>()).unwrap();
        if let Err(what) = walk.take(step).await {
            return report.failed(walk.tell(number, &what, report.seed()));
        }
        tokio::time::sleep(Duration::from_millis(walk.random.u64(..PAUSE_MS))).await;
    }
    for step in [Step::Settle, Step::ShutDown] {
        if let Err(what) = walk.take(step).await {
            return report.failed(walk.tell(steps, &what, report.seed()));
        }
    }
}

impl Walk {
    async fn take(&mut self, step: Step) -> Result<(), String> {
        let detail = match step {
            Step::Ask => self.ask(),
            Step::Stop => self.wish(Wish::Stop),
            Step::HangUp => self.wish(Wish::HangUp),
            Step::StopAll => {
                self.cut();
                self.stage.manager.stop();
                String::new()
            }
            Step::Choose => self.choose(),
            Step::Move => {
                let to = self.place();
                self.stage.manager.switch(to, "to be tested");
                to.to_string()
            }
            Step::Kill => self.kill(),
            Step::Freeze => self.freeze(),
            Step::AnotherModel => {
                self.is_other_model ^= true;
                self.choose()
            }
            Step::Unload => {
                self.cut();
                self.stage.manager.unload();
                String::new()
            }
            Step::Load => {
                let manager = self.stage.manager.clone();
                // Whether it is loaded is not asked: it may be unloaded meanwhile.
                tokio::spawn(async move { manager.load().await });
                String::new()
            }
            Step::Settle => String::new(),
            Step::ShutDown => self.answers.len().to_string(),
        };
        self.story.push(format!("{step:?} {detail}"));
        match step {
            Step::Settle => self.settle().await,
            Step::ShutDown => self.shut_down().await,
            _ => self.look_at_ended().await,
        }
    }

    fn ask(&mut self) -> String {
        if self.answers.len() == MOST_ANSWERS {
            return "nothing more".into();
        }
        let (words, tokens) = (self.random.usize(1..30), self.random.u32(1..60));
        let stream = self.stage.ask(&mut self.random, words, tokens);
        let (wishes, told) = mpsc::unbounded_channel();
        let hearing = tokio::spawn(hear(stream, told, Arc::clone(&self.tokens)));
        self.answers.push(Asked { tokens, is_cut: false, wishes, hearing });
        format!("for {tokens} tokens")
    }

    fn wish(&mut self, wish: Wish) -> String {
        let count = self.answers.len();
        if count == 0 {
            return "nobody".into();
        }
        let number = self.random.usize(..count);
        self.answers[number].is_cut = true;
        // One that has just ended wants nothing any more.
        let _ = self.answers[number].wishes.send(wish);
        format!("{number} of {count}")
    }

    /// From now on any answer may end early.
    fn cut(&mut self) {
        self.answers.iter_mut().for_each(|answer| answer.is_cut = true);
    }

    fn place(&mut self) -> Profile {
        if self.random.bool() { Profile::Performance } else { Profile::CpuFallback }
    }

    fn choose(&mut self) -> String {
        let to = self.place();
        self.stage.choose(self.is_other_model, to);
        format!("{to}{}", if self.is_other_model { ", the other model" } else { "" })
    }

    /// Any worker; every other time the one that writes.
    fn victim(&mut self) -> Option<u32> {
        if self.random.bool() {
            return self.stage.snapshot().worker_pid;
        }
        let mut workers = workers();
        workers.sort_unstable();
        self.random.choice(workers)
    }

    fn kill(&mut self) -> String {
        let tokens = self.tokens.load(Ordering::Relaxed);
        if tokens > self.deaths.0 {
            self.deaths = (tokens, 0);
        }
        let Some(victim) = self.victim().filter(|_| self.deaths.1 < DEATHS_IN_A_ROW) else { return "nobody".into() };
        self.deaths.1 += 1;
        strike(victim, Signal::KILL);
        victim.to_string()
    }

    fn freeze(&mut self) -> String {
        let Some(victim) = self.victim() else { return "nobody".into() };
        let time = self.random.u64(..FREEZE_MS);
        strike(victim, Signal::STOP);
        self.frozen.spawn(async move {
            tokio::time::sleep(Duration::from_millis(time)).await;
            strike(victim, Signal::CONT);
        });
        format!("{victim} for {time} ms")
    }

    /// Hears the answers out that have ended by now.
    async fn look_at_ended(&mut self) -> Result<(), String> {
        let (ended, going) =
            std::mem::take(&mut self.answers).into_iter().partition(|asked| asked.hearing.is_finished());
        self.answers = going;
        hear_out(ended).await
    }

    async fn settle(&mut self) -> Result<(), String> {
        hear_out(std::mem::take(&mut self.answers)).await?;
        while self.frozen.join_next().await.is_some() {}
        let mut deadline = Deadline::of_children();
        loop {
            let seen = self.stage.snapshot();
            let is_quiet = matches!(seen.state, ModelState::Ready | ModelState::Stopped) && !seen.answering;
            let workers = workers();
            let known = usize::from(seen.worker_pid.is_some()) + usize::from(seen.standby_ready);
            if is_quiet && workers.len() == known && seen.worker_pid.is_none_or(|id| workers.contains(&id)) {
                return Ok(());
            }
            if deadline.is_over() {
                return Err(format!("it does not come to rest: the workers are {workers:?}\n  {seen:?}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the manager in the middle of whatever it does, and goes on with another one.
    async fn shut_down(&mut self) -> Result<(), String> {
        self.cut();
        unless_it_hangs(self.stage.manager.shut_down()).await.ok_or("the manager does not end")?;
        hear_out(std::mem::take(&mut self.answers)).await?;
        let left = none_left().await;
        self.frozen.shutdown().await;
        if left > 0 {
            return Err(format!("{left} workers outlived their manager: {:?}", workers()));
        }
        self.stage.start_over();
        self.is_other_model = false;
        Ok(())
    }

    fn tell(&self, number: u64, what: &str, seed: u64) -> String {
        let told = &self.story[self.story.len().saturating_sub(TOLD)..];
        format!("seed {seed}: after {number} steps: {what}\n  {:?}\n  {}", self.stage.snapshot(), told.join("\n  "))
    }
}

/// Hears an answer until nothing more comes of it, or nobody wants it any more.
async fn hear(mut stream: AnswerStream, mut wishes: mpsc::UnboundedReceiver<Wish>, tokens: Arc<AtomicU32>) -> End {
    // Which model writes it is not known before; what it wrote itself must fit.
    let (mut heard, mut vocabulary) = (Heard::default(), Vocabulary::default());
    let mut deadline = Deadline::of_all();
    loop {
        tokio::select! {
            event = stream.next() => {
                let Some(event) = event else { return End::Over(heard) };
                deadline.heard();
                tokens.fetch_add(u32::from(matches!(event, AnswerEvent::Token { .. })), Ordering::Relaxed);
                heard.hear(&event, &mut vocabulary);
            }
            Some(wish) = wishes.recv() => match wish {
                Wish::Stop => stream.stop(),
                Wish::HangUp => return End::LetGo,
            },
            () = tokio::time::sleep(deadline.next_look()) => {
                if deadline.is_over() {
                    return End::Hangs(heard);
                }
            }
        }
    }
}

async fn hear_out(answers: Vec<Asked>) -> Result<(), String> {
    for Asked { tokens, is_cut, hearing, wishes } in answers {
        let end = hearing.await.map_err(|error| error.to_string())?;
        drop(wishes);
        match end {
            End::LetGo => {}
            End::Over(heard) if heard.is_whole(tokens) || is_cut && heard.is_whole(heard.next) => {}
            End::Over(heard) => return Err(format!("not whole, of {tokens} tokens, cut: {is_cut}: {heard:?}")),
            End::Hangs(heard) => return Err(format!("an answer hangs: {heard:?}")),
        }
    }
    Ok(())
}
