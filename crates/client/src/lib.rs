//! HTTP as the commands speak it, a device's and an operator's.
//!
//! A [`Client`] sends one [`Request`](http::Request) at a time, tries again what may succeed the
//! next time, and sorts what comes back: an [`Answer`], or a [`Failure`] that is a sentence for a
//! person. [`Token`] is a bearer token that no log, error or `Debug` shows; [`files`] reads it and
//! the certificates of authorities from where people keep them.

#![forbid(unsafe_code)]

pub mod files;

mod call;
mod retry;
mod token;

pub use call::{Answer, Client, ClientOptions, Failure, Notice, is_readable_on_the_way};
pub use retry::RetryPolicy;
pub use token::{InvalidToken, Token};
