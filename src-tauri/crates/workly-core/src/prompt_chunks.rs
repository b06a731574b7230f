//! How many prompt tokens to compute at a time. On a GPU nobody is heard within a chunk, so it is short; on the CPU a
//! chunk can be given up, and is as long as speed wants it.

/// Fewest tokens in a chunk on a GPU.
const SMALLEST: u32 = 4;
/// Fewest on the CPU: the weights, which are read once for each chunk, take as long as so many tokens' computations.
const SMALLEST_ON_CPU: u32 = 32;
/// Most tokens in a chunk; llama.cpp's own default batch.
const LARGEST: u32 = 512;
/// Seconds a chunk should take at the most on a GPU.
const SECONDS_PER_CHUNK: f64 = 0.15;
/// Seconds a chunk should take on the CPU: what is computed of it is lost where it is given up.
const SECONDS_ON_CPU: f64 = 0.25;
/// Floating-point operations per second and CPU thread that a slow desktop core reaches on quantised weights.
const OPERATIONS_PER_THREAD: f64 = 40e9;

/// Sizes of the chunks a prompt is computed in.
///
/// On the CPU the size is a function of the model and the threads alone: the same prompt is computed in the same
/// chunks every time, so that the same seed gives the same answer. On a GPU, whose speed cannot be told from here,
/// the size follows what the last chunk took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptChunks {
    size: u32,
    adaptive: bool,
}

impl PromptChunks {
    /// For a model computed on the CPU alone.
    pub fn on_cpu(parameters: u64, threads: u32) -> Self {
        let operations_per_token = 2.0 * parameters.max(1) as f64;
        let tokens_per_second = OPERATIONS_PER_THREAD * f64::from(threads.max(1)) / operations_per_token;
        let wanted = (tokens_per_second * SECONDS_ON_CPU).clamp(f64::from(SMALLEST_ON_CPU), f64::from(LARGEST));
        Self { size: previous_power_of_two(wanted as u32), adaptive: false }
    }

    /// For a model with layers on a GPU.
    pub const fn on_gpu() -> Self {
        Self { size: 16, adaptive: true }
    }

    /// Tokens in the next chunk.
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Takes note that a full chunk took `seconds`.
    pub fn took(&mut self, seconds: f64) {
        if !self.adaptive {
            return;
        }
        if seconds > SECONDS_PER_CHUNK {
            self.size = (self.size / 2).max(SMALLEST);
        } else if seconds < SECONDS_PER_CHUNK / 3.0 {
            self.size = (self.size * 2).min(LARGEST);
        }
    }
}

const fn previous_power_of_two(number: u32) -> u32 {
    1 << number.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_model_is_computed_in_larger_chunks_than_a_large_one() {
        assert_eq!(PromptChunks::on_cpu(135_000_000, 2).size(), 64);
        assert_eq!(PromptChunks::on_cpu(7_000_000_000, 8).size(), 32);
        assert_eq!(PromptChunks::on_cpu(0, 0).size(), 512);
    }

    #[test]
    fn on_the_cpu_the_size_never_depends_on_time() {
        let mut chunks = PromptChunks::on_cpu(135_000_000, 2);
        chunks.took(5.0);
        assert_eq!(chunks, PromptChunks::on_cpu(135_000_000, 2));
    }

    #[test]
    fn on_the_gpu_the_size_follows_what_the_last_chunk_took() {
        let mut chunks = PromptChunks::on_gpu();
        for _ in 0..10 {
            chunks.took(0.001);
        }
        assert_eq!(chunks.size(), 512);
        for _ in 0..20 {
            chunks.took(3.0);
        }
        assert_eq!(chunks.size(), SMALLEST);
    }
}
