//! The attacks, one file for each family.

mod connections;
mod domains;
mod framing;
mod heads;
mod http2;
mod members;
mod slow;

use std::pin::Pin;

use crate::{field::Field, target::Settings};

/// The clients of an attack, until all have ended.
pub type Run = Pin<Box<dyn Future<Output = ()>>>;

/// An attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    /// What hostile clients do.
    pub what: &'static str,
    /// What is counted, such as `request`.
    pub unit: &'static str,
    /// What limits it, with the setting where there is one.
    pub limit: &'static str,
    /// The gateways that it is tried on.
    pub settings: &'static [Settings],
    /// Prepares its clients. What this returns runs them until the field's end.
    pub run: fn(Field) -> Run,
}

/// A gateway as it is by default.
const DEFAULT: &[Settings] = &[Settings::Default];

/// One as it is by default, and one that does not limit rates.
const BOTH: &[Settings] = &[Settings::Default, Settings::NoRates];

/// The same two, with RSA keys.
const BOTH_RSA: &[Settings] = &[Settings::Rsa, Settings::RsaNoRates];

/// All attacks.
pub fn all() -> Vec<Attack> {
    [
        slow::ATTACKS,
        connections::ATTACKS,
        heads::ATTACKS,
        framing::ATTACKS,
        http2::ATTACKS,
        domains::ATTACKS,
        members::ATTACKS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_different_and_texts_fit_a_table() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), all.len());
        for attack in all {
            let texts = [attack.what, attack.unit, attack.limit];
            assert!(
                texts
                    .iter()
                    .all(|text| !text.is_empty() && !text.contains('|'))
            );
            assert!(!attack.settings.is_empty());
        }
    }
}
