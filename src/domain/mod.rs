//! Domains as a whole: found, inserted, deleted and described. A domain has rows in all the tables.

pub mod deletion;
pub mod description;
pub mod insertion;
