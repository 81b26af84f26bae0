//! Encryption to a machine's key (RFC 7516): compact, `A256GCM`, with the content key encrypted by
//! `RSA-OAEP-256` to an RSA key or agreed by `ECDH-ES` (direct) with an EC one.

use anonymous_domains_aes_gcm_wasm::{self as aes_gcm, KEY_LEN, NONCE_LEN, TAG_LEN};
use anonymous_domains_p256_wasm as p256;
use getrandom::rand_core::Rng as _;
use rsa::Oaep;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    base64url, json,
    jwk::{PrivateKey, PublicKey},
    random,
};

const ENC: &str = "A256GCM";
const RSA_OAEP_256: &str = "RSA-OAEP-256";
const ECDH_ES: &str = "ECDH-ES";

type ContentKey = Zeroizing<[u8; KEY_LEN]>;

/// A message could not be encrypted or decrypted. Its text holds nothing of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JweError {
    /// It is not a compact JWE of this protocol; the text says why.
    #[error("{0}")]
    Malformed(&'static str),
    /// It was encrypted to another kind of key.
    #[error("alg does not fit the key")]
    KeyMismatch,
    /// It was encrypted to another key, or changed.
    #[error("the message cannot be decrypted with this key")]
    DecryptionFailed,
    /// The message is too long, or the key's arithmetic failed.
    #[error("the message cannot be encrypted")]
    EncryptionFailed,
}

/// Encrypts `content` in its place, to `recipient` as a compact JWE, with `cty` as the content's
/// type and the recipient's thumbprint as `kid`.
///
/// # Errors
///
/// [`JweError::EncryptionFailed`].
///
/// # Panics
///
/// Where the system has no randomness to give.
pub fn encrypt(
    content: Zeroizing<Vec<u8>>,
    recipient: &PublicKey,
    cty: &str,
) -> Result<String, JweError> {
    encrypt_to(content, recipient, &recipient.thumbprint_b64(), cty)
}

/// [`encrypt`], with the name of the recipient's key as `kid`.
///
/// # Errors
///
/// [`JweError::EncryptionFailed`].
///
/// # Panics
///
/// Where the system has no randomness to give.
pub fn encrypt_to(
    mut content: Zeroizing<Vec<u8>>,
    recipient: &PublicKey,
    kid: &str,
    cty: &str,
) -> Result<String, JweError> {
    let mut rng = random::system();
    let mut header = json!({ "enc": ENC, "cty": cty, "kid": kid });
    let (key, encrypted_key) = match recipient {
        PublicKey::Rsa(recipient) => {
            header["alg"] = RSA_OAEP_256.into();
            let mut key = ContentKey::default();
            rng.fill_bytes(&mut *key);
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *seed);
            let encrypted_key = recipient
                .encrypt_oaep(&*key, &seed)
                .ok_or(JweError::EncryptionFailed)?;
            (key, encrypted_key)
        }
        PublicKey::P256(recipient) => {
            header["alg"] = ECDH_ES.into();
            let ephemeral = p256::SecretKey::generate(|bytes| rng.fill_bytes(bytes));
            header["epk"] = PublicKey::P256(ephemeral.public_key()).to_jwk();
            (agree(&ephemeral, recipient, b"", b""), Vec::new())
        }
    };

    let mut iv = [0; NONCE_LEN];
    rng.fill_bytes(&mut iv);
    let protected = base64url::encode(header.to_string().as_bytes());
    let tag = aes_gcm::Key::new(&key)
        .seal(&iv, protected.as_bytes(), &mut content)
        .map_err(|_| JweError::EncryptionFailed)?;
    // No secret any more, so nothing to be wiped.
    let content = std::mem::take(&mut *content);
    let mut compact = protected;
    compact.reserve((encrypted_key.len() + content.len()) * 4 / 3 + 64);
    for part in [&encrypted_key[..], &iv, &content, &tag] {
        compact.push('.');
        base64url::encode_to(part, &mut compact);
    }
    Ok(compact)
}

/// The `kid` of a compact JWE: which key it is encrypted to, as its maker says. `None` where it says
/// nothing.
///
/// # Errors
///
/// [`JweError::Malformed`] for anything but a compact JWE with a JSON object as its header.
pub fn key_id(compact: &str) -> Result<Option<String>, JweError> {
    let header = header(&base64url_part(parts(compact)?[0])?)?;
    Ok(header.get("kid").and_then(Value::as_str).map(str::to_owned))
}

/// Decrypts a compact JWE. `kid`, `cty` and parameters that nobody here knows are ignored.
///
/// # Errors
///
/// [`JweError::Malformed`] for anything but a compact JWE with `enc` `A256GCM` and `alg`
/// `RSA-OAEP-256` or `ECDH-ES`, without `crit` and `zip`; [`JweError::KeyMismatch`] when `alg` is
/// for another kind of key; [`JweError::DecryptionFailed`] for another key or a changed message.
pub fn decrypt(compact: &str, key: &PrivateKey) -> Result<Zeroizing<Vec<u8>>, JweError> {
    let [protected, encrypted_key, iv, content, tag] = parts(compact)?;
    let header = header(&base64url_part(protected)?)?;
    let key = content_key(&header, &base64url_part(encrypted_key)?, key)?;

    let iv: [u8; NONCE_LEN] = base64url_part(iv)?
        .try_into()
        .map_err(|_| JweError::Malformed("the initialization vector is not of 12 octets"))?;
    let tag: [u8; TAG_LEN] = base64url_part(tag)?
        .try_into()
        .map_err(|_| JweError::Malformed("the authentication tag is not of 16 octets"))?;
    let mut content = Zeroizing::new(base64url_part(content)?);
    aes_gcm::Key::new(&key)
        .open(&iv, protected.as_bytes(), &mut content, &tag)
        .map_err(|_| JweError::DecryptionFailed)?;
    Ok(content)
}

/// Header, encrypted key, initialization vector, ciphertext and tag, each in base64url.
fn parts(compact: &str) -> Result<[&str; 5], JweError> {
    let parts: Vec<&str> = compact.split('.').collect();
    parts
        .try_into()
        .map_err(|_| JweError::Malformed("a compact JWE has five parts"))
}

fn base64url_part(text: &str) -> Result<Vec<u8>, JweError> {
    base64url::decode(text).map_err(|_| JweError::Malformed("a part is not base64url"))
}

fn header(octets: &[u8]) -> Result<Map<String, Value>, JweError> {
    let header = json::from_slice_strict(octets)
        .map_err(|_| JweError::Malformed("the header is not JSON"))?;
    match header {
        Value::Object(header) => Ok(header),
        _ => Err(JweError::Malformed("the header is not a JSON object")),
    }
}

/// The content encryption key that the header and the encrypted key hold for `key`.
fn content_key(
    header: &Map<String, Value>,
    encrypted_key: &[u8],
    key: &PrivateKey,
) -> Result<ContentKey, JweError> {
    if header.contains_key("crit") || header.contains_key("zip") {
        return Err(JweError::Malformed("crit and zip are not supported"));
    }
    if header.get("enc").and_then(Value::as_str) != Some(ENC) {
        return Err(JweError::Malformed("enc must be A256GCM"));
    }
    match (header.get("alg").and_then(Value::as_str), key) {
        (Some(RSA_OAEP_256), PrivateKey::Rsa(key)) => {
            let opened = Zeroizing::new(
                key.decrypt(Oaep::<Sha256>::new(), encrypted_key)
                    .map_err(|_| JweError::DecryptionFailed)?,
            );
            <[u8; KEY_LEN]>::try_from(opened.as_slice())
                .map(Zeroizing::new)
                .map_err(|_| JweError::DecryptionFailed)
        }
        (Some(ECDH_ES), PrivateKey::P256(key)) => {
            if !encrypted_key.is_empty() {
                return Err(JweError::Malformed("ECDH-ES has no encrypted key"));
            }
            let epk = header
                .get("epk")
                .and_then(|jwk| PublicKey::from_jwk(jwk).ok());
            let Some(PublicKey::P256(epk)) = epk else {
                return Err(JweError::Malformed("epk must be a key on P-256"));
            };
            let party = |name| match header.get(name) {
                None => Ok(Vec::new()),
                Some(value) => value
                    .as_str()
                    .and_then(|text| base64url::decode(text).ok())
                    .ok_or(JweError::Malformed("apu and apv must be base64url")),
            };
            Ok(agree(key, &epk, &party("apu")?, &party("apv")?))
        }
        (Some(RSA_OAEP_256 | ECDH_ES), _) => Err(JweError::KeyMismatch),
        _ => Err(JweError::Malformed("alg must be RSA-OAEP-256 or ECDH-ES")),
    }
}

/// The content key that two keys agree on (RFC 7518 section 4.6, direct key agreement).
fn agree(own: &p256::SecretKey, other: &p256::PublicKey, apu: &[u8], apv: &[u8]) -> ContentKey {
    concat_kdf(&*own.agree(other), ENC, apu, apv)
}

/// The Concat KDF of RFC 7518 section 4.6.2 with SHA-256, one round: up to 256 bits of key, which
/// `N` octets must be the length that `algorithm` needs.
fn concat_kdf<const N: usize>(
    shared: &[u8],
    algorithm: &str,
    apu: &[u8],
    apv: &[u8],
) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 32, "one round of SHA-256 gives 32 octets") };
    let mut hash = Sha256::new();
    hash.update(1u32.to_be_bytes());
    hash.update(shared);
    for party in [algorithm.as_bytes(), apu, apv] {
        let octets = u32::try_from(party.len()).expect("it came in a message of limited length");
        hash.update(octets.to_be_bytes());
        hash.update(party);
    }
    hash.update((N as u32 * 8).to_be_bytes());
    let digest = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
    let mut key = Zeroizing::new([0; N]);
    key.copy_from_slice(&digest[..N]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518 appendix C.
    #[test]
    fn concat_kdf_of_rfc_7518() {
        let alice = PrivateKey::from_jwk(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
            "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
        }))
        .unwrap();
        let bob = PublicKey::from_jwk(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        }))
        .unwrap();
        let (PrivateKey::P256(alice), PublicKey::P256(bob)) = (alice, bob) else {
            panic!("not on P-256");
        };
        let shared = alice.agree(&bob);
        assert_eq!(shared[..4], [158, 86, 217, 29]);
        let key: Zeroizing<[u8; 16]> = concat_kdf(&*shared, "A128GCM", b"Alice", b"Bob");
        assert_eq!(base64url::encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }
}
