//! A certificate that the gateway makes for itself, so that TLS can be tried.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::Context as _;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Files, Tls};
use crate::state::StateDirectory;

/// How long the certificate is good: a year.
const VALIDITY: time::Duration = time::Duration::days(365);

/// How far in the past its validity begins: clients' clocks may be slow.
const BACKDATED: time::Duration = time::Duration::hours(1);

/// A start makes another one if it is good for less than this: 30 days.
const LEFT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The files of the certificate for `localhost`, this machine's loopback addresses and `address`. It
/// is made if there is none in the directory, or one that is not for these or ends soon. Blocks.
///
/// # Errors
///
/// If the files cannot be read or written.
pub fn files(state: &StateDirectory, address: IpAddr) -> anyhow::Result<Files> {
    let (certificate, key) = state.tls_files();
    let files = Files { certificate, key };
    // Another gateway may be starting on the directory.
    let _locked = state.lock()?;
    let addresses = addresses(address);
    if is_good(&files, &addresses) {
        return Ok(files);
    }
    let (certificate, key) = generate(&addresses)?;
    state.write_tls_files(&certificate, &key)?;
    Ok(files)
}

fn addresses(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    if !address.is_unspecified() && !all.contains(&address) {
        all.push(address);
    }
    all
}

/// Whether the files can be used, for these addresses and for some time.
fn is_good(files: &Files, addresses: &[IpAddr]) -> bool {
    let check = || -> anyhow::Result<bool> {
        Tls::load(files.clone())?;
        let certificate = CertificateDer::from_pem_file(&files.certificate)?;
        let parsed = ParsedCertificate::try_from(&certificate)?;
        let names = addresses.iter().map(|&address| ServerName::from(address));
        let covers = names
            .chain([ServerName::try_from("localhost")?])
            .all(|name| verify_server_name(&parsed, &name).is_ok());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let then =
            UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + LEFT);
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let signed =
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], then, algorithms.all);
        Ok(covers && signed.is_ok())
    };
    check().unwrap_or(false)
}

/// A certificate, and its key.
fn generate(addresses: &[IpAddr]) -> anyhow::Result<(String, Zeroizing<String>)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key")?;
    let now = OffsetDateTime::now_utc();
    let names = addresses.iter().map(ToString::to_string);
    let names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
    let mut params = CertificateParams::new(names)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Anonymous Domains, self-signed");
    params.distinguished_name = name;
    params.not_before = now - BACKDATED;
    params.not_after = now + VALIDITY;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params
        .self_signed(&key)
        .context("cannot sign the certificate")?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A new pair for this machine, written to the files.
    pub(in crate::tls) fn write(files: &Files) {
        let (certificate, key) = generate(&addresses(Ipv4Addr::LOCALHOST.into())).unwrap();
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key.as_str()).unwrap();
    }

    #[test]
    fn it_is_kept_until_it_is_not_for_the_address() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path()).unwrap();
        let made = |address: [u8; 4]| {
            let files = files(&state, address.into()).unwrap();
            std::fs::read(files.certificate).unwrap()
        };
        let first = made([127, 0, 0, 1]);
        assert_eq!(made([127, 0, 0, 1]), first);
        assert_eq!(made([0, 0, 0, 0]), first);
        let second = made([192, 0, 2, 1]);
        assert_ne!(second, first);
        assert_eq!(made([127, 0, 0, 1]), second, "it is for both");
        std::fs::write(state.tls_files().1, "nonsense").unwrap();
        assert_ne!(made([127, 0, 0, 1]), second);
    }
}
