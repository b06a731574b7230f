//! One `decide`: the time the policy adds to every reading. The budget is 1 microsecond.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use workly_core::policy::{Config, Observation, PolicyState, Sight, Speed, decide};
use workly_core::profile::Profile;
use workly_core::reading::Reading;
use workly_core::simulate::Footprints;

fn one_decision(criterion: &mut Criterion) {
    let plans = Footprints { performance_mib: 5100, balanced_mib: 3300 }.layer_plan();
    let config = Config::default();
    let cases = [("idle on the CPU", Profile::CpuFallback), ("answering on the GPU", Profile::Balanced)];
    for (name, profile) in cases {
        let active = plans.of(profile);
        let reading = Reading {
            vram_total: 6141 << 20,
            vram_used: (900 << 20) + active.footprint,
            gpu_percent: Some(70.0),
            ..Reading::default()
        };
        let mut now = 1_000_000;
        let mut state = PolicyState::new(profile, Some(&reading), 1.0, now);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                now += 500;
                let observation = Observation {
                    sight: Sight::Fresh(Reading { time_ms: now, ..reading }),
                    utilization_asked: true,
                    profile,
                    moving: false,
                    active,
                    plans,
                    gpu_work_ms: profile.uses_gpu().then_some(now),
                    answering: true,
                    speed: Some(Speed { tokens_per_second: 30.0, context_tokens: 2000 }),
                    fault: None,
                };
                let (next, decision) = decide(state, black_box(&observation), black_box(&config), now);
                state = next;
                decision
            });
        });
    }
}

criterion_group!(benches, one_decision);
criterion_main!(benches);
