//! What the server answers, as JSON with members in camel case.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{DomainName, MachineGuid};

/// The `cty` of the JWE that holds a domain's private keys (RFC 7517 section 8.5.2).
pub const KEY_SET_CONTENT_TYPE: &str = "jwk-set+json";

/// The answer to a registration. A server may have `credentials` and `encryptedKeys` written out
/// already; for everybody else they are [`Credential`]s and text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterResponse<Credentials = Vec<Credential>, Keys = String> {
    /// The domain.
    pub domain: DomainName,
    /// The machine.
    pub machine_guid: MachineGuid,
    /// Whether this request made the machine a member.
    pub new_member: bool,
    /// When it became one, in RFC 3339.
    pub registered_at: String,
    /// The version of the domain's newest key.
    pub key_version: u64,
    /// The credentials that were asked for, by ascending version.
    pub credentials: Credentials,
    /// A compact JWE to the machine's key with one private JWK per credential; its plaintext is a
    /// [`PrivateKeySet`]. `null` where `credentials` is empty.
    pub encrypted_keys: Option<Keys>,
}

/// The public half of a domain credential: the certificate of one version of the domain's key. A
/// server may have `x5c` written out already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential<X5c = Vec<String>> {
    /// The key's version, from 1.
    pub key_version: u64,
    /// The key's name: `{domain}/{keyVersion}`.
    pub kid: String,
    /// The certificate and its chain up to the domain CA, each DER in standard base64.
    pub x5c: X5c,
    /// The first moment of the certificate's validity, in RFC 3339.
    pub not_before: String,
    /// The last moment of the certificate's validity, in RFC 3339.
    pub not_after: String,
}

/// The answer to a de-registration or its preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeregisterResponse {
    /// The domain.
    pub domain: DomainName,
    /// The machine.
    pub machine_guid: MachineGuid,
    /// Whether the request only asked.
    pub preview: bool,
    /// Whether the machine was removed: the opposite of `preview`.
    pub deregistered: bool,
}

/// What anyone may know of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainDescription {
    /// The domain.
    pub domain: DomainName,
    /// Whether joining and leaving need a token.
    pub authentication_required: bool,
    /// The namespace that the token must be of, where the domain names one.
    pub auth_namespace: Option<String>,
    /// The newest key's version; `null` before the first machine joined.
    pub key_version: Option<u64>,
    /// The newest key's name.
    pub kid: Option<String>,
    /// The newest key's certificate and its chain, each DER in standard base64.
    pub x5c: Option<Vec<String>>,
    /// Whether the next registration makes a new key.
    pub key_rollover_required: bool,
}

/// The answer of `/healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok` when every part is.
    pub status: String,
    /// `ok` when the store answers.
    pub store: String,
    /// `ok` when the domain CA can sign.
    pub ca: String,
    /// What is wrong, for the operator; no secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The plaintext of [`RegisterResponse::encrypted_keys`]: a JWK Set (RFC 7517 section 5) of private
/// JWKs, each with the `kid` of its credential, and its `x5c` where the server likes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivateKeySet {
    /// The private JWKs.
    pub keys: Vec<Value>,
}

impl std::fmt::Debug for PrivateKeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKeySet({} keys)", self.keys.len())
    }
}
