//! Domain private keys at rest: sealed under the key-encryption keys of the configuration.

use anonymous_domains_aes_gcm_wasm::{self as aes_gcm, NONCE_LEN, TAG_LEN};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{error::Error, issuer::KeyDigest};

/// The length of a key-encryption key, in bytes.
pub use anonymous_domains_aes_gcm_wasm::KEY_LEN;

/// How much of its digest names the key that a private key is sealed under, in bytes; it stands
/// before the nonce.
const KEY_NAME_LEN: usize = 8;

/// How much longer than a private key it is when it is sealed, in bytes.
const OVERHEAD_LEN: usize = KEY_NAME_LEN + NONCE_LEN + TAG_LEN;

/// What is hashed with a key-encryption key to tell it from another.
const DIGEST_LABEL: &[u8] = b"anonymous-domains key-encryption key\n";

/// Seals domain private keys with AES-256-GCM, each bound to its domain and version, so that a
/// sealed key that was moved to another row opens nowhere.
pub struct Vault {
    /// The newest first.
    keys: Vec<Key>,
}

struct Key {
    digest: KeyDigest,
    cipher: aes_gcm::Key,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// The vault of key-encryption keys, the newest first.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; KEY_LEN]>) -> Self {
        let key = |key: &[u8; KEY_LEN]| {
            let digest = Sha256::new().chain_update(DIGEST_LABEL).chain_update(key);
            Key {
                digest: digest.finalize().into(),
                cipher: aes_gcm::Key::new(key),
            }
        };
        Self {
            keys: keys.into_iter().map(key).collect(),
        }
    }

    /// The digests of the keys, the newest first.
    pub fn key_digests(&self) -> Vec<KeyDigest> {
        self.keys.iter().map(|key| key.digest).collect()
    }

    /// Seals a private key under the key with this digest. The result is the first bytes of the
    /// digest, a random nonce of 12 bytes, then the key encrypted, and the tag.
    ///
    /// # Errors
    /// A fault, when that is none of the vault's keys.
    pub fn seal(
        &self,
        domain: &str,
        version: u32,
        secret: &[u8],
        under: &KeyDigest,
    ) -> Result<Vec<u8>, Error> {
        let mut keys = self.keys.iter();
        let key = keys
            .find(|key| key.digest == *under)
            .ok_or_else(|| Error::fault("a domain key is to be sealed under an unknown key"))?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)
            .map_err(|error| Error::fault(format!("no random numbers: {error}")))?;
        let mut sealed = Vec::with_capacity(OVERHEAD_LEN + secret.len());
        sealed.extend(name(under));
        sealed.extend(nonce);
        sealed.extend(secret);
        let (_, text) = sealed.split_at_mut(KEY_NAME_LEN + NONCE_LEN);
        let tag = key
            .cipher
            .seal(&nonce, &associated_data(domain, version), text)
            .map_err(|_| Error::fault("a domain key cannot be sealed"))?;
        sealed.extend(tag);
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// A fault, when it was sealed under a key that the vault does not have, or for another domain
    /// or version, or was changed.
    pub fn open(
        &self,
        domain: &str,
        version: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let refused = || {
            Error::fault(format!(
                "version {version} of the key of domain {domain} does not open under the \
                 configured key_encryption_key"
            ))
        };
        let (named, rest) = sealed
            .split_first_chunk::<KEY_NAME_LEN>()
            .ok_or_else(refused)?;
        let mut keys = self.keys.iter();
        let key = keys
            .find(|key| name(&key.digest) == *named)
            .ok_or_else(refused)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let (text, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(refused)?;
        let mut secret = Zeroizing::new(text.to_vec());
        key.cipher
            .open(nonce, &associated_data(domain, version), &mut secret, tag)
            .map_err(|_| refused())?;
        Ok(secret)
    }

    /// Seals what [`seal`](Self::seal) made under another key; `None` where it is under that one.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and [`seal`](Self::seal).
    pub fn reseal(
        &self,
        domain: &str,
        version: u32,
        sealed: &[u8],
        under: &KeyDigest,
    ) -> Result<Option<Vec<u8>>, Error> {
        if sealed.starts_with(&name(under)) {
            return Ok(None);
        }
        let secret = self.open(domain, version, sealed)?;
        self.seal(domain, version, &secret, under).map(Some)
    }
}

/// What names a key in what is sealed under it.
fn name(digest: &KeyDigest) -> [u8; KEY_NAME_LEN] {
    std::array::from_fn(|at| digest[at])
}

fn associated_data(domain: &str, version: u32) -> Vec<u8> {
    format!("anonymous-domains domain key\n{domain}\n{version}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8; KEY_LEN] = &[7; KEY_LEN];
    const NEW: &[u8; KEY_LEN] = &[8; KEY_LEN];

    fn digest(key: &[u8; KEY_LEN]) -> KeyDigest {
        Vault::new([key]).key_digests()[0]
    }

    #[test]
    fn opens_only_what_was_sealed_for_the_same_domain_and_version_under_the_same_key() {
        let vault = Vault::new([OLD]);
        let sealed = vault
            .seal("living-room", 1, b"secret", &digest(OLD))
            .unwrap();
        assert_eq!(*vault.open("living-room", 1, &sealed).unwrap(), b"secret");

        assert!(vault.open("living-room", 2, &sealed).is_err());
        assert!(vault.open("kitchen", 1, &sealed).is_err());
        assert!(Vault::new([NEW]).open("living-room", 1, &sealed).is_err());
        for length in [0, KEY_NAME_LEN - 1, KEY_NAME_LEN + NONCE_LEN - 1] {
            assert!(vault.open("living-room", 1, &sealed[..length]).is_err());
        }
        for at in [0, KEY_NAME_LEN, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open("living-room", 1, &changed).is_err(), "{at}");
        }
        assert!(
            vault
                .seal("living-room", 1, b"secret", &digest(NEW))
                .is_err()
        );
    }

    #[test]
    fn seals_the_same_key_differently_each_time() {
        let vault = Vault::new([OLD]);
        let seal = || vault.seal("a", 1, b"secret", &digest(OLD)).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn of_several_keys_each_opens_what_was_sealed_under_it() {
        let both = Vault::new([NEW, OLD]);
        assert_eq!(both.key_digests(), [digest(NEW), digest(OLD)]);
        for key in [NEW, OLD] {
            let sealed = both.seal("a", 1, b"secret", &digest(key)).unwrap();
            assert_eq!(*both.open("a", 1, &sealed).unwrap(), b"secret");
            assert_eq!(*Vault::new([key]).open("a", 1, &sealed).unwrap(), b"secret");
        }
    }

    #[test]
    fn what_is_resealed_opens_under_the_new_key_alone_and_stays_bound_to_its_row() {
        let (both, old, new) = (Vault::new([NEW, OLD]), Vault::new([OLD]), Vault::new([NEW]));
        let sealed = old.seal("a", 1, b"secret", &digest(OLD)).unwrap();
        let resealed = both.reseal("a", 1, &sealed, &digest(NEW)).unwrap().unwrap();
        assert_eq!(*new.open("a", 1, &resealed).unwrap(), b"secret");
        assert!(old.open("a", 1, &resealed).is_err());
        assert!(new.open("a", 2, &resealed).is_err());
        assert!(new.open("b", 1, &resealed).is_err());
        // Once is enough, and a key in the wrong row is not made one of the right row.
        assert_eq!(both.reseal("a", 1, &resealed, &digest(NEW)).unwrap(), None);
        assert!(both.reseal("b", 1, &sealed, &digest(NEW)).is_err());
        assert!(new.reseal("a", 1, &sealed, &digest(NEW)).is_err());
    }
}
