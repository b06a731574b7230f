//! workly-runtime
