//! The same with the crate `aes-gcm`.

use aes_gcm::{Aes256Gcm, KeyInit as _, aead::AeadInOut as _};

use crate::{KEY_LEN, NONCE_LEN, Refused, TAG_LEN};

/// A key. It is wiped when dropped.
pub struct Key(Aes256Gcm);

impl Key {
    /// The key of these bytes.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Encrypts `text` in its place, and gives the tag, which is of the associated data too. The key must
    /// not have been used with this nonce.
    ///
    /// # Errors
    ///
    /// If the text is too long.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Refused> {
        self.0
            .encrypt_inout_detached(nonce.into(), associated, text.into())
            .map(Into::into)
            .map_err(|_| Refused)
    }

    /// Decrypts `text` in its place.
    ///
    /// # Errors
    ///
    /// If the tag is another one: the text stays as it is.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Refused> {
        self.0
            .decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into())
            .map_err(|_| Refused)
    }
}
