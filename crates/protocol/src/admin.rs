//! What an operator and the server say to each other under `/admin/v1`, as JSON with members in
//! camel case.
//!
//! Times are text in RFC 3339. A page's `next` is what the following page's `after` takes; `null`
//! says that nothing follows.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Number;

use crate::{ids::MachineGuid, json};

/// The longest body that an operator's request may have, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// How many entries a page has where the request does not say.
pub const DEFAULT_PAGE_LIMIT: u32 = 100;

/// The most entries that a page may be asked to have.
pub const MAX_PAGE_LIMIT: u32 = 1000;

/// A domain as its operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// The domain's name.
    pub domain: String,
    /// Whether joining and leaving need a token.
    pub authentication_required: bool,
    /// The namespace that the token must be of, where the domain names one.
    pub auth_namespace: Option<String>,
    /// How many machines may be members; `null` where there is no maximum.
    pub max_membership: Option<u64>,
    /// Whether the next registration makes a new key.
    pub key_rollover_required: bool,
    /// How many machines are members; a list may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
    /// The version of the newest key; `null` before the first machine joined.
    pub key_version: Option<u64>,
    /// When the domain was made.
    pub created_at: String,
}

/// The settings of a domain: the body of a PUT, which replaces all of them. A member that is left
/// out has its default; an unknown one is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DomainSettings {
    /// Whether joining and leaving need a token; `false` by default.
    pub authentication_required: bool,
    /// The namespace that the token must be of; none by default.
    pub auth_namespace: Option<String>,
    /// How many machines may be members, 0 for nobody new; no maximum by default.
    #[serde(deserialize_with = "whole_number")]
    pub max_membership: Option<u64>,
}

/// A [`json::whole_number`], or null.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    json::whole_number(&number)
        .and_then(|number| u64::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a whole number from 0 to 18446744073709551615"))
}

impl From<&Domain> for DomainSettings {
    fn from(domain: &Domain) -> Self {
        Self {
            authentication_required: domain.authentication_required,
            auth_namespace: domain.auth_namespace.clone(),
            max_membership: domain.max_membership,
        }
    }
}

/// A page of the list of domains, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainPage {
    /// The domains.
    pub domains: Vec<Domain>,
    /// What the next page comes after.
    pub next: Option<String>,
}

/// A machine that is a member of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When it became a member.
    pub registered_at: String,
    /// The RFC 7638 SHA-256 thumbprint of the machine's key, in base64url.
    pub key_thumbprint: String,
}

/// A page of a domain's members, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberPage {
    /// The members.
    pub members: Vec<Member>,
    /// What the next page comes after.
    pub next: Option<String>,
}

/// A machine that may not join a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedMachine {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When it was blocked.
    pub blocked_at: String,
}

/// A page of a domain's blocked machines, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedPage {
    /// The machines.
    pub blocked: Vec<BlockedMachine>,
    /// What the next page comes after.
    pub next: Option<String>,
}

/// One version of a domain's key; never the private one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainKeyDescription {
    /// The key's version, from 1.
    pub key_version: u64,
    /// The key's name: `{domain}/{keyVersion}`.
    pub kid: String,
    /// When the key was made.
    pub created_at: String,
    /// The key's certificate and its chain up to the domain CA, each DER in standard base64.
    pub x5c: Vec<String>,
}

/// All versions of a domain's key, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainKeyList {
    /// The keys.
    pub keys: Vec<DomainKeyDescription>,
}

/// What has become of a page of domains whose keys are to be sealed under the newest
/// key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResealPage {
    /// How many keys were sealed under it.
    pub resealed: u64,
    /// How many domains are still to be looked at; 0 if, and only if, the store needs no other
    /// key-encryption key any more.
    pub remaining: u64,
    /// What the next page comes after; `null` where nothing remains.
    pub next: Option<String>,
}

/// That a domain's certificates were signed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reissued {
    /// How many.
    pub reissued: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_in_camel_case_and_absent_settings_are_null() {
        let domain = Domain {
            domain: "living-room".to_owned(),
            authentication_required: true,
            auth_namespace: None,
            max_membership: Some(7),
            key_rollover_required: false,
            member_count: None,
            key_version: None,
            created_at: "2026-11-22T19:41:28Z".to_owned(),
        };
        let json = serde_json::to_value(&domain).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "domain": "living-room", "authenticationRequired": true, "authNamespace": null,
                "maxMembership": 7, "keyRolloverRequired": false, "keyVersion": null,
                "createdAt": "2026-11-22T19:41:28Z"
            })
        );
        assert_eq!(serde_json::from_value::<Domain>(json).unwrap(), domain);
    }

    #[test]
    fn settings_have_defaults_and_refuse_what_they_do_not_know() {
        let read = serde_json::from_str::<DomainSettings>;
        assert_eq!(read("{}").unwrap(), DomainSettings::default());
        assert_eq!(
            read(r#"{"maxMembership":0}"#).unwrap(),
            DomainSettings {
                max_membership: Some(0),
                ..DomainSettings::default()
            }
        );
        for (text, maximum) in [
            (r#"{"maxMembership":7.0}"#, Some(7)),
            (r#"{"maxMembership":1e3}"#, Some(1000)),
            (r#"{"maxMembership":18446744073709551615}"#, Some(u64::MAX)),
            (r#"{"maxMembership":null}"#, None),
        ] {
            assert_eq!(read(text).unwrap().max_membership, maximum, "{text}");
        }
        for text in [
            r#"{"memberCount":1}"#,
            r#"{"maxMembership":-1}"#,
            r#"{"maxMembership":1.5}"#,
            r#"{"maxMembership":-0.5}"#,
            r#"{"maxMembership":18446744073709551616}"#,
            r#"{"maxMembership":1e30}"#,
            r#"{"maxMembership":"1"}"#,
            r#"{"authenticationRequired":null}"#,
            r#"{"authNamespace":"a","authNamespace":"b"}"#,
            "null",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
