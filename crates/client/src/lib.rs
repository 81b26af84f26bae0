//! What the commands share, a device's and an operator's.
//!
//! A [`Client`] sends one [`Request`](http::Request) at a time, retries what may succeed the next
//! time, and sorts what comes back: an [`Answer`], or a [`Failure`] that is a sentence for people.
//! [`Token`] is a bearer token that no log, error or `Debug` shows. [`files`] reads tokens and CA
//! certificates, [`HttpUrl`] parses URLs, [`CommandError`] gives errors their names and exit codes,
//! and a [`Console`] prints text or JSON.
//!
//! Each module uses only modules before it: `text`, `token`, `retry`, `url`, `files`, `error`,
//! `trace`, `cause`, `call`, `console`.

#![forbid(unsafe_code)]

pub mod files;

mod call;
mod cause;
mod console;
mod error;
mod retry;
mod text;
mod token;
mod trace;
mod url;

pub use call::{Answer, Client, ClientOptions, Failure, Notice};
pub use console::Console;
pub use error::{CommandError, ErrorKind, refusal};
pub use retry::RetryPolicy;
pub use text::printable;
pub use token::{InvalidToken, Token};
pub use url::{HttpUrl, InvalidHttpUrl};
