//! Violations of the server's guarantees.

use std::fmt;

use anonymous_domains_testkit::Guarantee;

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
