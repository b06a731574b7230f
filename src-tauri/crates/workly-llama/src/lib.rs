//! workly-llama
