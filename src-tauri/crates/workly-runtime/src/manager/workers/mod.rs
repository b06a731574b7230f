//! Workers: starting them, the one that holds the model, the standby, the probe worker, those that are leaving, and the
//! memory that comes back.

pub(crate) mod active;
pub(crate) mod calibrate;
pub mod card;
pub(crate) mod engine;
pub(crate) mod leaving;
pub(crate) mod probe_worker;
pub(crate) mod settling;
pub(crate) mod standby;
pub(crate) mod startup;
pub(crate) mod tending;
