//! The server's guarantees, and violations of them.

use std::fmt;

/// What the server guarantees (README.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Guarantee {
    /// A domain never has more members than the maximum in force when the last one was admitted.
    Maximum = 1,
    /// A machine that was answered with 200 is a member until it leaves or an operator removes it.
    Membership = 2,
    /// A key version names one key permanently. Versions are 1, 2, 3... without gaps.
    KeyVersions = 3,
    /// A registration that begins after a departure was answered gets a key made after it.
    Rollover = 4,
    /// A refused request changes nothing. A repeated request changes nothing more.
    Refusals = 5,
    /// Later requests repair everything that a crash leaves behind.
    Recovery = 6,
    /// When many requests need a new key at the same time, one is made.
    SingleFlight = 7,
}

impl Guarantee {
    /// All of them, by number.
    pub const ALL: [Self; 7] = [
        Self::Maximum,
        Self::Membership,
        Self::KeyVersions,
        Self::Rollover,
        Self::Refusals,
        Self::Recovery,
        Self::SingleFlight,
    ];

    /// Its number in docs/store.md.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Something that a schedule showed and that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The guarantee that does not hold. `None` for what is wrong but belongs to none of them.
    pub guarantee: Option<Guarantee>,
    /// What was seen.
    pub text: String,
}

impl Violation {
    /// A violation of a guarantee.
    pub fn of(guarantee: Guarantee, text: impl Into<String>) -> Self {
        Self {
            guarantee: Some(guarantee),
            text: text.into(),
        }
    }

    /// Something wrong that belongs to no guarantee.
    pub fn other(text: impl Into<String>) -> Self {
        Self {
            guarantee: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(guarantee) = self.guarantee {
            write!(f, "{}: ", guarantee.number())?;
        }
        f.write_str(&self.text)
    }
}
