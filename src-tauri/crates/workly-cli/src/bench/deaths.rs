//! What the death of the worker on the GPU costs, beside a switch.

use std::io::{self, Write};

use serde::Serialize;

use super::distribution::Distribution;
use super::run::Measured;

/// Figures of answers whose worker on the GPU was killed at random tokens.
#[derive(Debug, Serialize)]
pub(super) struct Deaths {
    seed: u64,
    /// Milliseconds between the last token and the next, with a standby that was ready.
    gap_ms: Distribution,
    /// The same with none: the model is loaded anew.
    gap_without_standby_ms: Distribution,
    /// What of that was taking over what had been saved.
    restore_without_standby_ms: Distribution,
    /// Milliseconds that the first load took.
    load_ms: f64,
    /// Median gap of a death by that of a switch to the CPU.
    gap_per_switch: f64,
    /// Deaths after which nothing that had been saved was taken over.
    without_checkpoint: usize,
}

impl Deaths {
    /// `alone`: measured without a standby.
    pub(super) fn of(seed: u64, measured: &Measured, alone: &Measured) -> Self {
        let gaps = |measured: &Measured| Distribution::of(measured.deaths.iter().map(|death| death.gap_ms));
        let switches = measured.switches.iter().filter(|switch| !switch.to.uses_gpu());
        let gap_ms = gaps(measured);
        let all = measured.deaths.iter().chain(&alone.deaths);
        Self {
            seed,
            gap_ms,
            gap_without_standby_ms: gaps(alone),
            restore_without_standby_ms: Distribution::of(alone.deaths.iter().filter_map(|death| death.restored_in_ms)),
            load_ms: alone.load_ms,
            gap_per_switch: gap_ms.median / Distribution::of(switches.map(|switch| switch.gap_ms)).median,
            without_checkpoint: all.filter(|death| death.state_bytes.is_none()).count(),
        }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { seed, gap_ms, gap_without_standby_ms, restore_without_standby_ms, .. } = self;
        writeln!(
            out,
            "\nworkers killed on the GPU, {} and {}: seed {seed}",
            gap_ms.count, gap_without_standby_ms.count
        )?;
        writeln!(out, "{:<34}{gap_ms}", "  gap_ms, a standby ready")?;
        writeln!(out, "{:<34}{gap_without_standby_ms}", "  gap_ms, none: loaded anew")?;
        writeln!(out, "{:<34}{restore_without_standby_ms}", "    of that taking over, ms")?;
        writeln!(out, "{:<34}{:>9.1}", "  the first load, ms", self.load_ms)?;
        writeln!(
            out,
            "\nThe median gap of a death with a standby is {:.2} times that of a switch.",
            self.gap_per_switch
        )?;
        writeln!(out, "Deaths after which all had to be computed anew: {}", self.without_checkpoint)
    }
}
