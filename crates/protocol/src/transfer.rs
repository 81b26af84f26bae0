//! What moves domains between stores: the lines of an export, which the calls under `/admin/v1` give
//! and take.
//!
//! An export is a text of JSON lines: a [`Header`], then for each domain its [`Part`]s in order (one
//! [`DomainPart`], [`KeysPart`]s if it has keys, [`MachinesPart`]s if it knows machines, one
//! [`EndPart`]), then a [`Trailer`]. Private keys are in it as they are sealed in the store.

use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::Value;

use crate::ids::{DomainName, MachineGuid};

/// [`Header::format`].
pub const FORMAT: &str = "anonymous-domains-export";

/// The [`Header::version`] that this code writes and reads.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When the export began.
    pub created_at: String,
    /// Digests of the key-encryption keys that the server opens private keys with, in base64url. A
    /// server that has none of them opens no key of the export.
    pub key_encryption_keys: Vec<String>,
}

/// The last line, which shows that the lines before it are all there and as they were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trailer {
    /// How many domains there are.
    pub domains: u64,
    /// How many lines there are before this one.
    pub lines: u64,
    /// The SHA-256 of those lines with their line feeds, in base64url.
    pub sha256: String,
}

/// A page of a domain's export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPage<P = Part> {
    /// A line.
    pub part: P,
    /// What the next page comes after; `null` after an [`EndPart`].
    pub next: Option<String>,
}

/// A line about a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "lowercase")]
pub enum Part {
    /// What the domain is.
    Domain(DomainPart),
    /// Some of its keys.
    Keys(KeysPart),
    /// Some of its machines.
    Machines(MachinesPart),
    /// What must have come before.
    End(EndPart),
}

impl Part {
    /// Reads a line that was read as JSON already: less code than by way of [`Deserialize`].
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_value(mut line: Value) -> Result<Self, serde_json::Error> {
        let part = match &mut line {
            Value::Object(members) => members.remove("part"),
            _ => None,
        };
        match part.as_ref().and_then(Value::as_str) {
            Some("domain") => DomainPart::deserialize(line).map(Self::Domain),
            Some("keys") => KeysPart::deserialize(line).map(Self::Keys),
            Some("machines") => MachinesPart::deserialize(line).map(Self::Machines),
            Some("end") => EndPart::deserialize(line).map(Self::End),
            _ => Err(serde_json::Error::custom("part is none of this version")),
        }
    }

    /// The domain's name.
    pub fn domain(&self) -> &DomainName {
        match self {
            Self::Domain(part) => &part.domain,
            Self::Keys(part) => &part.domain,
            Self::Machines(part) => &part.domain,
            Self::End(part) => &part.domain,
        }
    }
}

/// What a domain is: its settings, and how many departures its newest key covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainPart {
    /// The domain's name.
    pub domain: DomainName,
    /// When it was made.
    pub created_at: String,
    /// Whether joining and leaving need a token.
    pub authentication_required: bool,
    /// The namespace that the token must be of, where the domain names one.
    pub auth_namespace: Option<String>,
    /// How many machines may be members; `null` where there is no maximum.
    pub max_membership: Option<u64>,
    /// How many departures the newest key covers: it was made after them.
    pub departures_covered: u64,
    /// How many of them were an operator's wish.
    pub departures_by_operators_covered: u64,
}

/// Some of a domain's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysPart {
    /// The domain's name.
    pub domain: DomainName,
    /// The keys, with versions that follow each other and those of the line before.
    pub keys: Vec<SealedKey>,
}

/// One version of a domain's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedKey {
    /// The version, from 1.
    pub key_version: u32,
    /// When the key was made.
    pub created_at: String,
    /// Whether an operator's wish made it necessary.
    pub by_operator: bool,
    /// The private key as the store has it, in base64url: sealed under a key-encryption key, for
    /// this domain and version.
    pub sealed: String,
    /// The certificate and its chain up to the domain CA, each DER in standard base64.
    pub x5c: Vec<String>,
}

/// Some of the machines that a domain knows, ascending by GUID across all such lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachinesPart {
    /// The domain's name.
    pub domain: DomainName,
    /// Members.
    pub members: Vec<MovedMember>,
    /// Machines that an operator has blocked.
    pub blocked: Vec<MovedBlocked>,
    /// Machines that left a short while ago, so that a request from before cannot be repeated.
    pub departed: Vec<MovedDeparted>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MovedMember {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When it became a member.
    pub registered_at: String,
    /// The RFC 7638 SHA-256 thumbprint of the machine's key, in base64url.
    pub key_thumbprint: String,
    /// When it asked to join (`iat`), in milliseconds since 1970.
    pub joined_iat_ms: i64,
}

/// A blocked machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MovedBlocked {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When it was blocked; `null` where the list of blocked machines does not have it.
    pub blocked_at: Option<String>,
    /// Its departure, if it left a short while before.
    pub departure: Option<MovedDeparture>,
}

/// A machine that left a short while ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MovedDeparted {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// Its departure.
    pub departure: MovedDeparture,
}

/// A departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MovedDeparture {
    /// `iat` of the request to leave, in milliseconds since 1970.
    pub iat_ms: i64,
    /// Until when it is remembered, in milliseconds since 1970.
    pub forget_at_ms: i64,
}

/// What must have come before: the end of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndPart {
    /// The domain's name.
    pub domain: DomainName,
    /// How many key versions there are.
    pub keys: u32,
    /// How many members there are.
    pub members: u64,
    /// How many blocked machines there are.
    pub blocked: u64,
    /// How many departures there were, and rollovers that operators asked for. Where the newest key
    /// covers fewer, the next registration makes a new one.
    pub departures: u64,
    /// How many of them were an operator's wish.
    pub departures_by_operators: u64,
}

/// What the import of a line came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// How far the domain is.
    pub state: ImportState,
}

/// How far the import of a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// There is more to do: nobody can use the domain yet.
    Importing,
    /// The domain is there.
    Imported,
}
