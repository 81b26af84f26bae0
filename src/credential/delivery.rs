//! Domain credentials on their way to one machine.

use anonymous_domains_protocol::{
    base64url, jwe, jwk::PublicKey, response::Credential, time::rfc3339,
};
use zeroize::Zeroizing;

use super::at_rest::Vault;
use crate::{
    error::Error,
    tables::domain_keys::{DomainKey, DomainKeys},
};

/// What the JWE holds (RFC 7517 section 8.5.1).
const CONTENT_TYPE: &str = "jwk-set+json";

/// The credentials of the versions above `known_version`.
pub fn credentials(domain: &str, keys: &DomainKeys, known_version: u64) -> Vec<Credential> {
    keys.above(known_version)
        .map(|(version, key)| Credential {
            key_version: u64::from(version),
            kid: kid(domain, version),
            x5c: x5c(keys, key),
            not_before: rfc3339(key.not_before_s),
            not_after: rfc3339(key.not_after_s),
        })
        .collect()
}

/// The private keys of `credentials` as a JWK Set, encrypted to the machine; `None` where there
/// are none.
///
/// One asymmetric operation, however many keys there are.
///
/// # Errors
/// A fault, when a key does not open under the configured key-encryption key.
pub fn encrypted_keys(
    vault: &Vault,
    domain: &str,
    keys: &DomainKeys,
    credentials: &[Credential],
    machine_key: &PublicKey,
) -> Result<Option<String>, Error> {
    let Some(first) = credentials.first() else {
        return Ok(None);
    };
    let mut set = Zeroizing::new(Vec::from(*b"{\"keys\":["));
    for ((version, key), credential) in keys.above(first.key_version - 1).zip(credentials) {
        let private_jwk = vault.open(domain, version, &key.sealed)?;
        // What was sealed is the text of a JSON object: it gets two more members.
        let members = private_jwk
            .strip_suffix(b"}")
            .ok_or_else(|| Error::fault("a sealed domain key is not a JWK"))?;
        if u64::from(version) > first.key_version {
            set.push(b',');
        }
        set.extend_from_slice(members);
        set.extend_from_slice(b",\"kid\":");
        write_json(&mut set, &credential.kid)?;
        set.extend_from_slice(b",\"x5c\":");
        write_json(&mut set, &credential.x5c)?;
        set.push(b'}');
    }
    set.extend_from_slice(b"]}");
    jwe::encrypt(&set, machine_key, CONTENT_TYPE)
        .map(Some)
        .map_err(|error| Error::fault(format!("domain keys cannot be encrypted: {error}")))
}

/// The key ID of a version: `{domain}/{version}`.
pub fn kid(domain: &str, version: u32) -> String {
    format!("{domain}/{version}")
}

/// A key's certificate and its issuers, as RFC 7515's `x5c` has them.
pub fn x5c(keys: &DomainKeys, key: &DomainKey) -> Vec<String> {
    keys.certificates(key)
        .map(base64url::encode_standard)
        .collect()
}

fn write_json(to: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Error> {
    serde_json::to_writer(to, value)
        .map_err(|error| Error::fault(format!("a JWK cannot be written: {error}")))
}
