//! Who belongs to a domain: the changes that concern its roster and its own row together.
//!
//! No store changes two rows at once, so a change that must not be half done is noted first, as an
//! [`Intent`] in the domain's row, which every request reads. Then it is made in the roster, by one
//! swap on a leaf; then the note goes, by the swap that draws the consequence: a departure counts,
//! the number of members changes. Whoever finds a note whose request has died finishes the change
//! ([`intents`]). That is how
//!
//! - a departure is never without its rollover: the note is there before the entry goes, and goes
//!   when the rollover is required;
//! - a maximum is kept on a roster of any size: a place is taken in the domain's row, where the
//!   number of members is known, before the machine is added ([`join`]).
//!
//! Where there is no maximum a machine is added by the swap on its leaf alone. A maximum on such a
//! domain first has the members counted, leaf by leaf ([`count`]).

pub mod blocking;
pub mod count;
pub mod departure;
pub mod intents;
pub mod join;

use anonymous_domains_protocol::problem::ErrorName;

use crate::{
    error::Error,
    tables::domain_server_info::{Action, Intent},
};

/// After this many tries a request gives up with `STORE_UNAVAILABLE`.
const ATTEMPTS: usize = 100;

/// How often a request looks again whether another one finishes what it has begun, before it
/// finishes that itself. It waits a little longer each time, some hundredths of a second in all.
const LOOKS: usize = 6;

fn limit_reached() -> Error {
    Error::refused(
        ErrorName::DomLimitReached,
        "the domain has as many members as it may",
    )
}

fn contention() -> Error {
    Error::Unavailable(format!(
        "a domain was changed by others {ATTEMPTS} times in a row"
    ))
}

/// An intent that is older than this is finished by whoever reads it, in milliseconds: its request
/// has died. Longer than any request takes, and than clocks differ.
const OVERDUE_MS: u64 = 120_000;

impl Intent {
    /// Whether its request has probably died.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        // A clock that was set back makes an intent come from the future.
        now_ms.abs_diff(self.at_ms) > OVERDUE_MS
    }

    /// Whether it ends a membership, and so requires a rollover.
    pub fn is_departure(&self) -> bool {
        !matches!(self.action, Action::Join { .. })
    }
}
