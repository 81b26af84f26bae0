//! The server's guarantees.

use std::fmt;

/// One of the guarantees under "What it guarantees" in the README.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Guarantee {
    /// Never more members than the maximum.
    Maximum = 1,
    /// A machine that was told so is a member.
    Membership = 2,
    /// A key version names one key, and versions have no gaps.
    KeyVersions = 3,
    /// A new key after a departure.
    Rollover = 4,
    /// A refused request changes nothing.
    Refusals = 5,
    /// A crash leaves nothing that a later request does not repair.
    Recovery = 6,
    /// Many machines that arrive after a departure make one new key.
    SingleFlight = 7,
}

impl Guarantee {
    /// All of them, in the README's order.
    pub const ALL: [Self; 7] = [
        Self::Maximum,
        Self::Membership,
        Self::KeyVersions,
        Self::Rollover,
        Self::Refusals,
        Self::Recovery,
        Self::SingleFlight,
    ];

    /// Its number in the README.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// A short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maximum => "maximum",
            Self::Membership => "membership",
            Self::KeyVersions => "key versions",
            Self::Rollover => "rollover",
            Self::Refusals => "refusals",
            Self::Recovery => "recovery",
            Self::SingleFlight => "single flight",
        }
    }

    /// The README's words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Maximum => {
                "A domain never has more members than the maximum that was in force when the \
                 machine was admitted."
            }
            Self::Membership => {
                "A machine that was told 200 is a member until it leaves or an operator removes it."
            }
            Self::KeyVersions => {
                "A key version names one key for ever. Versions are 1, 2, 3... without gaps, and \
                 no certificate is issued for a key that is not kept."
            }
            Self::Rollover => {
                "After a departure was answered with 200, no registration that begins then is \
                 answered without a key made after it. (One that began before may be.)"
            }
            Self::Refusals => {
                "A refused request changes nothing; a repeated one changes nothing more."
            }
            Self::Recovery => {
                "A crash leaves no lock, no lost place and no half-made domain that a later \
                 request does not mend."
            }
            Self::SingleFlight => {
                "A thousand devices that arrive after a departure make one new key."
            }
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guarantee {}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    /// The numbered list under "What it guarantees", each item on one line, with its number.
    fn listed() -> Vec<String> {
        let section = README
            .split("\n## ")
            .find_map(|section| section.strip_prefix("What it guarantees\n"))
            .expect("the README has the section");
        let mut items: Vec<String> = Vec::new();
        for line in section.lines() {
            if line.starts_with(|first: char| first.is_ascii_digit()) {
                items.push(line.to_owned());
            } else if let (Some(item), Some(rest)) = (items.last_mut(), line.strip_prefix("   ")) {
                item.push(' ');
                item.push_str(rest.trim());
            }
        }
        items
    }

    #[test]
    fn the_readme_lists_the_guarantees_word_for_word() {
        let expected = Guarantee::ALL
            .map(|guarantee| format!("{}. {}", guarantee.number(), guarantee.sentence()));
        assert_eq!(listed(), expected);
    }
}
