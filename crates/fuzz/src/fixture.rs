//! Keys and certificates that are always the same, so that an input does the same in every run.

use std::sync::OnceLock;

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwk::{KeyType, PrivateKey},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    SanType, SignatureAlgorithm, SigningKey,
};
use sha2::{Digest as _, Sha256};

/// When the targets are, in milliseconds since 1970: 2026-11-22T19:41:28Z.
pub const NOW_MS: i64 = 1_795_376_488_000;

/// The key-encryption key.
pub const KEY_ENCRYPTION_KEY: &str =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The operator's token.
pub const ADMIN_TOKEN: &str = "c0ffee-operators-token-of-the-fuzz-targets";

/// What no error, answer or line of the log may show.
pub const PASSWORD: &str = "hunter2-correct-horse";

/// A key of P-256, its secret made of one byte.
pub fn ec_key(byte: u8) -> PrivateKey {
    let secret = anonymous_domains_p256_wasm::SecretKey::from_bytes(&[byte; 32]);
    PrivateKey::P256(secret.expect("less than the group's order, and not 0"))
}

/// An RSA key, which is slow to make: one for the process.
pub fn rsa_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(KeyType::Rsa2048))
}

/// A machine's GUID.
pub fn guid(byte: u8) -> MachineGuid {
    MachineGuid::from_bytes([byte; 16])
}

/// A CA.
pub struct Ca {
    /// Its certificate, as PEM.
    pub pem: String,
    /// Its certificate, as DER.
    pub der: Vec<u8>,
    /// Its key, as PEM.
    pub key_pem: String,
    params: CertificateParams,
    key: Signer,
}

/// A key that signs the same text the same, which rcgen's own do not.
struct Signer {
    key: anonymous_domains_p256_wasm::SecretKey,
    public: [u8; 65],
}

impl Signer {
    fn new(byte: u8) -> Self {
        let PrivateKey::P256(key) = ec_key(byte) else {
            unreachable!("it is a key of P-256")
        };
        let public = key.public_key().to_sec1();
        Self { key, public }
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(&Sha256::digest(message).into()).to_der())
    }
}

/// The one CA, of the domains and of the machines' certificates.
pub fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(|| {
        let key = Signer::new(0x0c);
        let params = ca_params("Fuzz CA");
        let certificate = params.self_signed(&key).expect("it can be signed");
        Ca {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            key_pem: ec_key(0x0c).to_pkcs8_pem().to_string(),
            params,
            key,
        }
    })
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).expect("there are no names to be wrong");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    params
}

/// A machine's certificate and the intermediate CA that signed it, as DER.
pub fn machine_chain(machine: u8) -> [Vec<u8>; 2] {
    let ca = ca();
    let key = Signer::new(0x1c);
    let intermediate = ca_params("Fuzz intermediate");
    let issuer = Issuer::from_params(&ca.params, &ca.key);
    let certificate = intermediate
        .signed_by(&key, &issuer)
        .expect("it can be signed");
    let mut leaf = CertificateParams::new(vec![]).expect("there are no names to be wrong");
    leaf.distinguished_name.push(DnType::CommonName, "machine");
    let urn = format!("urn:uuid:{}", guid(machine));
    leaf.subject_alt_names = vec![SanType::URI(urn.try_into().expect("it is ASCII"))];
    leaf.not_before = rcgen::date_time_ymd(2026, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2045, 1, 1);
    let leaf_key = Signer::new(machine);
    let issuer = Issuer::from_params(&intermediate, &key);
    let leaf = leaf
        .signed_by(&leaf_key, &issuer)
        .expect("it can be signed");
    [leaf.der().to_vec(), certificate.der().to_vec()]
}

/// The text of a setting of the server under test, without those that `anonymous_domains` has
/// defaults for.
pub fn setting(name: &str) -> Option<String> {
    let text = match name {
        "ca_certificate" => &ca().pem,
        "ca_private_key" => &ca().key_pem,
        "key_encryption_key" => KEY_ENCRYPTION_KEY,
        "domain_key_type" => "EC-P256",
        "admin_token" => ADMIN_TOKEN,
        "auth_jwks" => issuer_keys(),
        "auth_issuer" => "https://issuer.example",
        "auth_audience" => "domains",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The key that signs authentication tokens.
pub fn token_key() -> PrivateKey {
    ec_key(0x77)
}

/// The JWK Set with the public half of [`token_key`].
pub fn issuer_keys() -> &'static str {
    static KEYS: OnceLock<String> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut key = token_key().public_key().to_jwk();
        key["kid"] = "issuer".into();
        serde_json::json!({ "keys": [key] }).to_string()
    })
}
