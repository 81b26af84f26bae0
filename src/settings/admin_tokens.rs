//! The operators' tokens.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// A shorter token is none, in characters.
const MIN_CHARACTERS: usize = 32;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// To look: `GET` and `HEAD`.
    Read,
}

/// Whose token a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// What the token allows.
    pub scope: Scope,
    /// The first bytes of the token's SHA-256, by which the operator is known in events.
    pub digest: [u8; 4],
}

/// The operators' tokens, as their SHA-256.
#[derive(Default)]
pub struct AdminTokens(Vec<([u8; 32], Scope)>);

impl fmt::Debug for AdminTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminTokens({})", self.0.len())
    }
}

impl AdminTokens {
    /// Adds the tokens of a text, one a line. Lines that are too short are no tokens.
    pub(super) fn add(&mut self, lines: &str, scope: Scope) {
        let tokens = lines.lines().map(str::trim);
        for token in tokens.filter(|token| token.chars().count() >= MIN_CHARACTERS) {
            self.0.push((Sha256::digest(token).into(), scope));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token this is; of a token that is there twice, the first. How long that takes tells
    /// nothing of where tokens differ, nor which one it is.
    pub fn operator(&self, token: &str) -> Option<Operator> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let none = self.0.len() as u64;
        let mut found = none;
        for (index, (known, _)) in self.0.iter().enumerate().rev() {
            let is_it: Choice = known.ct_eq(&digest);
            found = u64::conditional_select(&found, &(index as u64), is_it);
        }
        let (_, scope) = self.0.get(usize::try_from(found).ok()?)?;
        let [a, b, c, d, ..] = digest;
        Some(Operator {
            scope: *scope,
            digest: [a, b, c, d],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_token_of_its_scope() {
        let [old, new, read] = ["o", "n", "r"].map(|letter| letter.repeat(32));
        let mut tokens = AdminTokens::default();
        assert!(tokens.is_empty());
        tokens.add(&format!("{new}\n  {old} \r\n\ntoo short\n"), Scope::All);
        tokens.add(&format!("{read}\n{old}\n"), Scope::Read);
        let scope = |token: &str| tokens.operator(token).map(|operator| operator.scope);
        assert_eq!(scope(&new), Some(Scope::All));
        assert_eq!(scope(&old), Some(Scope::All));
        assert_eq!(scope(&read), Some(Scope::Read));
        assert_eq!(scope("too short"), None);
        assert_eq!(scope(""), None);
        assert_eq!(scope(&format!("{new}x")), None);
        assert_ne!(tokens.operator(&old), tokens.operator(&new));
        assert_eq!(format!("{tokens:?}"), "AdminTokens(4)");
    }
}
