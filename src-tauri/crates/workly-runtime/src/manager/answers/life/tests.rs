//! Every pair of state and event, and long random walks.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use Heard::{Died, Done, Failed, Fault, HandedOver, Progress, Resumed, Silent};

const W: WorkerId = 7;
const OTHER: WorkerId = 8;

const WRITING: Life = Life::Writing { worker: W, silent: false };
const WRITING_SILENT: Life = Life::Writing { worker: W, silent: true };
const HANDING: Life = Life::HandingOver { worker: W, silent: false };
const HANDING_SILENT: Life = Life::HandingOver { worker: W, silent: true };
const PARKED: Life = Life::Parked { left: W };
const STOPPING: Life = Life::Stopping { worker: W };

const STATES: [Life; 8] =
    [Life::Waiting, WRITING, WRITING_SILENT, HANDING, HANDING_SILENT, PARKED, STOPPING, Life::Ended];

const HEARD: [Heard; 8] = [Progress, HandedOver, Done, Failed, Fault, Silent, Resumed, Died];

fn events() -> Vec<Event> {
    let plain = [
        Event::Given(W),
        Event::Given(OTHER),
        Event::HandOver,
        Event::Leave,
        Event::Stop,
        Event::HungUp,
        Event::StopOverdue,
        Event::Refused,
        Event::ShutDown,
    ];
    let of = |worker| HEARD.into_iter().map(move |heard| Event::Heard(worker, heard));
    plain.into_iter().chain(of(W)).chain(of(OTHER)).collect()
}

/// What follows, for every state and every event that changes it or is to be acted upon; what is not listed changes
/// nothing.
#[rustfmt::skip]
fn table() -> Vec<(Life, Event, Life, &'static [Effect])> {
    let given = Life::Writing { worker: OTHER, silent: false };
    let mut table: Vec<(Life, Event, Life, &'static [Effect])> = vec![
        (Life::Waiting, Event::Given(W), WRITING, &[Ask]),
        (Life::Waiting, Event::Given(OTHER), given, &[Ask]),
        (Life::Waiting, Event::Stop, Life::Ended, &[TellStopped]),
        (Life::Waiting, Event::HungUp, Life::Ended, &[TellStopped]),
        (Life::Waiting, Event::Refused, Life::Ended, &[TellRefused]),
        (PARKED, Event::Given(W), WRITING, &[Ask]),
        (PARKED, Event::Given(OTHER), given, &[Ask]),
        (PARKED, Event::Stop, Life::Ended, &[TellStopped]),
        (PARKED, Event::HungUp, Life::Ended, &[TellStopped]),
        (PARKED, Event::Refused, Life::Ended, &[TellRefused]),
        (STOPPING, Event::Leave, Life::Ended, &[TellStopped]),
        (STOPPING, Event::StopOverdue, Life::Ended, &[TellStopped]),
        (STOPPING, Event::Refused, Life::Ended, &[TellStopped]),
        (STOPPING, Event::Heard(W, Progress), STOPPING, &[Tell]),
        (STOPPING, Event::Heard(W, HandedOver), Life::Ended, &[TellStopped]),
        (STOPPING, Event::Heard(W, Done), Life::Ended, &[Tell]),
        (STOPPING, Event::Heard(W, Failed), Life::Ended, &[TellStopped]),
        (STOPPING, Event::Heard(W, Fault), Life::Ended, &[TellStopped]),
        (STOPPING, Event::Heard(W, Died), Life::Ended, &[TellStopped]),
        (STOPPING, Event::Heard(W, Silent), Life::Ended, &[TellStopped, EndWorker]),
        (WRITING, Event::HandOver, HANDING, &[AskHandOver]),
        (WRITING_SILENT, Event::HandOver, HANDING_SILENT, &[AskHandOver]),
    ];
    for (state, silent, speaking) in [
        (WRITING, WRITING_SILENT, WRITING),
        (WRITING_SILENT, WRITING_SILENT, WRITING),
        (HANDING, HANDING_SILENT, HANDING),
        (HANDING_SILENT, HANDING_SILENT, HANDING),
    ] {
        let hangs = state == silent;
        let (stopped, effects): (Life, &'static [Effect]) =
            if hangs { (Life::Ended, &[TellStopped, EndWorker]) } else { (STOPPING, &[Cancel]) };
        table.extend([
            (state, Event::Stop, stopped, effects),
            (state, Event::HungUp, stopped, effects),
            (state, Event::Leave, PARKED, &[ParkAsHeard] as &[Effect]),
            (state, Event::Refused, Life::Ended, &[TellRefused]),
            (state, Event::Heard(W, Progress), state, &[Tell]),
            (state, Event::Heard(W, HandedOver), PARKED, &[ParkAsHandedOver]),
            (state, Event::Heard(W, Done), Life::Ended, &[Tell]),
            (state, Event::Heard(W, Failed), Life::Ended, &[Tell]),
            (state, Event::Heard(W, Fault), PARKED, &[ParkAsHeard]),
            (state, Event::Heard(W, Died), PARKED, &[ParkAsHeard]),
            (state, Event::Heard(W, Silent), silent, &[Tell]),
            (state, Event::Heard(W, Resumed), speaking, &[Tell]),
        ]);
    }
    for state in STATES.into_iter().filter(|state| *state != Life::Ended) {
        table.push((state, Event::ShutDown, Life::Ended, &[TellStopped]));
    }
    table
}

#[test]
fn every_pair_of_state_and_event_has_its_row() {
    let table = table();
    for state in STATES {
        for event in events() {
            let rows: Vec<_> = table.iter().filter(|row| (row.0, row.1) == (state, event)).collect();
            assert!(rows.len() <= 1, "{state:?} {event:?} stands there twice");
            let expected = rows.first().map_or((state, &[] as &[Effect]), |row| (row.2, row.3));
            assert_eq!(state.after(event), expected, "{state:?} {event:?}");
        }
    }
    assert!(table.iter().all(|row| STATES.contains(&row.0) && events().contains(&row.1)), "a row nobody can reach");
}

#[test]
fn what_another_worker_says_changes_nothing() {
    for state in STATES {
        for heard in HEARD {
            assert_eq!(state.after(Event::Heard(OTHER, heard)), (state, &[] as &[Effect]), "{state:?} {heard:?}");
        }
    }
}

#[test]
fn a_stop_is_the_end_of_an_answer_whatever_its_worker_does_next() {
    for state in STATES.into_iter().filter(|state| *state != Life::Ended) {
        for last in [Event::Heard(W, HandedOver), Event::Heard(W, Died), Event::Leave, Event::StopOverdue] {
            let (stopped, _) = state.after(Event::Stop);
            let (ended, _) = stopped.after(last);
            assert_eq!(ended, Life::Ended, "{state:?} {last:?}");
        }
    }
}

/// Workers and the one who asked, as they may behave towards one answer: in any order, late, and more than once.
fn step() -> impl Strategy<Value = Event> {
    let worker = 0_u64..4;
    let heard = proptest::sample::select(HEARD.to_vec());
    prop_oneof![
        4 => worker.clone().prop_map(Event::Given),
        2 => Just(Event::HandOver),
        1 => Just(Event::Leave),
        1 => Just(Event::Stop),
        1 => Just(Event::HungUp),
        1 => Just(Event::StopOverdue),
        1 => Just(Event::Refused),
        1 => Just(Event::ShutDown),
        12 => (worker, heard).prop_map(|(worker, heard)| Event::Heard(worker, heard)),
    ]
}

const ENDS: [Effect; 2] = [TellStopped, TellRefused];

/// Whether this is told to whoever asked as the last thing.
fn is_end(event: Event, effect: Effect) -> bool {
    ENDS.contains(&effect) || (effect == Tell && matches!(event, Event::Heard(_, Done | Failed)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_asked_of_one_worker_at_a_time_and_ends_once(events in proptest::collection::vec(step(), 0..200)) {
        let (mut life, mut ends, mut holder) = (Life::Waiting, 0, None);
        for event in events {
            let before = life;
            let (after, effects) = life.after(event);
            life = after;
            for effect in effects {
                prop_assert_ne!(ends, 1, "{:?} after the end", effect);
                match effect {
                    Ask => {
                        prop_assert_eq!(holder, None, "two workers write it");
                        holder = after.worker();
                        prop_assert!(holder.is_some());
                    }
                    AskHandOver | Cancel => prop_assert_eq!(before.worker(), holder),
                    ParkAsHandedOver | ParkAsHeard => {
                        prop_assert!(holder.take().is_some());
                    }
                    Tell => {
                        let Event::Heard(speaker, _) = event else { panic!("nobody spoke") };
                        prop_assert_eq!(Some(speaker), holder, "told by a worker that does not write it");
                    }
                    TellStopped | TellRefused => {}
                    EndWorker => prop_assert!(before.worker().is_some()),
                }
            }
            ends += effects.iter().filter(|effect| is_end(event, **effect)).count();
            if life == Life::Ended {
                holder = None;
            }
            prop_assert_eq!(life == Life::Ended, ends == 1);
            prop_assert_eq!(life.worker(), holder);
        }
    }
}

/// A world of several answers and workers that come and go: a million steps.
#[test]
fn a_walk_of_a_million_steps_breaks_no_invariant() {
    let mut random = fastrand::Rng::with_seed(11);
    // Answers by number: life, index of the next token that is told, ends told.
    let mut answers: Vec<(Life, u32, u32)> = Vec::new();
    let mut alive: HashSet<WorkerId> = HashSet::new();
    let mut next_worker: WorkerId = 0;
    for _ in 0..1_000_000 {
        if answers.len() < 4 || (random.u8(..) == 0 && answers.len() < 16) {
            answers.push((Life::Waiting, 0, 0));
        }
        if alive.is_empty() || random.u8(..) == 0 {
            next_worker += 1;
            alive.insert(next_worker);
        }
        let index = random.usize(..answers.len());
        let (life, tokens, ends) = &mut answers[index];
        let any_worker = random.u64(1..=next_worker);
        let event = match random.u8(..24) {
            0..4 => Event::Given(*alive.iter().next().unwrap_or(&any_worker)),
            4..6 => Event::HandOver,
            6 => Event::Leave,
            7 => Event::Stop,
            8 => Event::HungUp,
            9 => Event::StopOverdue,
            10 => Event::Refused,
            _ => {
                let speaker = life.worker().filter(|_| random.u8(..) < 200).unwrap_or(any_worker);
                Event::Heard(speaker, HEARD[random.usize(..HEARD.len())])
            }
        };
        let before = *life;
        let (after, effects) = life.after(event);
        *life = after;
        for effect in effects {
            match effect {
                Tell if matches!(event, Event::Heard(_, Progress)) => *tokens += 1,
                Ask => assert!(alive.contains(&after.worker().unwrap()), "asked of a worker that is gone"),
                _ => {}
            }
            *ends += u32::from(is_end(event, *effect));
        }
        assert!(*ends <= 1, "an answer ended twice");
        assert_eq!(*life == Life::Ended, *ends == 1, "an end that was not told");
        let ended = match event {
            Event::Heard(worker, Died | Fault) => Some(worker),
            _ if effects.contains(&EndWorker) => before.worker(),
            _ => None,
        };
        if let Some(worker) = ended {
            alive.remove(&worker);
            // Everyone hears of a worker's end.
            for (life, _, ends) in &mut answers {
                let (after, effects) = life.after(Event::Heard(worker, Died));
                *life = after;
                *ends += effects.iter().filter(|effect| ENDS.contains(effect)).count() as u32;
            }
        }
        for (life, _, ends) in &answers {
            assert!(*ends <= 1);
            if let Life::Writing { worker, .. } | Life::HandingOver { worker, .. } = life {
                assert!(alive.contains(worker), "an answer is written by a worker that is gone");
            }
        }
        answers.retain(|(life, ..)| *life != Life::Ended);
    }
}
