//! The flags for TLS.

use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgAction, Args};

/// How the gateway proves itself to its clients.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct TlsArguments {
    /// Certificate (PEM), and its issuers after it, to serve HTTPS with: TLS 1.2 and 1.3, with
    /// HTTP/2 and HTTP/1.1; read again when it changes, and at SIGHUP [default: no TLS]
    #[arg(long, env = "ANONYMOUS_DOMAINS_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// File with the private key (PEM) of the --tls-certificate
    #[arg(long, env = "ANONYMOUS_DOMAINS_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Serves HTTPS with a certificate that the gateway makes for itself and keeps in the state
    /// directory as tls-certificate.pem: to try TLS
    #[arg(long, env = "ANONYMOUS_DOMAINS_TLS_SELF_SIGNED", value_name = "BOOL")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "false", default_missing_value = "true")]
    pub tls_self_signed: bool,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsSource {
    /// From these files.
    Files {
        /// The certificate and its issuers.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// From the state directory, where it is made if there is none.
    SelfSigned,
}

impl TlsArguments {
    /// Where the certificate comes from; `None` without TLS.
    ///
    /// # Errors
    ///
    /// If there is a certificate without a key or a key without a certificate, or both kinds.
    pub fn source(&self) -> anyhow::Result<Option<TlsSource>> {
        match (&self.tls_certificate, &self.tls_key, self.tls_self_signed) {
            (Some(certificate), Some(key), false) => Ok(Some(TlsSource::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            (None, None, true) => Ok(Some(TlsSource::SelfSigned)),
            (None, None, false) => Ok(None),
            (Some(_), None, _) => bail!("there is a --tls-certificate without a --tls-key"),
            (None, Some(_), _) => bail!("there is a --tls-key without a --tls-certificate"),
            (Some(_), Some(_), true) => {
                bail!("there are a --tls-certificate and --tls-self-signed: choose one")
            }
        }
    }
}
