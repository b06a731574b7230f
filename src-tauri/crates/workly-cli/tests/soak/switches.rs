//! Answers one after the other, while the model goes to and fro.

use std::time::{Duration, Instant};

use fastrand::Rng;
use workly_core::profile::{Profile, ProfileChoice};

use crate::answer::{Heard, Vocabulary};
use crate::report::{Report, Row};
use crate::resources::{Change, Held};
use crate::stage::{Stage, settings};
use crate::support::model;
use crate::support::progress::unless_it_hangs;

/// Tokens of each answer.
const TOKENS: u32 = 120;
/// Events of answers that are heard in a place before the model leaves it.
const STAY: u32 = 10;
/// Answers within which a switch arrives.
const ARRIVES_WITHIN: u32 = 20;
/// Switches before anything is measured: what is allocated once is there then.
const WARM_UP: u32 = 2;

/// Switches as many times, with at least this time between two of them.
pub(crate) async fn run(report: &mut Report, switches: u32, pause: Duration) {
    let mut walk = Walk {
        stage: Stage::new(),
        random: Rng::with_seed(report.seed()),
        vocabulary: Vocabulary::default(),
        row: Row::default(),
        made: 0,
        leg: Leg::Staying { heard: 0 },
        next: Profile::CpuFallback,
        decided: Instant::now(),
    };
    walk.stage.manager.configure(settings(model(), ProfileChoice::Fixed(Profile::Performance)));
    walk.until(WARM_UP, Duration::ZERO, report).await;
    let before = Held::now();
    // As many ways down as up, so that the model is where it was.
    walk.until(WARM_UP + switches / 4 * 2, pause, report).await;
    let halfway = Held::at_rest(&before).await;
    walk.until(WARM_UP + switches, pause, report).await;
    let after = Held::at_rest(&before).await;
    report.resources.push(Change { what: "switches", before, halfway, after });
    walk.row.orphans += walk.stage.unload().await;
    let (left, has_ended) = walk.stage.shut_down().await;
    walk.row.orphans += left;
    if !has_ended {
        report.failed("the manager does not end".to_owned());
    }
    report.switches = Some((walk.made.saturating_sub(WARM_UP), walk.row));
}

/// The model on its way to and fro.
struct Walk {
    stage: Stage,
    random: Rng,
    vocabulary: Vocabulary,
    row: Row,
    /// Switches that have arrived.
    made: u32,
    leg: Leg,
    /// Where it goes, or is going.
    next: Profile,
    /// When the last switch was decided.
    decided: Instant,
}

/// What the model is doing.
#[derive(Debug, Clone, Copy)]
enum Leg {
    /// It writes where it is.
    Staying { heard: u32 },
    /// It was sent elsewhere, so many answers ago.
    Going { answers: u32 },
}

impl Walk {
    /// Goes on until so many switches were made.
    async fn until(&mut self, made: u32, pause: Duration, report: &mut Report) {
        while self.made < made {
            let words = self.random.usize(3..40);
            let mut stream = self.stage.ask(&mut self.random, words, TOKENS);
            let mut heard = Heard::default();
            let is_over = loop {
                match unless_it_hangs(stream.next()).await {
                    Some(Some(event)) => heard.hear(&event, &mut self.vocabulary),
                    Some(None) => break true,
                    None => break false,
                }
                self.go_on(made, pause);
            };
            self.row.heard(&heard, TOKENS);
            self.row.hangs += u32::from(!is_over);
            if !is_over || !heard.is_whole(TOKENS) {
                let (seed, made, snapshot) = (report.seed(), self.made, self.stage.snapshot());
                report.failed(format!("seed {seed}: after {made} switches: {heard:?}\n  {snapshot:?}"));
            }
            if let Leg::Going { answers } = &mut self.leg {
                *answers += 1;
                if *answers > ARRIVES_WITHIN {
                    let snapshot = self.stage.snapshot();
                    return report.failed(format!("switch {} never arrived: {snapshot:?}", self.made + 1));
                }
            }
            if !is_over {
                return;
            }
        }
    }

    /// Looks where the model is. Once it has written there, and enough time is over, it is sent back.
    fn go_on(&mut self, made: u32, pause: Duration) {
        match &mut self.leg {
            Leg::Going { .. } => {
                let snapshot = self.stage.snapshot();
                if snapshot.profile != Some(self.next) || snapshot.switching_to.is_some() {
                    return;
                }
                self.made += 1;
                self.leg = Leg::Staying { heard: 0 };
                self.next = match self.next {
                    Profile::CpuFallback => Profile::Performance,
                    Profile::Performance | Profile::Balanced => Profile::CpuFallback,
                };
                if self.made.is_multiple_of(10) {
                    eprintln!("soak: {} switches", self.made - WARM_UP);
                }
            }
            Leg::Staying { heard } => {
                *heard += 1;
                if *heard > STAY && self.made < made && self.decided.elapsed() >= pause {
                    self.decided = Instant::now();
                    self.leg = Leg::Going { answers: 0 };
                    self.stage.manager.switch(self.next, "to be tested");
                }
            }
        }
    }
}
