//! The policy: when the model leaves the GPU, and when it comes back.
//!
//! [`classify`] is the seed's table: memoryless, for display. [`decide`] is what switches. It works on what *others* do
//! (`external`, `utilization`), because Workly's own model fills the card and its own generation loads it. Pure: no
//! clock, no I/O; loading, unloading and the handover are not here.
//!
//! Where the rules leave a choice:
//! - The overload line is the threshold, but at most 97 %, the emergency; projections keep 2 points below that line.
//!   An emergency, too, waits for its second reading, 250 ms later: one reading may be a glitch. What it changes is the
//!   handover (the worker ends at once) and that it acts while the user holds the GPU.
//! - A profile left downward too soon makes the profiles that would not have stood the same load wait as long, else
//!   each would be tried in turn. What that load was, and whether an overload soon after a load was our own doing, is
//!   seen by the first calm reading after leaving, and settled then.
//! - An overload of our own doing goes to `cpu_fallback` like any other, with the reason `replan`; the plan counts from
//!   then on with the footprint it was seen to have, so it is not climbed to where it would not fit.
//! - A fault goes to the next lower profile unless the card has no room for that one either.
//! - A profile without more layers than the active plan is not climbed to, and stress does not move the model where
//!   the layers would stay the same. Stress that ends in a reading over the overload line goes to `cpu_fallback` at once.
//! - An override comes before the profile choice. A profile the user holds is returned to as soon as what forced us out
//!   is over: after a fault or a lost GPU at the earliest one hold later.

mod admission;
mod classify;
mod clocks;
mod decide;
mod decision;
mod external;
mod observation;
mod state;
mod utilization;

pub use admission::{EMERGENCY_PERCENT, highest_admissible, start};
pub(crate) use admission::{MARGIN, overload_line};
pub use classify::{GpuState, classify};
pub use clocks::{BASE_HOLD_MS, MAX_HOLD_MS};
pub use decide::decide;
pub use decision::{Decision, Numbers, Reason, Switch};
pub use observation::{Config, Fault, LayerPlan, Observation, Override, OverrideKind, ProfilePlan, Sight, Speed};
pub use state::{CONFIRM_MS, NextLook, PolicyState};
