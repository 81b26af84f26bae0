//! What a device keeps of one domain.

use anonymous_domains_protocol::ids::DomainName;
use anonymous_domains_protocol::response::Credential;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where a device stands with a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It has joined and holds credentials.
    Member,
    /// The server agreed that it leaves and its credentials are deleted; the second phase, which
    /// removes it there, has not been confirmed.
    Leaving,
}

/// One domain that a device is in, or is leaving.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The domain server URL, in the form of [`crate::domain_url::DomainUrl::as_str`].
    pub url: String,
    /// The domain.
    pub domain: DomainName,
    /// Where the device stands with it.
    pub standing: Standing,
    /// When the server says that the membership began, in RFC 3339; unknown where the device
    /// leaves a domain that it holds nothing of.
    pub registered_at: Option<String>,
    /// The domain CA's certificates that credentials must chain to, DER in standard base64: those
    /// of `--ca-file`, or the ones seen at the first join.
    pub ca_certificates: Vec<String>,
    /// The credentials, by ascending version.
    pub credentials: Vec<HeldCredential>,
}

/// A domain credential with its private key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCredential {
    /// The public half, as the server gave it.
    pub credential: Credential,
    /// The private key, PKCS#8 in PEM.
    pub private_key: Zeroizing<String>,
}

impl Membership {
    /// The versions of the keys that are held, ascending.
    pub fn key_versions(&self) -> Vec<u64> {
        self.credentials
            .iter()
            .map(|held| held.credential.key_version)
            .collect()
    }

    /// The newest version that is held.
    pub fn newest_version(&self) -> Option<u64> {
        self.key_versions().last().copied()
    }
}
