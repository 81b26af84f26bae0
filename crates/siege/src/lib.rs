//! A siege: hostile clients against a real gateway, and what honest clients notice of them.
//!
//! An [attack](attacks) runs for some seconds beside [honest clients](honest). Before it, in turns, these
//! run alone. Compared are their response times and errors, and what a hostile request costs the
//! gateway is expressed in honest joins. A siege fails if an honest client gets an error, if a hostile
//! one gets a wrong answer, or if the gateway ends, stops answering or takes memory without bound.
//! Times never decide.
//!
//! All clients are on this machine, and the gateway trusts it as a proxy, so that each says in
//! `X-Forwarded-For` which client it is: to the gateway they are different addresses.
//!
//! Imports go downwards only:
//!
//! 1. the command: `main`, `args`
//! 2. [`report`]
//! 3. [`siege`]
//! 4. [`attacks`]
//! 5. [`field`], [`honest`]
//! 6. [`requests`]
//! 7. [`target`], [`wire`], [`frames`]

#![forbid(unsafe_code)]

pub mod attacks;
pub mod field;
pub mod frames;
pub mod honest;
pub mod report;
pub mod requests;
pub mod siege;
pub mod target;
pub mod wire;
