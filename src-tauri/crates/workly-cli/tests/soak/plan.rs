//! What one answer of the soak is to live through. Pure: chance is an argument.

use fastrand::Rng;
use workly_core::profile::Profile;

/// Tokens of an answer. Few: what is tried lies between them.
pub(crate) const TOKENS: u32 = 40;

/// When a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// While the model loads.
    Load,
    /// While the prompt is computed.
    Prompt,
    /// With the first token told.
    FirstToken,
    /// Somewhere in the answer, as often as chance wants it.
    AnyToken,
    /// Around a change of workers: the one that is left, or the one that comes.
    Handover,
    /// The standby dies, mostly while it loads.
    Standby,
}

impl Moment {
    pub(crate) const ALL: [Self; 6] =
        [Self::Load, Self::Prompt, Self::FirstToken, Self::AnyToken, Self::Handover, Self::Standby];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Prompt => "prompt",
            Self::FirstToken => "first token",
            Self::AnyToken => "any token",
            Self::Handover => "handover",
            Self::Standby => "standby",
        }
    }

    /// Whether it exists only where the model has a place to move to.
    const fn needs_gpu(self) -> bool {
        matches!(self, Self::Handover | Self::Standby)
    }
}

/// How a worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Kill,
    Segv,
    Abort,
}

/// What starts the clock of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The answer was asked for.
    Asked,
    /// A part of the prompt was computed.
    Prompt,
    /// The token of this index was told, or a later one.
    Token(u32),
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The worker that answers.
    Writer,
    /// Another one: the standby, or the one that is to follow.
    Other,
}

/// One thing that happens to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) trigger: Trigger,
    /// The model is sent there at the trigger.
    pub(crate) switch: Option<Profile>,
    /// From the trigger to the death, milliseconds.
    pub(crate) delay_ms: u64,
    pub(crate) victim: Victim,
    pub(crate) way: Way,
}

/// One answer and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) moment: Moment,
    /// Where the model is to be when it begins.
    pub(crate) place: Profile,
    /// The model is given back before, so that it is loaded for this answer.
    pub(crate) fresh: bool,
    /// The worker that is loaded for it exits by itself at this point, as `WORKLY_FAULT` writes it.
    pub(crate) exit: Option<String>,
    /// Further deaths, in order.
    pub(crate) deeds: Vec<Deed>,
    /// Number of words of the question.
    pub(crate) words: usize,
}

impl Round {
    /// Draws one. `on_gpu`: whether the model is to be on the GPU.
    pub(crate) fn draw(random: &mut Rng, on_gpu: bool) -> Self {
        let moments: Vec<Moment> = Moment::ALL.into_iter().filter(|moment| on_gpu || !moment.needs_gpu()).collect();
        let moment = moments[random.usize(..moments.len())];
        let place = if on_gpu { Profile::Performance } else { Profile::CpuFallback };
        let can_exit = matches!(moment, Moment::Load | Moment::Prompt | Moment::FirstToken | Moment::AnyToken);
        let exit = (can_exit && random.u8(..4) == 0).then(|| match moment {
            Moment::Load => "exit@load".to_owned(),
            Moment::Prompt => "exit@prompt".to_owned(),
            Moment::FirstToken => "exit@token:1".to_owned(),
            _ => format!("exit@token:{}", random.u32(2..TOKENS - 1)),
        });
        let deeds = if exit.is_some() { Vec::new() } else { deeds(random, moment, on_gpu) };
        // The standby comes up behind a model that was just loaded.
        let fresh = exit.is_some() || matches!(moment, Moment::Load | Moment::Standby) || random.bool();
        let words = if moment == Moment::Prompt { 250 } else { random.usize(3..40) };
        Self { moment, place, fresh, exit, deeds, words }
    }
}

fn deeds(random: &mut Rng, moment: Moment, on_gpu: bool) -> Vec<Deed> {
    let way = [Way::Kill, Way::Kill, Way::Segv, Way::Abort][random.usize(..4)];
    let deed = |trigger, delay_ms, victim| Deed { trigger, switch: None, delay_ms, victim, way };
    match moment {
        // A load takes about so long in either place.
        Moment::Load => vec![deed(Trigger::Asked, random.u64(..if on_gpu { 2_000 } else { 400 }), Victim::Writer)],
        Moment::Prompt => vec![deed(Trigger::Prompt, random.u64(..200), Victim::Writer)],
        Moment::FirstToken => vec![deed(Trigger::Token(0), 0, Victim::Writer)],
        Moment::AnyToken => {
            let mut tokens: Vec<u32> = (0..random.usize(1..4)).map(|_| random.u32(1..TOKENS - 4)).collect();
            tokens.sort_unstable();
            tokens.into_iter().map(|token| deed(Trigger::Token(token), random.u64(..40), Victim::Writer)).collect()
        }
        Moment::Handover => {
            let victim = |random: &mut Rng| if random.bool() { Victim::Writer } else { Victim::Other };
            // A handover itself is a matter of milliseconds; a worker that is still to be loaded takes longer.
            let delay =
                |random: &mut Rng, longest| if random.bool() { random.u64(..30) } else { random.u64(..longest) };
            let down = Deed {
                switch: Some(Profile::CpuFallback),
                ..deed(Trigger::Token(random.u32(1..12)), delay(random, 300), victim(random))
            };
            let up = Deed {
                switch: Some(Profile::Performance),
                ..deed(Trigger::Token(random.u32(12..TOKENS - 8)), delay(random, 1_500), victim(random))
            };
            if random.bool() { vec![down, up] } else { vec![down] }
        }
        Moment::Standby => vec![deed(Trigger::Token(0), random.u64(..400), Victim::Other)],
    }
}

#[test]
fn every_moment_is_drawn_and_a_seed_draws_the_same_again() {
    let draw = |seed| -> Vec<Round> {
        let mut random = Rng::with_seed(seed);
        (0..200).map(|index| Round::draw(&mut random, index % 2 == 0)).collect()
    };
    let rounds = draw(7);
    assert_eq!(rounds, draw(7));
    assert_ne!(rounds, draw(8));
    assert!(Moment::ALL.iter().all(|moment| rounds.iter().any(|round| round.moment == *moment)));
    assert!(rounds.iter().all(|round| round.exit.is_some() == round.deeds.is_empty()), "each has a death in it");
}
