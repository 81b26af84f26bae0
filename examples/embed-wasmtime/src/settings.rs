//! The component's settings, with a CA and a key that are new at every start, as the tables are.

use std::collections::HashMap;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

pub fn make() -> anyhow::Result<HashMap<String, String>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Domain CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let settings = [
        ("ca_certificate", ca.self_signed(&ca_key)?.pem()),
        ("ca_private_key", ca_key.serialize_pem()),
        ("key_encryption_key", secret),
        // An RSA key would take the component up to some seconds.
        ("domain_key_type", "EC-P256".to_owned()),
    ];
    Ok(settings
        .map(|(name, value)| (name.to_owned(), value))
        .into())
}
