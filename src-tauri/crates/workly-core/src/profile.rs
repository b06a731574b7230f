//! Profiles: where the model's layers live, and the user's choice among them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the model's layers live.
///
/// Ordered from the lowest to the highest use of the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No layer on the GPU, in a worker that never loads a GPU backend.
    CpuFallback,
    /// Some layers on the GPU.
    Balanced,
    /// As many layers on the GPU as fit.
    Performance,
}

impl Profile {
    /// All profiles, the highest use of the GPU first.
    pub const ALL: [Self; 3] = [Self::Performance, Self::Balanced, Self::CpuFallback];

    /// The name used in settings, on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Balanced => "balanced",
            Self::CpuFallback => "cpu_fallback",
        }
    }

    /// Whether the profile places layers on the GPU.
    pub const fn uses_gpu(self) -> bool {
        !matches!(self, Self::CpuFallback)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A profile name that is none of [`Profile::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown profile '{0}': use auto, performance, balanced or cpu_fallback")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

/// The setting: let Workly choose, or hold one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "ts", ts(type = "\"auto\" | Profile"))]
pub enum ProfileChoice {
    /// Workly chooses from what the GPU has to spare.
    #[default]
    Auto,
    /// The user holds this profile.
    Fixed(Profile),
}

impl ProfileChoice {
    /// The name used in settings, on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fixed(profile) => profile.name(),
        }
    }
}

impl fmt::Display for ProfileChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ProfileChoice {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "auto" { Ok(Self::Auto) } else { name.parse().map(Self::Fixed) }
    }
}

impl Serialize for ProfileChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ProfileChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_read_back_from_its_own_name() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.name());
        }
        assert_eq!("auto".parse(), Ok(ProfileChoice::Auto));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_that_exist() {
        let message = "turbo".parse::<ProfileChoice>().unwrap_err().to_string();
        assert!(message.contains("'turbo'") && message.contains("cpu_fallback"), "{message}");
    }

    #[test]
    fn performance_is_the_highest_profile() {
        assert!(Profile::Performance > Profile::Balanced);
        assert!(Profile::Balanced > Profile::CpuFallback);
    }
}
