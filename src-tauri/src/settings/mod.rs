//! The settings: their owner, and the model as a choice among them.

pub(crate) mod keeper;
pub(crate) mod model_choice;
