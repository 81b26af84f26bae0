//! Decrypts and checks the credentials that a registration brings.

use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    json, jwe,
    jwk::PrivateKey,
    response::{Credential, PrivateKeySet, RegisterResponse},
};
use serde_json::Value;
use x509_cert::der::DateTime;

use crate::{
    certificate::Chain, domain_url::DomainUrl, error::DeviceError, membership::HeldCredential,
    state_directory::Identity,
};

/// Decrypts an answer's credentials with the machine's key: one private key for each, in order.
///
/// # Errors
///
/// [`DeviceError::Untrusted`] when the answer is for another domain or machine, its versions do
/// not ascend, its private keys cannot be decrypted, or they are not the credentials' own.
pub fn open(
    answer: &RegisterResponse,
    url: &DomainUrl,
    identity: &Identity,
) -> Result<Vec<HeldCredential>, DeviceError> {
    if answer.domain != *url.domain() || answer.machine_guid != identity.guid {
        return Err(untrusted(
            url,
            "the answer is for another domain or machine",
        ));
    }
    let versions: Vec<u64> = answer
        .credentials
        .iter()
        .map(|credential| credential.key_version)
        .collect();
    if !versions.is_sorted_by(|one, next| one < next)
        || versions.first() == Some(&0)
        || versions
            .last()
            .is_some_and(|last| *last != answer.key_version)
    {
        return Err(untrusted(
            url,
            "the key versions in the answer are not in order",
        ));
    }
    let keys = decrypt(answer, url, identity)?;
    if keys.len() != answer.credentials.len() {
        return Err(untrusted(
            url,
            "there is not one private key for each credential",
        ));
    }
    answer
        .credentials
        .iter()
        .map(|credential| {
            let jwk = keys
                .iter()
                .find(|jwk| jwk["kid"] == credential.kid.as_str())
                .filter(|jwk| names_no_other_chain(jwk, credential))
                .ok_or_else(|| {
                    untrusted(
                        url,
                        "a credential and its private key do not belong together",
                    )
                })?;
            let key = PrivateKey::from_jwk(jwk)
                .map_err(|error| untrusted(url, &format!("a private key is unusable: {error}")))?;
            Ok(HeldCredential {
                credential: credential.clone(),
                private_key: key.to_pkcs8_pem(),
            })
        })
        .collect()
}

/// Whether a private JWK has the credential's `x5c`, or none: the `kid` ties them, and that the key
/// is the certificate's is checked with the rest of the credential ([`check`]).
fn names_no_other_chain(jwk: &Value, credential: &Credential) -> bool {
    jwk.get("x5c")
        .is_none_or(|x5c| *x5c == serde_json::json!(credential.x5c))
}

/// The private JWKs of an answer.
fn decrypt(
    answer: &RegisterResponse,
    url: &DomainUrl,
    identity: &Identity,
) -> Result<Vec<Value>, DeviceError> {
    let Some(encrypted) = &answer.encrypted_keys else {
        return Ok(Vec::new());
    };
    let plaintext = jwe::decrypt(encrypted, &identity.key)
        .map_err(|error| untrusted(url, &format!("the private keys: {error}")))?;
    let set = json::from_slice_strict(&plaintext)
        .ok()
        .and_then(|set| serde_json::from_value::<PrivateKeySet>(set).ok())
        .ok_or_else(|| untrusted(url, "the private keys are not a JWK Set"))?;
    Ok(set.keys)
}

fn untrusted(url: &DomainUrl, why: &str) -> DeviceError {
    DeviceError::Untrusted(format!(
        "The credentials of {} were not stored: {why}.",
        url.domain()
    ))
}

/// The certificate chain of a credential.
///
/// # Errors
///
/// What is wrong, as the end of a sentence.
pub fn chain(credential: &Credential) -> Result<Chain, String> {
    let ders = credential
        .x5c
        .iter()
        .map(|text| base64url::decode_standard(text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    Chain::parse(ders).map_err(|fault| fault.to_string())
}

/// Checks everything about a credential but whether it is in date: its chain up to `anchors` (DER), its
/// certificate's profile, and that the private key fits.
///
/// # Errors
///
/// What is wrong, as the end of a sentence.
pub fn check(
    held: &HeldCredential,
    domain: &DomainName,
    anchors: &[Vec<u8>],
) -> Result<(), String> {
    let version = held.credential.key_version;
    if held.credential.kid != format!("{domain}/{version}") {
        return Err("the key's name is not that of its domain and version".to_owned());
    }
    let key = PrivateKey::from_pem(&held.private_key).map_err(|error| error.to_string())?;
    let chain = chain(&held.credential)?;
    if dates(&held.credential) != chain.leaf_dates().map(Some) {
        return Err("its dates are not those of its certificate".to_owned());
    }
    chain
        .check_trust(anchors)
        .and_then(|()| chain.check_leaf(domain, version, &key.public_key()))
        .map_err(|fault| fault.to_string())
}

/// The dates that a credential says, `None` for what is none.
fn dates(credential: &Credential) -> [Option<DateTime>; 2] {
    [&credential.not_before, &credential.not_after].map(|text| text.parse().ok())
}

/// Checks that a credential's certificates are valid at `unix_seconds`.
///
/// # Errors
///
/// What is wrong, as the end of a sentence.
pub fn check_dates(held: &HeldCredential, unix_seconds: u64) -> Result<(), String> {
    chain(&held.credential)?
        .check_dates(unix_seconds)
        .map_err(|fault| fault.to_string())
}
