use workly_core::answer::StopReason;
use workly_core::model::ModelInfo;
use workly_core::problem::{Problem, ProblemCode};
use workly_core::sampling::Sampling;
use workly_core::text::AnswerText;

use super::*;
use crate::protocol::{GenerateRequest, Generated, ResumeRequest};

fn generate() -> Command {
    Command::Generate(request())
}

fn request() -> GenerateRequest {
    GenerateRequest {
        messages: Vec::new(),
        sampling: Sampling::default(),
        max_tokens: None,
        stop_strings: Vec::new(),
        ignore_end: false,
        state: None,
    }
}

fn resume(tokens: u32, withheld: u32) -> Command {
    Command::Resume(ResumeRequest { request: request(), answer: unfinished(tokens, withheld) })
}

/// An answer of 3 tokens of prompt.
fn unfinished(tokens: u32, withheld: u32) -> UnfinishedAnswer {
    UnfinishedAnswer {
        history: vec![1; 3 + tokens as usize],
        prompt_tokens: 3,
        cached_prompt_tokens: 0,
        dropped_turns: 0,
        tokens,
        seconds: 1.0,
        text: AnswerText::new(Vec::new()),
        withheld: (tokens - withheld..tokens).map(|index| (index, 7, String::new())).collect(),
    }
}

fn checkpointed(bytes: u64) -> Reply {
    Reply::Checkpointed { tokens: 3, bytes }
}

fn handed_over(answer: UnfinishedAnswer) -> Reply {
    Reply::HandedOver { answer, state_bytes: Some(1 << 30), saved_in_ms: 5.0 }
}

fn token(index: u32) -> Reply {
    Reply::Token { index, id: 7, text: "word".into() }
}

fn done(tokens: u32) -> Reply {
    Reply::Done(Generated { tokens, seconds: 1.0, prompt_tokens: 3, cached_prompt_tokens: 0, stop: StopReason::End })
}

fn prompt(done: u32, total: u32) -> Reply {
    Reply::Prompt { done, total, dropped_turns: 0 }
}

fn loaded() -> ModelInfo {
    ModelInfo {
        name: "model".into(),
        architecture: "llama".into(),
        parameters: 1,
        size_bytes: 1,
        layers: 30,
        trained_context_tokens: 2_048,
        context_tokens: 2_048,
        gpu_layers: 31,
        gpu_device: None,
        threads: 2,
    }
}

/// What is made of the last of some replies, when those before it are in order.
fn last(command: &Command, replies: &[Reply]) -> Result<(), Misreply> {
    let mut expected = Expected::of(command);
    let (last, before) = replies.split_last().unwrap();
    for reply in before {
        expected.hear(reply).unwrap();
    }
    expected.hear(last)
}

#[test]
fn an_answer_in_order_is_heard_to_its_end() {
    let begun =
        [Reply::PromptTokens { tokens: vec![1; 3] }, prompt(0, 3), checkpointed(9), prompt(3, 3), token(0), token(1)];
    let with = |end: Reply| [&begun[..], &[end]].concat();
    assert_eq!(last(&generate(), &with(done(2))), Ok(()));
    assert_eq!(last(&generate(), &with(handed_over(unfinished(2, 0)))), Ok(()));
    assert_eq!(last(&generate(), &with(handed_over(unfinished(4, 2)))), Ok(()), "two tokens are withheld");

    let resumed = Reply::Resumed { restored_tokens: 12, restored_in_ms: 1.5 };
    assert_eq!(last(&resume(10, 0), &[resumed.clone(), token(10), token(11), done(12)]), Ok(()));
    assert_eq!(last(&resume(10, 3), &[resumed, token(7), token(8), token(9), token(10), done(11)]), Ok(()));
    assert_eq!(last(&generate(), &[Reply::Failed(Problem::new(ProblemCode::DecodeFailed, "no"))]), Ok(()));
}

#[test]
fn tokens_come_one_after_the_other() {
    let out_of_order = |told, next| Err(Misreply::OutOfOrder { told, next });
    assert_eq!(last(&generate(), &[token(1)]), out_of_order(1, 0));
    assert_eq!(last(&generate(), &[token(u32::MAX)]), out_of_order(u32::MAX, 0));
    assert_eq!(last(&generate(), &[token(0), token(0)]), out_of_order(0, 1));
    assert_eq!(last(&generate(), &[token(0), token(2)]), out_of_order(2, 1));
    assert_eq!(last(&resume(10, 0), &[token(0)]), out_of_order(0, 10));
    assert_eq!(last(&resume(10, 2), &[token(10)]), out_of_order(10, 8));
    // Commands are ours, and the count that follows a wrong one still ends.
    let endless = ResumeRequest {
        request: request(),
        answer: UnfinishedAnswer { tokens: u32::MAX, withheld: Vec::new(), ..unfinished(0, 0) },
    };
    assert_eq!(last(&Command::Resume(endless), &[token(u32::MAX)]), Err(Misreply::Impossible("a token")));
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    let misfits = [
        (generate(), Reply::Loaded(loaded())),
        (generate(), Reply::Pong),
        (generate(), Reply::Resumed { restored_tokens: 0, restored_in_ms: 0.0 }),
        (generate(), Reply::LoadProgress { fraction: 0.5 }),
        (generate(), Reply::Heartbeat { progress: 1 }),
        (generate(), Reply::Hello { protocol: 1, version: String::new() }),
        (resume(1, 0), Reply::PromptTokens { tokens: vec![1] }),
        (Command::Ping, done(0)),
        (Command::Ping, token(0)),
        (Command::Devices, Reply::Pong),
        (generate(), Reply::Restored { tokens: 0 }),
        (Command::Restore { state: "state".into() }, checkpointed(1)),
        (Command::Ping, checkpointed(1)),
        (Command::Cancel { request: 1 }, Reply::Pong),
    ];
    for (command, reply) in misfits {
        assert_eq!(last(&command, std::slice::from_ref(&reply)), Err(Misreply::NotToThis), "{command:?} {reply:?}");
    }
    let prompt = Reply::PromptTokens { tokens: vec![1] };
    assert_eq!(last(&generate(), &[prompt.clone(), prompt]), Err(Misreply::Twice("the prompt")));
}

#[test]
fn figures_that_nobody_could_count_with_are_refused() {
    let load = || {
        Command::Load(crate::protocol::LoadRequest {
            path: "model".into(),
            gpu_layers: 0,
            device: None,
            context: workly_core::model::ContextSize::default(),
            threads: 1,
            follow_cores: false,
            kv_type: workly_core::model::KvType::default(),
        })
    };
    let unfinished = |change: &dyn Fn(&mut UnfinishedAnswer)| {
        let mut answer = unfinished(0, 0);
        change(&mut answer);
        handed_over(answer)
    };
    let footprint = FootprintTable {
        context_tokens: 1,
        by_layers: vec![Footprint { weights: u64::MAX, kv_cache: 1, compute: 0, backend: 0 }],
    };
    let footprints = Command::Footprint(crate::protocol::FootprintRequest {
        path: "model".into(),
        device: "card".into(),
        context: workly_core::model::ContextSize::default(),
        kv_type: workly_core::model::KvType::default(),
    });
    let impossible = [
        (generate(), prompt(4, 3)),
        (generate(), prompt(0, u32::MAX)),
        (generate(), done(1)),
        (generate(), Reply::PromptTokens { tokens: vec![0; MOST_TOKENS + 1] }),
        (generate(), Reply::Token { index: 0, id: 0, text: "x".repeat(MOST_TOKEN_TEXT_BYTES + 1) }),
        (generate(), unfinished(&|answer| answer.tokens = 1)),
        (generate(), unfinished(&|answer| answer.prompt_tokens = u32::MAX)),
        (generate(), unfinished(&|answer| answer.seconds = 1e300)),
        (generate(), unfinished(&|answer| answer.seconds = -1.0)),
        (generate(), unfinished(&|answer| answer.withheld.push((9, 9, String::new())))),
        (resume(1, 0), Reply::Resumed { restored_tokens: 0, restored_in_ms: -1.0 }),
        (load(), Reply::LoadProgress { fraction: 1.01 }),
        (load(), Reply::LoadProgress { fraction: f32::NAN }),
        (load(), Reply::Loaded(ModelInfo { layers: u32::MAX, ..loaded() })),
        (load(), Reply::Loaded(ModelInfo { gpu_layers: 32, ..loaded() })),
        (load(), Reply::Loaded(ModelInfo { size_bytes: u64::MAX, ..loaded() })),
        (footprints, Reply::Footprints(footprint)),
        (generate(), checkpointed(u64::MAX)),
        (generate(), Reply::Checkpointed { tokens: u32::MAX, bytes: 1 }),
    ];
    for (command, reply) in impossible {
        let told = last(&command, std::slice::from_ref(&reply));
        assert!(matches!(told, Err(Misreply::Impossible(_))), "{command:?} {told:?}");
    }
    assert_eq!(last(&load(), &[Reply::LoadProgress { fraction: 1.0 }, Reply::Loaded(loaded())]), Ok(()));
    assert_eq!(last(&generate(), &[checkpointed(4 << 30), done(0)]), Ok(()));
}
