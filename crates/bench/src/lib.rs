//! Measures the server: its instructions, and its speed side by side with other programs.
#![forbid(unsafe_code)]

pub mod buffered;
pub mod environment;
pub mod guesses;
pub mod guest;
pub mod instructions;
pub mod load;
pub mod machines;
pub mod native;
pub mod pauses;
pub mod program;
pub mod progress;
pub mod seed;
pub mod sink;
pub mod stores;
