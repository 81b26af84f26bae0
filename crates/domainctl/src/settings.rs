//! Changes of some of a domain's settings.

use anonymous_domains_protocol::admin::{Domain, DomainSettings};

/// What to change in a domain's settings. `None` keeps the present value, or has the default if
/// there is no domain yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// Whether joining and leaving require a token.
    pub authentication_required: Option<bool>,
    /// The namespace that tokens must have; `Some(None)` for any.
    pub auth_namespace: Option<Option<String>>,
    /// How many machines may be members; `Some(None)` for no maximum.
    pub max_membership: Option<Option<u64>>,
}

impl SettingsChange {
    /// The settings after the change.
    pub fn of(&self, before: &DomainSettings) -> DomainSettings {
        DomainSettings {
            authentication_required: self
                .authentication_required
                .unwrap_or(before.authentication_required),
            auth_namespace: self
                .auth_namespace
                .as_ref()
                .unwrap_or(&before.auth_namespace)
                .clone(),
            max_membership: self.max_membership.unwrap_or(before.max_membership),
        }
    }
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    /// The domain was created.
    Created(Domain),
    /// The settings were changed.
    Changed(Domain),
    /// The settings already had these values; nothing was written.
    Unchanged(Domain),
}

impl SetOutcome {
    /// The domain as it is now.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Created(domain) | Self::Changed(domain) | Self::Unchanged(domain) => domain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_changes() {
        let before = DomainSettings {
            authentication_required: true,
            auth_namespace: Some("home".to_owned()),
            max_membership: Some(7),
        };
        assert_eq!(SettingsChange::default().of(&before), before);
        let lifted = SettingsChange {
            max_membership: Some(None),
            ..SettingsChange::default()
        };
        assert_eq!(
            lifted.of(&before),
            DomainSettings {
                max_membership: None,
                ..before.clone()
            }
        );
        let open = SettingsChange {
            authentication_required: Some(false),
            auth_namespace: Some(None),
            max_membership: Some(Some(0)),
        };
        assert_eq!(
            open.of(&before),
            DomainSettings {
                max_membership: Some(0),
                ..DomainSettings::default()
            }
        );
    }
}
