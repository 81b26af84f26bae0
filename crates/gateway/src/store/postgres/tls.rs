//! TLS to a PostgreSQL, whose certificate is always checked.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verification {
    /// That a CA vouches for it (libpq's `verify-ca`): for servers with a CA of their own, whose
    /// certificates have other names.
    Chain,
    /// Also that it has the name of the host (`verify-full`).
    ChainAndName,
}

/// What makes connections with TLS. `ca` are the CA certificates in PEM, instead of the system's;
/// `identity` the gateway's own certificate chain and its private key in PEM.
///
/// # Errors
///
/// If one of them cannot be used.
pub(super) fn connector(
    ca: Option<&[u8]>,
    identity: Option<(&[u8], &[u8])>,
    verification: Verification,
) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(system);
        }
        Some(pem) => {
            let (added, refused) = roots.add_parsable_certificates(certificates(pem)?);
            if added == 0 || refused > 0 {
                return Err("the CA file holds no CA certificate (PEM)".into());
            }
        }
    }
    let provider = Arc::new(ring::default_provider());
    let text = |error: &dyn std::error::Error| error.to_string();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| text(&error))?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?;
    let builder = match verification {
        Verification::ChainAndName => builder.with_webpki_verifier(verifier),
        Verification::Chain => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName { verifier, provider })),
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| text(&error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| text(&error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.map_err(|error| error.to_string())
}

/// Checks everything but the name.
#[derive(Debug)]
struct AnyName {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is looked at last, when all else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
