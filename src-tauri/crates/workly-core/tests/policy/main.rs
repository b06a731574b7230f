//! The policy in the closed loop: its rules one by one, and its properties over generated loads.

mod properties;
mod rules;
mod world;
