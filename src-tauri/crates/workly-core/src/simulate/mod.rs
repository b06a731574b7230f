//! Simulations: a recorded or invented load of others, played against a policy with Workly's own share added.
//!
//! The loop is closed: what Workly takes of the card follows from the profile it is in, and the next reading shows it.
//! Switches take no time and the driver tells nothing about single processes. Also serves the settings page ("over the
//! last hour this would have switched N times"). Pure: a trace comes in as text.

mod footprints;
mod past;
mod report;
mod run;
mod trace;

pub use footprints::{Footprints, FootprintsError};
pub use past::Past;
pub use report::{Report, SecondsIn, SimulatedSwitch};
pub use run::{SimulatedPolicy, Step, simulate, simulate_steps};
pub use trace::{Row, Trace, TraceError};
