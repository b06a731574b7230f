//! Choosing the next token, as a function of seed, position, history and logits alone.
//!
//! No generator state is carried from token to token: a worker that takes over an answer in the middle draws the very
//! number the old one would have drawn. The order of the steps is llama.cpp's: repeat penalty, top-k, top-p, min-p,
//! temperature, draw.

use serde::{Deserialize, Serialize};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct Sampling {
    /// 0 always takes the likeliest token; 1 samples what the model says; more is wilder.
    pub temperature: f32,
    /// Only this many of the likeliest tokens; 0: all.
    pub top_k: u32,
    /// Only the likeliest tokens that together reach this probability; 1: all.
    pub top_p: f32,
    /// Only tokens at least this likely in proportion to the likeliest; 0: all.
    pub min_p: f32,
    /// Divides the logits of tokens seen lately; 1: no penalty.
    pub repeat_penalty: f32,
    /// How many of the last tokens count as seen lately.
    pub repeat_last_n: u32,
    /// Fixes the draw.
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1.1, repeat_last_n: 64, seed: 0 }
    }
}

/// A sampling setting outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be {range}")]
pub struct SamplingOutOfRange {
    name: &'static str,
    range: &'static str,
}

impl Sampling {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// The first setting outside its range.
    pub fn check(&self) -> Result<(), SamplingOutOfRange> {
        let rules = [
            ("temperature", "between 0 and 10", (0.0..=10.0).contains(&self.temperature)),
            ("top_p", "above 0 and at most 1", self.top_p > 0.0 && self.top_p <= 1.0),
            ("min_p", "between 0 and 1", (0.0..=1.0).contains(&self.min_p)),
            ("repeat_penalty", "between 0.1 and 10", (0.1..=10.0).contains(&self.repeat_penalty)),
        ];
        match rules.into_iter().find(|(_, _, holds)| !holds) {
            Some((name, range, _)) => Err(SamplingOutOfRange { name, range }),
            None => Ok(()),
        }
    }
}

/// Chooses tokens. Holds buffers between calls, never anything that changes a choice.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    banned: Vec<i32>,
    penalised: Vec<f32>,
    candidates: Vec<(i32, f32)>,
}

impl Sampler {
    /// A sampler with these settings that never chooses the `banned` tokens.
    pub fn new(sampling: Sampling, banned: Vec<i32>) -> Self {
        Self { sampling, banned, penalised: Vec::new(), candidates: Vec::new() }
    }

    /// The token at `position` of the context, given the `logits` of the whole vocabulary and the tokens before it.
    ///
    /// Returns `None` for an empty vocabulary.
    pub fn choose(&mut self, logits: &[f32], history: &[i32], position: u64) -> Option<i32> {
        let logits = penalise(&self.sampling, &self.banned, logits, history, &mut self.penalised);
        if self.sampling.temperature <= 0.0 {
            return likeliest(logits);
        }
        self.candidates.clear();
        self.candidates.extend((0..).zip(logits.iter().copied().map(finite)));
        keep_top_k(&mut self.candidates, self.sampling.top_k);
        self.candidates.sort_unstable_by(by_logit_then_id);
        keep_top_p(&mut self.candidates, self.sampling.top_p);
        keep_min_p(&mut self.candidates, self.sampling.min_p);
        draw(&self.candidates, self.sampling.temperature, uniform(self.sampling.seed, position))
    }
}

fn finite(logit: f32) -> f32 {
    if logit.is_nan() { f32::NEG_INFINITY } else { logit }
}

/// Likelier first; of equals, the lower id, so that the order never depends on how it came about.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that sorting asks for")]
fn by_logit_then_id(left: &(i32, f32), right: &(i32, f32)) -> std::cmp::Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

fn likeliest(logits: &[f32]) -> Option<i32> {
    let mut best: Option<(i32, f32)> = None;
    for (id, &logit) in (0..).zip(logits) {
        if !logit.is_nan() && best.is_none_or(|(_, highest)| logit > highest) {
            best = Some((id, logit));
        }
    }
    best.map(|(id, _)| id)
}

/// The logits without the banned tokens and with repeats penalised; the very slice where there is nothing to change.
fn penalise<'a>(
    sampling: &Sampling,
    banned: &[i32],
    logits: &'a [f32],
    history: &[i32],
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    #[expect(clippy::float_cmp, reason = "1 is the exact value that stands for no penalty")]
    let reach = if sampling.repeat_penalty == 1.0 { 0 } else { sampling.repeat_last_n as usize };
    let recent = &history[history.len().saturating_sub(reach)..];
    if recent.is_empty() && banned.is_empty() {
        return logits;
    }
    let place = |token: &i32| usize::try_from(*token).ok().filter(|index| *index < logits.len());
    buffer.clear();
    buffer.extend_from_slice(logits);
    for index in recent.iter().filter_map(place) {
        // From the untouched logit: a token seen twice is penalised once.
        let logit = logits[index];
        buffer[index] = if logit > 0.0 { logit / sampling.repeat_penalty } else { logit * sampling.repeat_penalty };
    }
    for index in banned.iter().filter_map(place) {
        buffer[index] = f32::NEG_INFINITY;
    }
    buffer
}

fn keep_top_k(candidates: &mut Vec<(i32, f32)>, top_k: u32) {
    let count = top_k as usize;
    if count > 0 && count < candidates.len() {
        candidates.select_nth_unstable_by(count - 1, by_logit_then_id);
        candidates.truncate(count);
    }
}

/// `candidates` must be sorted.
fn keep_top_p(candidates: &mut Vec<(i32, f32)>, top_p: f32) {
    if top_p >= 1.0 {
        return;
    }
    let Some(&(_, highest)) = candidates.first() else {
        return;
    };
    let total: f64 = candidates.iter().map(|(_, logit)| f64::from(logit - highest).exp()).sum();
    let mut reached = 0.0;
    let mut kept = 0;
    for (_, logit) in candidates.iter() {
        reached += f64::from(logit - highest).exp() / total;
        kept += 1;
        if reached >= f64::from(top_p) {
            break;
        }
    }
    candidates.truncate(kept);
}

/// `candidates` must be sorted.
fn keep_min_p(candidates: &mut Vec<(i32, f32)>, min_p: f32) {
    if min_p <= 0.0 {
        return;
    }
    let Some(&(_, highest)) = candidates.first() else {
        return;
    };
    let lowest = highest + min_p.ln();
    let kept = candidates.iter().take_while(|(_, logit)| *logit >= lowest).count();
    candidates.truncate(kept.max(1));
}

fn draw(candidates: &[(i32, f32)], temperature: f32, uniform: f64) -> Option<i32> {
    let &(likeliest, highest) = candidates.first()?;
    let weight = |logit: f32| f64::from((logit - highest) / temperature).exp();
    let total: f64 = candidates.iter().map(|(_, logit)| weight(*logit)).sum();
    let mut left = uniform * total;
    for (id, logit) in candidates {
        left -= weight(*logit);
        if left < 0.0 {
            return Some(*id);
        }
    }
    Some(likeliest)
}

/// A number in `0.0..1.0` that depends on seed and position alone (`SplitMix64`, Steele et al. 2014).
fn uniform(seed: u32, position: u64) -> f64 {
    let mut bits = (u64::from(seed) << 32).wrapping_add(position).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for multiplier in [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xBF58_476D_1CE4_E5B9] {
        bits = (bits ^ (bits >> 30)).wrapping_mul(multiplier);
    }
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(temperature: f32) -> Sampling {
        Sampling { temperature, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, ..Sampling::default() }
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_the_lower_id_of_equals() {
        let mut sampler = Sampler::new(plain(0.0), vec![]);
        assert_eq!(sampler.choose(&[0.1, 3.0, f32::NAN, 3.0], &[], 7), Some(1));
        assert_eq!(sampler.choose(&[], &[], 0), None);
    }

    #[test]
    fn a_choice_depends_on_nothing_that_was_chosen_before() {
        let logits: Vec<f32> = (0..1000).map(|id| ((id * 37) % 101) as f32 / 20.0).collect();
        let mut experienced = Sampler::new(Sampling { seed: 5, ..Sampling::default() }, vec![]);
        let chosen: Vec<_> = (0..200).map(|position| experienced.choose(&logits, &[1, 2, 3], position)).collect();
        for (position, expected) in (0..200).zip(&chosen) {
            let mut fresh = Sampler::new(Sampling { seed: 5, ..Sampling::default() }, vec![]);
            assert_eq!(fresh.choose(&logits, &[1, 2, 3], position), *expected);
        }
        assert!(chosen.iter().any(|token| *token != chosen[0]), "positions draw different numbers");
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = Sampler::new(Sampling { seed: 9, ..plain(1.0) }, vec![]);
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        let mut counts = [0_u32; 3];
        for position in 0..20_000 {
            counts[sampler.choose(&logits, &[], position).unwrap() as usize] += 1;
        }
        for (count, expected) in counts.iter().zip([10_000_u32, 6_000, 4_000]) {
            assert!(count.abs_diff(expected) < 400, "{counts:?}");
        }
    }

    #[test]
    fn different_seeds_give_different_draws() {
        let logits = [0.0_f32; 64];
        let draws = |seed| -> Vec<_> {
            let mut sampler = Sampler::new(Sampling { seed, ..plain(1.0) }, vec![]);
            (0..32).map(|position| sampler.choose(&logits, &[], position)).collect()
        };
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn top_k_top_p_and_min_p_leave_only_likely_tokens() {
        let logits = [5.0, 4.9, 1.0, 0.9, -3.0];
        for sampling in [
            Sampling { top_k: 2, ..plain(5.0) },
            Sampling { top_p: 0.9, ..plain(5.0) },
            Sampling { min_p: 0.5, ..plain(5.0) },
        ] {
            let mut sampler = Sampler::new(sampling.clone(), vec![]);
            for position in 0..500 {
                assert!(sampler.choose(&logits, &[], position).unwrap() < 2, "{sampling:?}");
            }
        }
    }

    #[test]
    fn a_repeated_token_is_penalised_once_and_only_while_recent() {
        let mut sampler =
            Sampler::new(Sampling { temperature: 0.0, repeat_penalty: 2.0, repeat_last_n: 2, ..plain(0.0) }, vec![]);
        assert_eq!(sampler.choose(&[3.0, 2.0], &[0, 0], 0), Some(1));
        assert_eq!(sampler.choose(&[3.0, 2.0], &[0, 9, 9], 0), Some(0));
        assert_eq!(sampler.choose(&[-1.0, -1.5], &[0], 0), Some(1), "a negative logit is pushed further down");
        assert_eq!(sampler.choose(&[3.0, 2.0], &[-7, 4000], 0), Some(0), "ids outside the vocabulary are ignored");
    }

    #[test]
    fn a_banned_token_is_never_chosen() {
        let mut sampler = Sampler::new(plain(1.0), vec![0, 99]);
        for position in 0..200 {
            assert_ne!(sampler.choose(&[9.0, 1.0, 0.5], &[], position), Some(0));
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let message = Sampling { temperature: f32::NAN, ..Sampling::default() }.check().unwrap_err().to_string();
        assert_eq!(message, "temperature must be between 0 and 10");
        assert!(Sampling { top_p: 0.0, ..Sampling::default() }.check().is_err());
        assert!(Sampling::default().check().is_ok());
    }
}
