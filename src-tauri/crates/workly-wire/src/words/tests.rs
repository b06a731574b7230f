//! What is said, and that neither language speaks the other's.

use workly_core::policy::{Numbers, Reason};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::reading::ProcessUse;
use workly_core::why::{WorkerFault, WorkerFaultKind};

use super::*;

const NUMBERS: Numbers = Numbers {
    vram_percent: Some(85.2),
    gpu_percent: Some(99.0),
    external_vram_percent: Some(16.0),
    external_gpu_percent: Some(88.0),
};

fn decided(reason: Reason, to: Profile, culprits: Vec<ProcessUse>) -> Why {
    Why::Policy { reason, from: Profile::Performance, to, numbers: NUMBERS, culprits }
}

fn process(pid: u32, name: Option<&str>, vram_bytes: Option<u64>) -> ProcessUse {
    ProcessUse { pid, name: name.map(Into::into), vram_bytes }
}

#[test]
fn a_line_carries_the_numbers_and_the_culprits() {
    let obs = || process(7, Some("obs"), Some(1_200_000_000));
    let stressed = decided(Reason::Stress, Profile::Balanced, vec![obs()]);
    assert_eq!(line(Profile::Balanced, &stressed), "balanced: VRAM 85 %, others' GPU 88 % (obs 1.2 GB)");
    let many =
        vec![process(1, None, None), obs(), process(3, Some("game"), Some(4_000_000_000)), process(4, None, None)];
    let overloaded = decided(Reason::Overload, Profile::CpuFallback, many);
    assert_eq!(
        line(Profile::CpuFallback, &overloaded),
        "cpu_fallback: VRAM 85 %, others' VRAM 16 % (game 4.0 GB, obs 1.2 GB, process 1)"
    );
    assert_eq!(
        Language::French.why(&overloaded),
        "VRAM 85\u{a0}%, VRAM des autres 16\u{a0}% (game 4,0\u{a0}Go, obs 1,2\u{a0}Go, processus 1)"
    );
}

#[test]
fn a_line_leaves_out_what_is_unknown() {
    let why = Why::Policy {
        reason: Reason::Fault,
        from: Profile::Performance,
        to: Profile::CpuFallback,
        numbers: Numbers::default(),
        culprits: Vec::new(),
    };
    assert_eq!(line(Profile::CpuFallback, &why), "cpu_fallback: the model's worker ran out of memory");
    let recovered = Why::Policy {
        reason: Reason::Recovered,
        from: Profile::CpuFallback,
        to: Profile::Performance,
        numbers: Numbers::default(),
        culprits: Vec::new(),
    };
    assert_eq!(line(Profile::Performance, &recovered), "performance");
}

#[test]
fn a_worker_that_was_killed_is_told_with_its_signal() {
    let fault = WorkerFault { kind: WorkerFaultKind::Killed, signal: Some(9), exit_code: None };
    let killed = Why::Worker { fault };
    assert_eq!(line(Profile::CpuFallback, &killed), "cpu_fallback: the model process was ended from outside (SIGKILL)");
    assert!(Language::French.why(&killed).ends_with("de l’extérieur (SIGKILL)"));
}

#[test]
fn what_a_script_asked_for_is_said_without_a_profile() {
    let why = Why::Asked { after_token: Some(20) };
    assert_eq!(line(Profile::Balanced, &why), "asked for after token 20");
}

/// One of each notice, with everything in it that can be said.
fn notices() -> Vec<Notice> {
    let (wanted, taken) = (Profile::Performance, Profile::Balanced);
    let fault = WorkerFault { kind: WorkerFaultKind::Crashed, signal: Some(6), exit_code: None };
    let problem = || Problem::new(ProblemCode::OutOfMemory, "The model does not fit into memory.");
    vec![
        Notice::NoRoom { wanted },
        Notice::NoRoomAtStart { wanted },
        Notice::NotTaken { wanted, problem: problem() },
        Notice::CpuRefused { problem: problem() },
        Notice::CrashedTooOften,
        Notice::CardRefused { card: "RTX".to_owned() },
        Notice::GpuUnusable { fault },
        Notice::NoGpu { wanted },
        Notice::CameBack { wanted, taken },
        Notice::LowMemory { needed_bytes: 8_000_000_000, available_bytes: 4_000_000_000 },
        Notice::WorkerHeld { process_id: 7 },
    ]
}

#[test]
fn the_french_window_hears_no_english() {
    let reasons = [
        Reason::Overload,
        Reason::Stress,
        Reason::Fault,
        Reason::Crash,
        Reason::Recovered,
        Reason::Replan,
        Reason::Override,
        Reason::Choice,
        Reason::GpuGone,
        Reason::Start,
        Reason::Table,
    ];
    let decisions = reasons
        .into_iter()
        .flat_map(|reason| Profile::ALL.map(|to| decided(reason, to, vec![process(7, None, Some(1_200_000_000))])));
    let faults = [
        WorkerFaultKind::Killed,
        WorkerFaultKind::Crashed,
        WorkerFaultKind::Left,
        WorkerFaultKind::OutOfMemory,
        WorkerFaultKind::BadModel,
        WorkerFaultKind::Protocol,
        WorkerFaultKind::Unresponsive,
        WorkerFaultKind::NotStarted,
        WorkerFaultKind::NotComputed,
    ];
    let workers = faults.map(|kind| Why::Worker { fault: WorkerFault { kind, signal: None, exit_code: Some(3) } });
    let asked = [None, Some(3)].map(|after_token| Why::Asked { after_token });
    let said = decisions.chain(workers).chain(asked).map(|why| Language::ALL.map(|language| language.why(&why)));
    let said = said.chain(notices().into_iter().map(|notice| Language::ALL.map(|language| language.notice(&notice))));
    for [english, french] in said {
        let is_english = |word: &str| {
            ["the", "The", "of", "others'", "as", "asked", "model", "process", "was", "and", "GB"].contains(&word)
        };
        let words = french.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
        assert_eq!(words.filter(|word| is_english(word)).collect::<Vec<_>>(), [""; 0], "{french}");
        assert_ne!(english, french);
    }
}
