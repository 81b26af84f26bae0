//! The reference implementation's three tables, and the directory that finds a domain's rows.
//!
//! | table | rows |
//! | --- | --- |
//! | `DomainServerInfo` | one for a domain: its settings, and where its other rows are |
//! | `DomainMembership` | a tree for a domain: its machines by GUID; one row while it is small |
//! | `DomainKeys` | one for a domain: all its key versions |
//!
//! Across rows only the order of writes counts. A leaving machine raises `departures` before its
//! entry goes, so a crash in between costs a rollover that nobody needed, and once more after, for
//! a key that was made in between; a key is saved together
//! with the number of departures it covers, so there is no flag that could be cleared too early.

pub mod blocked_machines;
pub mod directory;
pub mod domain_keys;
pub mod domain_membership;
pub mod domain_server_info;
mod handle;
pub mod ownership;
mod places;

pub use handle::Tables;
