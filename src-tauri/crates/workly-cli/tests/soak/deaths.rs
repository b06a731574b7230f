//! Workers that die while answers are written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;
use workly_core::profile::{Profile, ProfileChoice};
use workly_wire::answer::AnswerEvent;

use crate::answer::{Heard, Vocabulary};
use crate::plan::{Deed, Moment, Round, TOKENS, Trigger, Victim, Way};
use crate::report::{Report, Row};
use crate::resources::{Change, Held};
use crate::stage::{Stage, settings, strike};
use crate::support::progress::Deadline;
use crate::support::{gpu_workers_of, is_alive, model, workers_of};

/// Crashes that are forgiven before the model is given up in a place; deaths from outside are not counted by Workly.
const FORGIVEN: u32 = 2;
/// Time until a victim that is not there yet is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(3);
/// How often a long soak says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Lets so many workers die, in as many answers as that takes.
pub(crate) async fn run(report: &mut Report, deaths: u32) {
    let mut scene = Scene::new(report.seed());
    // What is allocated once is there before anything is measured.
    for on_gpu in [true, false] {
        let round = Round { deeds: Vec::new(), exit: None, fresh: true, ..Round::draw(&mut scene.random, on_gpu) };
        scene.live_through(&round, &mut Row::default(), report).await;
    }
    let left = scene.stage.unload().await;
    assert_eq!(left, 0, "a worker outlived its model before anything died");
    let before = Held::now();
    let mut halfway = None;
    let mut told = Instant::now();
    for number in 1.. {
        let so_far = report.all_deaths();
        if so_far.deaths >= deaths {
            break;
        }
        if halfway.is_none() && so_far.deaths >= deaths / 2 {
            scene.stage.unload().await;
            halfway = Some(Held::at_rest(&before).await);
        }
        assert!(number <= 20 * deaths, "hardly anything dies: {report}");
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("soak: {} of {deaths} deaths", so_far.deaths);
        }
        let round = Round::draw(&mut scene.random, so_far.on_gpu * 3 <= so_far.deaths);
        let mut row = report.deaths.remove(&round.moment).unwrap_or_default();
        scene.live_through(&round, &mut row, report).await;
        report.deaths.insert(round.moment, row);
    }
    let all = report.all_deaths();
    if all.on_gpu * 5 < all.deaths {
        report.failed(format!("only {} of {} deaths were on the GPU", all.on_gpu, all.deaths));
    }
    let left = scene.stage.unload().await;
    let row = report.deaths.entry(Moment::AnyToken).or_default();
    row.orphans += left;
    let after = Held::at_rest(&before).await;
    let halfway = halfway.unwrap_or_else(|| before.clone());
    report.resources.push(Change { what: "deaths", before, halfway, after });
    let (left, has_ended) = scene.stage.shut_down().await;
    if left > 0 || !has_ended {
        report.failed(format!("the manager ended: {has_ended}, with {left} workers left"));
    }
}

/// The manager, and what the rounds so far left behind.
struct Scene {
    stage: Stage,
    random: Rng,
    vocabulary: Vocabulary,
    place: Option<Profile>,
    crashes_on_cpu: u32,
    crashes_on_gpu: u32,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let (random, vocabulary) = (Rng::with_seed(seed), Vocabulary::default());
        Self { stage: Stage::new(), random, vocabulary, place: None, crashes_on_cpu: 0, crashes_on_gpu: 0 }
    }

    /// One answer, with everything that is to happen to it.
    async fn live_through(&mut self, round: &Round, row: &mut Row, report: &mut Report) {
        row.orphans += self.prepare(round).await;
        let mut heard = Heard::default();
        let (deaths, is_over) = self.listen(round, row, &mut heard).await;
        row.deaths += deaths;
        if let Some(exited) = self.stage.disarm() {
            // An exit is a crash like any other.
            if is_alive(exited) {
                report.failed(format!("the worker did not exit: {round:?}"));
            } else {
                row.deaths += 1;
                row.on_gpu += u32::from(round.place.uses_gpu());
                *self.crashes(round.place.uses_gpu()) += 1;
            }
        }
        row.hangs += u32::from(!is_over);
        row.heard(&heard, TOKENS);
        if !is_over || !heard.is_whole(TOKENS) {
            let snapshot = self.stage.snapshot();
            let seed = report.seed();
            report.failed(format!(
                "seed {seed}: {}: {round:?}\n  {heard:?}\n  {snapshot:?}",
                if is_over { "an answer is not whole" } else { "an answer hangs" }
            ));
        }
        if !is_over {
            self.stage.start_over();
            (self.place, self.crashes_on_cpu, self.crashes_on_gpu) = (None, 0, 0);
        }
        self.be_forgiven();
    }

    /// Brings the model to where it is to be; how many processes were left behind.
    async fn prepare(&mut self, round: &Round) -> u32 {
        let is_elsewhere = self.place != Some(round.place) || self.stage.snapshot().profile != Some(round.place);
        let mut left = 0;
        if round.fresh || is_elsewhere || self.crashes_on_cpu >= FORGIVEN {
            left = self.stage.unload().await;
            // A model that is loaded anew starts with a clean record on the CPU.
            self.crashes_on_cpu = 0;
            self.stage.manager.configure(settings(model(), ProfileChoice::Fixed(round.place)));
            self.place = Some(round.place);
        }
        if let Some(fault) = &round.exit {
            self.stage.arm(fault);
        }
        left
    }

    /// Crashes on the GPU are remembered until the user chooses anew, which changes nothing here but that.
    fn be_forgiven(&mut self) {
        if self.crashes_on_gpu > 0 {
            self.stage.manager.configure(settings(model(), ProfileChoice::Auto));
            (self.place, self.crashes_on_gpu) = (None, 0);
        }
    }

    fn crashes(&mut self, on_gpu: bool) -> &mut u32 {
        if on_gpu { &mut self.crashes_on_gpu } else { &mut self.crashes_on_cpu }
    }

    /// Hears the answer to its end; how many died, and whether there was an end.
    async fn listen(&mut self, round: &Round, row: &mut Row, heard: &mut Heard) -> (u32, bool) {
        let mut stream = self.stage.ask(&mut self.random, round.words, TOKENS);
        let mut deeds = VecDeque::from(round.deeds.clone());
        let mut due: Option<(tokio::time::Instant, Deed)> = None;
        let mut prompt_begun = false;
        let mut deadline = Deadline::of_all();
        let mut deaths = 0;
        loop {
            let is_reached = |trigger| match trigger {
                Trigger::Asked => true,
                Trigger::Prompt => prompt_begun || heard.next > 0,
                Trigger::Token(index) => heard.next > index,
            };
            if due.is_none()
                && let Some(deed) = deeds.pop_front_if(|deed| is_reached(deed.trigger))
            {
                if let Some(to) = deed.switch {
                    self.stage.manager.switch(to, "to be tested");
                }
                due = Some((tokio::time::Instant::now() + Duration::from_millis(deed.delay_ms), deed));
            }
            let at = due.map_or_else(tokio::time::Instant::now, |(at, _)| at);
            tokio::select! {
                event = stream.next() => {
                    let Some(event) = event else { return (deaths, true) };
                    deadline.heard();
                    prompt_begun |= matches!(&event, AnswerEvent::Prompt { done, total, .. } if done < total);
                    heard.hear(&event, &mut self.vocabulary);
                }
                () = tokio::time::sleep_until(at), if due.is_some() => {
                    due = due.filter(|(_, deed)| match self.strike(deed) {
                        Some(on_gpu) => {
                            deaths += 1;
                            row.on_gpu += u32::from(on_gpu);
                            false
                        }
                        None => true,
                    });
                    // Whoever is to die may not be there yet.
                    due = due.map(|(_, deed)| (tokio::time::Instant::now() + LOOK_AGAIN, deed));
                }
                () = tokio::time::sleep(deadline.next_look()) => {
                    if deadline.is_over() {
                        return (deaths, false);
                    }
                }
            }
        }
    }

    /// Lets the victim die, if it is there; whether that was on the GPU.
    fn strike(&mut self, deed: &Deed) -> Option<bool> {
        let own = std::process::id();
        let writer = self.stage.snapshot().worker_pid.filter(|id| is_alive(*id));
        let victim = match deed.victim {
            Victim::Writer => writer.or_else(|| workers_of(own).next()),
            Victim::Other => workers_of(own).find(|id| Some(*id) != writer),
        }?;
        let on_gpu = gpu_workers_of(own).any(|id| id == victim);
        let way = if *self.crashes(on_gpu) < FORGIVEN { deed.way } else { Way::Kill };
        let signal = match way {
            Way::Kill => Signal::KILL,
            Way::Segv => Signal::SEGV,
            Way::Abort => Signal::ABORT,
        };
        let has_died = strike(victim, signal);
        *self.crashes(on_gpu) += u32::from(has_died && way != Way::Kill);
        has_died.then_some(on_gpu)
    }
}
