//! How measured values are spread.

use std::fmt;

use serde::Serialize;

/// Order statistics of some values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub(crate) struct Distribution {
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Distribution {
    /// Of these values; all zero where there is none. A quantile is the least value that the share does not exceed.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Self::default() };
        let at = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, last + 1) - 1];
        Self { count: sorted.len(), min: sorted[0], median: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted[last] }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, median, p90, p99, max, .. } = self;
        write!(formatter, "{min:>9.1}{median:>9.1}{p90:>9.1}{p99:>9.1}{max:>9.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred = Distribution::of((1..=100).rev().map(f64::from));
        assert_eq!((hundred.min, hundred.median, hundred.p90), (1.0, 50.0, 90.0));
        assert_eq!((hundred.p99, hundred.max, hundred.count), (99.0, 100.0, 100));
        let one = Distribution::of([7.0]);
        assert_eq!((one.min, one.median, one.p99, one.max), (7.0, 7.0, 7.0, 7.0));
        assert_eq!(Distribution::of([]), Distribution::default());
    }
}
