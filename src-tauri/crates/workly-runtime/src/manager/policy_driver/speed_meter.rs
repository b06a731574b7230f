//! How fast an answer is being written, over about the last half second. Time is an argument, in milliseconds.

/// Length of the stretch that is measured, milliseconds; longer where tokens come slower.
const STRETCH_MS: u64 = 500;

/// Counts tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpeedMeter {
    /// When the stretch began, and how many tokens it has had.
    stretch: Option<(u64, u32)>,
    /// Tokens per second of the last whole stretch, the context at its end, and when that was.
    last: Option<(f32, u32, u64)>,
}

impl SpeedMeter {
    /// A worker begins: what came before says nothing of it.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// A token came, with so many in the context by now.
    pub(crate) fn token(&mut self, context_tokens: u32, now: u64) {
        let Some((began, tokens)) = &mut self.stretch else {
            self.stretch = Some((now, 0));
            return;
        };
        *tokens += 1;
        let took = now.saturating_sub(*began);
        if took >= STRETCH_MS {
            let speed = *tokens as f32 * 1_000.0 / took as f32;
            self.last = Some((speed, context_tokens, now));
            self.stretch = Some((now, 0));
        }
    }

    /// Tokens per second and tokens in the context; a stretch that drags on counts while it does.
    pub(crate) fn now(&self, now: u64) -> Option<(f32, u32)> {
        let (speed, context_tokens, _) = self.last?;
        let dragging = self.stretch.map(|(began, tokens)| {
            let took = now.saturating_sub(began).max(1);
            if took >= STRETCH_MS { (tokens + 1) as f32 * 1_000.0 / took as f32 } else { speed }
        });
        Some((dragging.map_or(speed, |dragging| dragging.min(speed)), context_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_half_second_counts_and_a_stall_shows_before_it_ends() {
        let mut meter = SpeedMeter::default();
        assert_eq!(meter.now(0), None);
        (0..=60).for_each(|index| meter.token(index, u64::from(index) * 10));
        assert_eq!(meter.now(600), Some((100.0, 50)));
        assert_eq!(meter.now(2_500), Some((5.5, 50)));
        meter.restart();
        assert_eq!(meter.now(3_000), None);
    }
}
