//! Ten thousand workers that say nearly the right thing, heard as the application hears them.

use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use workly_core::answer::StopReason;
use workly_core::layer_plan::{Footprint, FootprintTable};
use workly_core::model::{ContextSize, KvType, ModelInfo};
use workly_core::problem::{Problem, ProblemCode};
use workly_core::sampling::Sampling;
use workly_core::text::AnswerText;

use super::*;
use crate::call::WAITING_EVENTS;
use crate::frame;
use crate::protocol::{
    FootprintRequest, GenerateRequest, Generated, LoadRequest, ModelReading, Reply, ResumeRequest, UnfinishedAnswer,
};

const SEQUENCES: u64 = 10_000;
const LONGEST: usize = 40;
/// The id of the call that is open.
const ID: u64 = 1;

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

fn unfinished(random: &mut Rng, prompt_tokens: u32, tokens: u32, withheld: u32) -> UnfinishedAnswer {
    UnfinishedAnswer {
        history: vec![1; (prompt_tokens + tokens) as usize],
        prompt_tokens,
        cached_prompt_tokens: 0,
        dropped_turns: 0,
        tokens,
        seconds: random.f64(),
        text: AnswerText::new(Vec::new()),
        withheld: (tokens - withheld..tokens).map(|index| (index, 1, String::new())).collect(),
    }
}

fn command(random: &mut Rng) -> Command {
    match random.u8(..16) {
        0 => Command::Devices,
        1 => Command::Load(LoadRequest {
            path: "model".into(),
            gpu_layers: 0,
            device: None,
            context: ContextSize::default(),
            threads: 1,
            follow_cores: false,
            kv_type: KvType::default(),
        }),
        2 => Command::Footprint(FootprintRequest {
            path: "model".into(),
            device: "card".into(),
            context: ContextSize::default(),
            kv_type: KvType::default(),
        }),
        3 | 4 => Command::Restore { state: "state".into() },
        5 => Command::Ping,
        6..11 => {
            let tokens = random.u32(..20);
            let withheld = random.u32(..=tokens);
            let answer = unfinished(random, 3, tokens, withheld);
            Command::Resume(ResumeRequest { request: request(), answer })
        }
        _ => Command::Generate(request()),
    }
}

/// A figure that is often right, at times nearly, and at times absurd.
fn near(random: &mut Rng, right: u32) -> u32 {
    match random.u8(..200) {
        0 => u32::MAX,
        1 => right.wrapping_sub(1),
        2 => right.wrapping_add(1),
        3 => random.u32(..),
        _ => right,
    }
}

fn near_bytes(random: &mut Rng, right: u64) -> u64 {
    if random.u8(..50) == 0 { u64::MAX - random.u64(..3) } else { right }
}

fn near_time(random: &mut Rng) -> f64 {
    match random.u8(..100) {
        0 => -1.0,
        1 => 1e300,
        2 => f64::MAX,
        _ => random.f64(),
    }
}

/// What a worker in good order may say next when it has told the tokens before `next`; any of it may be off.
fn reply(random: &mut Rng, command: &Command, next: &mut u32) -> Reply {
    let model = |random: &mut Rng| ModelInfo {
        name: "model".into(),
        architecture: "llama".into(),
        parameters: 1,
        size_bytes: near_bytes(random, 1 << 30),
        layers: near(random, 30),
        trained_context_tokens: near(random, 2_048),
        context_tokens: near(random, 2_048),
        gpu_layers: near(random, 0),
        gpu_device: None,
        threads: near(random, 2),
    };
    let fitting = if random.u8(..100) == 0 { u8::MAX } else { 0 };
    match command {
        _ if fitting == u8::MAX => anything(random),
        Command::Devices => Reply::Devices { devices: Vec::new() },
        Command::Load(_) if random.bool() => Reply::LoadProgress { fraction: random.f32() * 1.05 },
        Command::Load(_) => Reply::Loaded(model(random)),
        Command::Footprint(_) => Reply::Footprints(FootprintTable {
            context_tokens: near(random, 2_048),
            by_layers: vec![Footprint {
                weights: near_bytes(random, 1),
                kv_cache: near_bytes(random, 1),
                compute: near_bytes(random, 1),
                backend: near_bytes(random, 1),
            }],
        }),
        Command::Restore { .. } => Reply::Restored { tokens: near(random, 9) },
        Command::Generate(_) | Command::Resume(_) => match random.u8(..LONGEST as u8) {
            0 => Reply::Done(Generated {
                tokens: near(random, *next),
                seconds: near_time(random),
                prompt_tokens: near(random, 3),
                cached_prompt_tokens: 0,
                stop: StopReason::End,
            }),
            1 => {
                let withheld = random.u32(..3);
                let mut answer = unfinished(random, 3, *next + withheld, withheld);
                answer.tokens = near(random, answer.tokens);
                answer.prompt_tokens = near(random, answer.prompt_tokens);
                answer.seconds = near_time(random);
                Reply::HandedOver { answer, state_bytes: None, saved_in_ms: near_time(random) }
            }
            2 if matches!(command, Command::Generate(_)) => Reply::PromptTokens { tokens: vec![1; 3] },
            2 => Reply::Resumed { restored_tokens: near(random, 3), restored_in_ms: near_time(random) },
            3 => Reply::Checkpointed { tokens: near(random, 3), bytes: near_bytes(random, 1) },
            4..8 => Reply::Prompt { done: near(random, 2), total: near(random, 3), dropped_turns: 0 },
            _ => {
                let index = near(random, *next);
                *next = next.wrapping_add(1);
                Reply::Token { index, id: 1, text: "word ".into() }
            }
        },
        _ => Reply::Pong,
    }
}

fn anything(random: &mut Rng) -> Reply {
    match random.u8(..10) {
        0 => Reply::Hello { protocol: 1, version: String::new() },
        1 => Reply::Heartbeat { progress: 1 },
        2 | 3 => Reply::Pong,
        4 => Reply::Token { index: random.u32(..), id: 0, text: String::new() },
        5 => Reply::Inspected(ModelReading {
            architecture: String::new(),
            parameters: u64::MAX,
            tensor_bytes: u64::MAX,
            tensors: u32::MAX,
            layers: u32::MAX,
            trained_context_tokens: u32::MAX,
            quantization: String::new(),
        }),
        6 => Reply::Failed(Problem::new(ProblemCode::DecodeFailed, "no")),
        7 => Reply::PromptTokens { tokens: vec![i32::MIN; random.usize(..9)] },
        8 => Reply::Checkpointed { tokens: 1, bytes: u64::MAX },
        _ => Reply::Restored { tokens: u32::MAX },
    }
}

/// What a worker writes into its pipe: frames, now and then under another id, or with a byte that is not right.
fn said(random: &mut Rng, command: &Command) -> Vec<u8> {
    let mut next = match command {
        Command::Resume(resume) => resume.answer.withheld.first().map_or(resume.answer.tokens, |(index, ..)| *index),
        _ => 0,
    };
    let mut pipe = Vec::new();
    for _ in 0..random.usize(1..LONGEST * 2) {
        let id = if random.u8(..200) == 0 { random.u64(..4) } else { ID };
        let reply = reply(random, command, &mut next);
        let is_final = reply.is_final();
        pipe.extend(frame::encode(&Envelope { id, reply }).unwrap());
        if is_final && random.u8(..10) > 0 {
            break;
        }
    }
    if random.u8(..10) == 0 {
        let at = random.usize(..pipe.len());
        pipe[at] = random.u8(..);
    }
    pipe
}

/// Counts with what it hears as the application does: none of it may overflow, run ahead or take much memory.
#[derive(Default)]
struct Listener {
    starts: Vec<usize>,
    text: String,
    is_over: bool,
}

impl Listener {
    fn new(command: &Command) -> Self {
        let told = match command {
            Command::Resume(resume) => resume.answer.tokens as usize - resume.answer.withheld.len(),
            _ => 0,
        };
        Self { starts: vec![0; told], ..Self::default() }
    }

    fn hear(&mut self, reply: &Reply) {
        assert!(!self.is_over, "nothing follows the last reply");
        self.is_over = reply.is_final();
        match reply {
            Reply::Token { index, text, .. } => {
                assert_eq!(*index as usize, self.starts.len());
                self.starts.resize(*index as usize + 1, self.text.len());
                self.text.push_str(text);
            }
            Reply::Prompt { done, total, .. } => assert!(total - done <= *total),
            Reply::Done(figures) => {
                assert_eq!(figures.tokens as usize, self.starts.len());
                assert!(Duration::from_secs_f64(figures.seconds) < Duration::MAX);
            }
            Reply::HandedOver { answer, saved_in_ms, .. } => {
                assert!(
                    Duration::from_secs_f64(answer.seconds) + Duration::from_secs_f64(*saved_in_ms) < Duration::MAX
                );
                assert_eq!((answer.prompt_tokens + answer.tokens) as usize, answer.history.len());
                assert_eq!(answer.tokens as usize, self.starts.len() + answer.withheld.len());
            }
            Reply::Resumed { restored_tokens, restored_in_ms } => {
                assert!(Duration::from_secs_f64(*restored_in_ms) < Duration::MAX && restored_tokens + 1 > 0);
            }
            Reply::Loaded(model) => assert!(model.layers + 1 >= model.gpu_layers && model.size_bytes * 4 > 0),
            Reply::Footprints(table) => table.by_layers.iter().for_each(|footprint| assert!(footprint.total() > 0)),
            Reply::Checkpointed { tokens, bytes } => assert!(tokens + 1 > 0 && bytes + 1 > 0),
            Reply::Restored { tokens } => assert!(tokens + 1 > 0),
            _ => {}
        }
    }
}

#[tokio::test]
async fn ten_thousand_workers_that_say_nearly_the_right_thing_bring_nobody_down() {
    let (mut whole, mut refused, mut garbled) = (0, 0, 0);
    for seed in 0..SEQUENCES {
        let random = &mut Rng::with_seed(seed);
        let command = command(random);
        let pipe = said(random, &command);
        let mut frames = frame::stream::<Envelope>(pipe.as_slice()).boxed();
        let (sender, mut events) = mpsc::channel(WAITING_EVENTS);
        let mut calls = OpenCalls::default();
        calls.open(ID, &command, sender);
        let mut listener = Listener::new(&command);
        while let Some(frame) = frames.next().await {
            let Ok(envelope) = frame else {
                garbled += 1;
                break;
            };
            if calls.hear(envelope).is_err() {
                refused += 1;
                break;
            }
            assert!(calls.has_room());
            while let Ok(event) = events.try_recv() {
                let CallEvent::Reply(reply) = event else { panic!("seed {seed}: {event:?}") };
                listener.hear(&reply);
            }
        }
        whole += usize::from(listener.is_over);
    }
    // The sequences are worth something only where all of it happens, often.
    assert!(whole > 2_000 && refused > 2_000 && garbled > 500, "{whole} whole, {refused} refused, {garbled} garbled");
}

#[tokio::test]
async fn events_that_nobody_takes_wait_in_order_and_keep_the_next_from_being_heard() {
    let token = |index| Reply::Token { index, id: 1, text: String::new() };
    let (sender, mut events) = mpsc::channel(2);
    let mut calls = OpenCalls::default();
    calls.open(ID, &Command::Generate(request()), sender);
    for index in 0..3 {
        assert!(calls.has_room());
        calls.hear(Envelope { id: ID, reply: token(index) }).unwrap();
    }
    assert!(!calls.has_room());
    calls.tell_all(&CallEvent::Silent);
    let heard = async {
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(events.recv().await.unwrap());
        }
        heard
    };
    let ((), heard) = tokio::join!(calls.room(), heard);
    let tokens = (0..3).map(|index| CallEvent::Reply(token(index)));
    assert_eq!(heard, tokens.chain([CallEvent::Silent]).collect::<Vec<_>>());
    assert!(calls.has_room());
}

#[tokio::test]
async fn a_call_that_was_dropped_holds_nobody_up() {
    let (sender, events) = mpsc::channel(1);
    let mut calls = OpenCalls::default();
    calls.open(ID, &Command::Generate(request()), sender);
    for index in 0..3 {
        calls.hear(Envelope { id: ID, reply: Reply::Token { index, id: 1, text: String::new() } }).unwrap();
    }
    assert!(!calls.has_room());
    drop(events);
    calls.room().await;
    calls.hear(Envelope { id: ID, reply: Reply::Token { index: 3, id: 1, text: String::new() } }).unwrap();
    assert!(calls.has_room());
}
