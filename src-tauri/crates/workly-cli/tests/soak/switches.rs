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
/// Tokens that are written in a place before the model leaves it.
const STAY: u32 = 8;

/// Switches as many times, with at least this time between them.
pub(crate) async fn run(report: &mut Report, switches: u32, pause: Duration) {
    let mut walk = Walk {
        stage: Stage::new(),
        random: Rng::with_seed(report.seed()),
        vocabulary: Vocabulary::default(),
        row: Row::default(),
        made: 0,
        to: Profile::CpuFallback,
        decided: Instant::now(),
        since_arrival: 0,
    };
    walk.stage.manager.configure(settings(model(), ProfileChoice::Fixed(Profile::Performance)));
    // What is allocated once is there before anything is measured: one way down and up.
    walk.until(2, Duration::ZERO, report).await;
    let before = Held::now();
    walk.until(2 + switches, pause, report).await;
    let after = Held::at_rest(&before).await;
    report.resources.push(Change { what: "switches", before, after });
    walk.row.orphans += walk.stage.unload().await;
    let (left, has_ended) = walk.stage.shut_down().await;
    walk.row.orphans += left;
    if !has_ended {
        report.failed("the manager does not end".to_owned());
    }
    report.switches = Some((walk.made - 2, walk.row));
}

/// The model on its way to and fro.
struct Walk {
    stage: Stage,
    random: Rng,
    vocabulary: Vocabulary,
    row: Row,
    /// Switches that have arrived.
    made: u32,
    /// Where the next one goes, or the one under way.
    to: Profile,
    /// When the last one was decided.
    decided: Instant,
    /// Tokens written since the last one arrived.
    since_arrival: u32,
}

impl Walk {
    /// Goes on until so many switches were made.
    async fn until(&mut self, made: u32, pause: Duration, report: &mut Report) {
        while self.made < made && self.row.hangs == 0 {
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
                let what = if is_over { "is not whole" } else { "hangs" };
                let (seed, snapshot) = (report.seed(), self.stage.snapshot());
                report.failed(format!(
                    "seed {seed}: after {} switches an answer {what}: {heard:?}\n  {snapshot:?}",
                    self.made
                ));
            }
        }
    }

    /// Looks where the model is; once it has written there, and enough time is over, it is sent back.
    fn go_on(&mut self, made: u32, pause: Duration) {
        let snapshot = self.stage.snapshot();
        let is_under_way = self.since_arrival > STAY;
        if is_under_way && snapshot.profile == Some(self.to) && snapshot.switching_to.is_none() {
            self.made += 1;
            self.to = if self.to == Profile::CpuFallback { Profile::Performance } else { Profile::CpuFallback };
            self.since_arrival = 0;
            if self.made % 10 == 0 {
                eprintln!("soak: {} switches", self.made);
            }
        }
        if !is_under_way && self.made < made && self.decided.elapsed() >= pause {
            self.since_arrival += 1;
            if self.since_arrival > STAY {
                self.decided = Instant::now();
                self.stage.manager.switch(self.to, "to be tested");
            }
        }
    }
}
