//! workly-engine
