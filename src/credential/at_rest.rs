//! Domain private keys at rest: sealed under the key-encryption key of the configuration.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;

/// The length of the key-encryption key, in bytes.
pub const KEY_LEN: usize = 32;

/// The length of AES-GCM's nonce, in bytes; it stands before the ciphertext.
const NONCE_LEN: usize = 12;

/// What is hashed with a key-encryption key to tell it from another.
const DIGEST_LABEL: &[u8] = b"anonymous-domains key-encryption key\n";

/// Seals domain private keys with AES-256-GCM, each bound to its domain and version, so that a
/// sealed key that was moved to another row opens nowhere.
pub struct Vault {
    cipher: Aes256Gcm,
    key_digest: [u8; 32],
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// The vault of a key-encryption key.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let digest = Sha256::new().chain_update(DIGEST_LABEL).chain_update(key);
        Self {
            cipher: Aes256Gcm::new(key.into()),
            key_digest: digest.finalize().into(),
        }
    }

    /// Tells key-encryption keys apart, and nothing else of them: a SHA-256 of a label and the key.
    pub fn key_digest(&self) -> [u8; 32] {
        self.key_digest
    }

    /// Seals a private key. The result is a random nonce of 12 bytes, then the ciphertext and tag.
    pub fn seal(&self, domain: &str, version: u32, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)
            .map_err(|error| Error::fault(format!("no random numbers: {error}")))?;
        let payload = Payload {
            msg: secret,
            aad: &associated_data(domain, version),
        };
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), payload)
            .map_err(|_| Error::fault("a domain key cannot be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// A fault, when it was sealed under another key-encryption key or for another domain or
    /// version, or was changed.
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
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(refused)?;
        let payload = Payload {
            msg: sealed,
            aad: &associated_data(domain, version),
        };
        self.cipher
            .decrypt(nonce.into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| refused())
    }
}

fn associated_data(domain: &str, version: u32) -> Vec<u8> {
    format!("anonymous-domains domain key\n{domain}\n{version}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_was_sealed_for_the_same_domain_and_version_under_the_same_key() {
        let vault = Vault::new(&[7; KEY_LEN]);
        let sealed = vault.seal("living-room", 1, b"secret").unwrap();
        assert_eq!(*vault.open("living-room", 1, &sealed).unwrap(), b"secret");

        assert!(vault.open("living-room", 2, &sealed).is_err());
        assert!(vault.open("kitchen", 1, &sealed).is_err());
        let other = Vault::new(&[8; KEY_LEN]);
        assert!(other.open("living-room", 1, &sealed).is_err());
        assert!(vault.open("living-room", 1, &sealed[..11]).is_err());
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(vault.open("living-room", 1, &changed).is_err());
    }

    #[test]
    fn seals_the_same_key_differently_each_time() {
        let vault = Vault::new(&[7; KEY_LEN]);
        assert_ne!(
            vault.seal("a", 1, b"secret").unwrap(),
            vault.seal("a", 1, b"secret").unwrap()
        );
    }
}
