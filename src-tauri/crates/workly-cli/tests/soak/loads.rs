//! Models that are loaded and given back.

use std::time::Duration;

use fastrand::Rng;
use workly_core::profile::{Profile, ProfileChoice};

use crate::answer::{Heard, Vocabulary};
use crate::report::{Report, Row};
use crate::resources::{Change, Held};
use crate::stage::{Stage, settings};
use crate::support::progress::unless_it_hangs;
use crate::support::{gemma, model};

/// Tokens of the answers that some of the models write.
const TOKENS: u32 = 4;

/// Loads as many times, in both places, two models, now and then given back while they load.
pub(crate) async fn run(report: &mut Report, loads: u32) {
    let mut random = Rng::with_seed(report.seed());
    let mut stage = Stage::new();
    let mut row = Row::default();
    let mut vocabularies = [Vocabulary::default(), Vocabulary::default()];
    // What is allocated once is there before anything is measured.
    for number in 0..4 {
        one(&mut stage, &mut random, number, &mut vocabularies, &mut row, report).await;
    }
    let before = Held::now();
    let mut halfway = before.clone();
    for number in 0..loads {
        if number == loads / 2 {
            halfway = Held::at_rest(&before).await;
        }
        if number > 0 && number % 100 == 0 {
            eprintln!("soak: {number} of {loads} loads");
        }
        one(&mut stage, &mut random, number, &mut vocabularies, &mut row, report).await;
    }
    let after = Held::at_rest(&before).await;
    report.resources.push(Change { what: "loads", before, halfway, after });
    let (left, has_ended) = stage.shut_down().await;
    row.orphans += left;
    if !has_ended {
        report.failed("the manager does not end".to_owned());
    }
    report.loads = Some((loads, row));
}

async fn one(
    stage: &mut Stage,
    random: &mut Rng,
    number: u32,
    vocabularies: &mut [Vocabulary; 2],
    row: &mut Row,
    report: &mut Report,
) {
    let place = if number.is_multiple_of(3) { Profile::Performance } else { Profile::CpuFallback };
    let which = usize::from(number % 4 == 1);
    let path = if which == 1 { gemma() } else { model() };
    stage.manager.configure(settings(path, ProfileChoice::Fixed(place)));
    let is_given_back = number % 8 == 7;
    let load = async {
        let asked = stage.manager.clone();
        let load = tokio::spawn(async move { asked.load().await });
        if is_given_back {
            tokio::time::sleep(Duration::from_millis(random.u64(..500))).await;
            stage.manager.unload();
        }
        load.await.unwrap()
    };
    match unless_it_hangs(load).await {
        // It may have been loaded by then.
        Some(_) if is_given_back => {}
        Some(Ok(())) if number.is_multiple_of(2) => {
            let mut stream = stage.ask(random, 10, TOKENS);
            let mut heard = Heard::default();
            while let Some(Some(event)) = unless_it_hangs(stream.next()).await {
                heard.hear(&event, &mut vocabularies[which]);
            }
            row.heard(&heard, TOKENS);
            if !heard.is_whole(TOKENS) {
                report.failed(format!("seed {}: load {number}: {heard:?}", report.seed()));
            }
        }
        Some(Ok(())) => {}
        Some(Err(problem)) => report.failed(format!("seed {}: load {number}: {problem:?}", report.seed())),
        None => {
            row.hangs += 1;
            report.failed(format!("seed {}: load {number} hangs: {:?}", report.seed(), stage.snapshot()));
            stage.start_over();
        }
    }
    row.orphans += stage.unload().await;
}
