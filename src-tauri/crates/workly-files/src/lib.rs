//! Where Workly's files lie, and how they are written so that they are whole at every moment.
//!
//! Not here: what is in them.

pub mod places;
pub mod whole_file;
