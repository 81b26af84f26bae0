//! The domain CA's private key.

use std::{cell::OnceCell, fmt};

use anonymous_domains_protocol::jwk::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::error::Error;

/// The CA's private key. It is read in full when it is first used: that takes as long as a whole
/// request of a device, and few requests sign.
pub struct CaKey {
    pem: Zeroizing<String>,
    public: PublicKey,
    private: OnceCell<Result<PrivateKey, String>>,
}

impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaKey(..)")
    }
}

impl CaKey {
    /// Takes the key as PEM: PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// What is wrong with `ca_private_key`, for the operator, as far as it shows.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let private = OnceCell::new();
        let public = match PrivateKey::stated_public_key(pem).map_err(unusable)? {
            Some(public) => public,
            None => {
                let key = PrivateKey::from_pem(pem).map_err(unusable)?;
                let public = key.public_key();
                // Empty until now.
                let _ = private.set(Ok(key));
                public
            }
        };
        Ok(Self {
            pem: Zeroizing::new(pem.to_owned()),
            public,
            private,
        })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private half.
    ///
    /// # Errors
    /// A fault, when `ca_private_key` is no private key or not that of its public half.
    pub fn private(&self) -> Result<&PrivateKey, Error> {
        let private = self.private.get_or_init(|| {
            let key = PrivateKey::from_pem(&self.pem).map_err(unusable)?;
            if key.public_key() == self.public {
                Ok(key)
            } else {
                Err("the private and the public key in ca_private_key do not fit".to_owned())
            }
        });
        private
            .as_ref()
            .map_err(|error| Error::fault(error.clone()))
    }
}

fn unusable(error: impl fmt::Display) -> String {
    format!("ca_private_key is no RSA or P-256 private key in PEM: {error}")
}
