//! What a device stores of one domain.

use anonymous_domains_protocol::{ids::DomainName, response::Credential};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A device's standing in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It has joined and holds credentials.
    Member,
    /// The server agreed to the leave and the credentials are deleted; the second phase, which
    /// removes the device from the domain, is not confirmed.
    Leaving,
}

/// A domain that a device is a member of, or is leaving.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The domain server URL, in the form of [`crate::domain_url::DomainUrl::as_str`].
    pub url: String,
    /// The domain.
    pub domain: DomainName,
    /// The device's standing.
    pub standing: Standing,
    /// The start of the membership according to the server, in RFC 3339; unknown if the device
    /// leaves a domain that it has nothing of.
    pub registered_at: Option<String>,
    /// The domain CA's certificates that credentials must chain to, DER in standard base64: those
    /// from `--ca-file`, or the one seen at the first join.
    pub ca_certificates: Vec<String>,
    /// The credentials, by ascending version.
    pub credentials: Vec<HeldCredential>,
    /// The newest version that the server last said it has: credentials of later ones may be kept.
    #[serde(default)]
    pub server_key_version: Option<u64>,
}

/// A domain credential with its private key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCredential {
    /// The public part, as received from the server.
    pub credential: Credential,
    /// The private key, PKCS#8 in PEM.
    pub private_key: Zeroizing<String>,
}

impl Membership {
    /// The versions of the stored keys, ascending.
    pub fn key_versions(&self) -> Vec<u64> {
        self.credentials
            .iter()
            .map(|held| held.credential.key_version)
            .collect()
    }

    /// The newest stored version that the server is known to have too.
    pub fn known_version(&self) -> Option<u64> {
        let of_server = self.server_key_version.unwrap_or(u64::MAX);
        let versions = self.key_versions();
        versions.into_iter().rfind(|version| *version <= of_server)
    }

    /// The newest stored version.
    pub fn newest_version(&self) -> Option<u64> {
        self.key_versions().last().copied()
    }
}
