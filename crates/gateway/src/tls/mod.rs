//! TLS: the gateway's certificate and key, which may change while it serves.

pub mod self_signed;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use rustls::{
    InconsistentKeys, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use zeroize::Zeroizing;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The protocols that are offered (RFC 7301), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of a certificate and its key, both PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Files {
    /// The certificate, and its issuers after it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What both files contained, as a digest.
type Digest = [u8; 32];

/// Another certificate that can be used.
pub struct Changed(Digest, Arc<ServerConfig>);

/// The gateway's side of TLS.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: RwLock<(Digest, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one cannot be read, is not what it should be, or does not belong to the other.
    pub fn load(files: Files) -> anyhow::Result<Arc<Self>> {
        let pair = Pair::read(&files)?;
        let config = pair.config(&files)?;
        Ok(Arc::new(Self {
            files,
            current: RwLock::new((pair.digest(), config)),
        }))
    }

    /// Reads the files again; `None` if they did not change. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`].
    pub fn read(&self) -> anyhow::Result<Option<Changed>> {
        let pair = Pair::read(&self.files)?;
        let digest = pair.digest();
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if current.0 == digest {
            return Ok(None);
        }
        drop(current);
        Ok(Some(Changed(digest, pair.config(&self.files)?)))
    }

    /// Uses what was read from now on.
    pub fn take(&self, changed: Option<Changed>) {
        let Some(Changed(digest, config)) = changed else {
            return;
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (digest, config);
        tracing::info!(certificate = %self.files.certificate.display(), "serving a new certificate");
    }

    /// Takes the files when they change, for ever.
    pub async fn watch(self: Arc<Self>) {
        let mut last_reason = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let tls = Arc::clone(&self);
            let reload = move || tls.read().map(|changed| tls.take(changed));
            let reason = match tokio::task::spawn_blocking(reload).await {
                Ok(Err(error)) => Some(format!("{error:#}")),
                _ => None,
            };
            // What lasts is said once.
            if let Some(reason) = &reason
                && last_reason.as_ref() != Some(reason)
            {
                tracing::warn!(
                    %reason,
                    "the new certificate cannot be used; the old one stays in use"
                );
            }
            last_reason = reason;
        }
    }

    /// Makes a client's connection a TLS connection.
    ///
    /// # Errors
    ///
    /// If the client does not speak TLS, supports nothing that the gateway does, or is too slow.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current.1)
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// What the files contain.
struct Pair {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Pair {
    fn read(files: &Files) -> anyhow::Result<Self> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
        })
    }

    fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update((self.certificate.len() as u64).to_le_bytes());
        hash.update(&self.certificate);
        hash.update(&self.key);
        hash.finalize().into()
    }

    /// The errors say nothing of the contents.
    fn config(&self, files: &Files) -> anyhow::Result<Arc<ServerConfig>> {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .with_context(|| format!("{certificate} holds no certificate (PEM)"))?;
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| anyhow!("{key} holds no private key (PEM, without a passphrase)"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    anyhow!("the key in {key} is not that of the certificate in {certificate}")
                }
                error => anyhow!("{certificate} and {key} cannot be used: {error}"),
            })?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests;
