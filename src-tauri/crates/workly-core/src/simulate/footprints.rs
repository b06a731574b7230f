//! Footprints as they are given on the command line: `performance=5100,balanced=3300`, MiB.

use std::str::FromStr;

use crate::policy::{LayerPlan, ProfilePlan};

/// The VRAM footprint of each GPU profile, MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprints {
    /// Footprint of `performance`, MiB.
    pub performance_mib: u64,
    /// Footprint of `balanced`, MiB; at most that of `performance`.
    pub balanced_mib: u64,
}

/// Why a text gives no footprints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FootprintsError {
    /// A part that is not `profile=MiB`.
    #[error("'{0}' is not a profile and its MiB: write performance=5100,balanced=3300")]
    Malformed(String),
    /// A profile that takes no VRAM, or none at all.
    #[error("'{0}' is no GPU profile: write performance=5100,balanced=3300")]
    UnknownProfile(String),
    /// A profile given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A profile not given.
    #[error("{0} is missing: write performance=5100,balanced=3300")]
    Missing(&'static str),
    /// `balanced` takes more than `performance`.
    #[error("balanced={balanced} takes more than performance={performance}: balanced is the smaller of the two")]
    Order {
        /// MiB given for `balanced`.
        balanced: u64,
        /// MiB given for `performance`.
        performance: u64,
    },
}

impl FromStr for Footprints {
    type Err = FootprintsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut performance, mut balanced) = (None, None);
        for part in text.split(',') {
            let malformed = || FootprintsError::Malformed(part.trim().to_owned());
            let (profile, mib) = part.split_once('=').ok_or_else(malformed)?;
            let mib: u64 = mib.trim().parse().map_err(|_| malformed())?;
            // A footprint past any card there will ever be is a slip of the keyboard.
            if mib > 1 << 30 {
                return Err(malformed());
            }
            let (name, slot) = match profile.trim() {
                "performance" => ("performance", &mut performance),
                "balanced" => ("balanced", &mut balanced),
                other => return Err(FootprintsError::UnknownProfile(other.to_owned())),
            };
            if slot.replace(mib).is_some() {
                return Err(FootprintsError::Twice(name));
            }
        }
        let performance_mib = performance.ok_or(FootprintsError::Missing("performance"))?;
        let balanced_mib = balanced.ok_or(FootprintsError::Missing("balanced"))?;
        if balanced_mib > performance_mib {
            return Err(FootprintsError::Order { balanced: balanced_mib, performance: performance_mib });
        }
        Ok(Self { performance_mib, balanced_mib })
    }
}

impl Footprints {
    /// The layer plan they stand for. Layers only say which profile places more: a footprint says nothing else of them.
    pub fn layer_plan(&self) -> LayerPlan {
        let balanced_layers = u32::from(self.balanced_mib > 0);
        let performance_layers = balanced_layers + u32::from(self.performance_mib > self.balanced_mib);
        let plan = |layers, mib: u64| ProfilePlan { layers, footprint: mib << 20 };
        LayerPlan {
            performance: plan(performance_layers, self.performance_mib),
            balanced: plan(balanced_layers, self.balanced_mib),
            model_layers: performance_layers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footprints_are_read_in_any_order() {
        let expected = Ok(Footprints { performance_mib: 5100, balanced_mib: 3300 });
        assert_eq!("performance=5100,balanced=3300".parse(), expected);
        assert_eq!(" balanced = 3300 , performance = 5100 ".parse(), expected);
    }

    #[test]
    fn what_is_wrong_with_footprints_is_said() {
        for (text, part) in [
            ("", "''"),
            ("performance=5100", "balanced is missing"),
            ("performance=5100,balanced=x", "'balanced=x'"),
            ("performance=-5,balanced=3", "'performance=-5'"),
            ("performance=5100,balanced=3300,turbo=1", "'turbo'"),
            ("performance=1,performance=2,balanced=1", "twice"),
            ("performance=1,balanced=2", "smaller"),
            ("performance=99999999999,balanced=2", "'performance=99999999999'"),
        ] {
            let message = text.parse::<Footprints>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn equal_footprints_stand_for_equal_plans() {
        let plan = |performance_mib, balanced_mib| Footprints { performance_mib, balanced_mib }.layer_plan();
        assert_eq!(plan(10, 10).performance.layers, plan(10, 10).balanced.layers);
        assert!(plan(10, 5).performance.layers > plan(10, 5).balanced.layers);
        assert_eq!(plan(10, 0).balanced.layers, 0);
    }
}
