//! A storm of machines and operators against running servers, and a check of what the servers
//! promised, from outside.
//!
//! A [`Caller`](caller::Caller) sends requests and writes down each with its times and what came of
//! it. That [`History`](history::History) is all that the [`checker`] looks at: it knows nothing of
//! the server but its answers, and no more of their order than that one was there before another
//! request was sent. A request without an answer may have been done or not.
//!
//! [`load`] makes the storm, [`herd`] the special case of a thousand machines that arrive at once,
//! [`settle`] asks at the end about everything once more, and [`own`] runs the gateways that are
//! killed meanwhile.

#![forbid(unsafe_code)]

pub mod caller;
pub mod checker;
pub mod clock;
pub mod herd;
pub mod history;
pub mod http;
pub mod key_book;
pub mod load;
pub mod machine;
pub mod own;
pub mod random;
pub mod report;
pub mod settle;
