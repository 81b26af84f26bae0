use std::sync::LazyLock;

use anonymous_domains::{
    credential::{authority::DomainCa, delivery},
    error::Error,
    issuer::{CertificateOrder, Issuer, NewKey},
    settings::Settings,
};
use anonymous_domains_protocol::{
    ids::DomainName,
    jwk::{KeyType, PrivateKey, PublicKey},
};
use rcgen::SigningKey as _;
use x509_cert::{
    Certificate,
    der::{
        Decode, DecodePem as _, Encode, Tag, TagNumber,
        asn1::Any,
        pem::{LineEnding, encode_string},
    },
    ext::pkix::{
        AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
        name::GeneralName,
    },
};

use crate::support::{self, Ca, NOW_MS, ca_params, self_signed, signed_by};

const NOW_S: i64 = NOW_MS / 1000;
const DAY_S: i64 = 24 * 60 * 60;

static LIVING_ROOM: LazyLock<DomainName> =
    LazyLock::new(|| DomainName::parse("living-room").unwrap());

fn order(version: u32) -> CertificateOrder<'static> {
    CertificateOrder {
        domain: &LIVING_ROOM,
        server_url: "https://domains.example/flashaccess/domainserver/living-room/",
        version,
        now_s: NOW_S,
    }
}

fn make(ca: &DomainCa, version: u32) -> Result<NewKey, Error> {
    ca.make(&order(version), &ca.vault.key_digests()[0])
}

fn settings(ca: &Ca, replaced: &[(&str, &str)]) -> Settings {
    support::settings(ca, replaced).unwrap()
}

fn spki(certificate: &Certificate) -> Vec<u8> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    spki.to_der().unwrap()
}

#[test]
fn a_domain_credential_says_what_the_protocol_says() {
    let ca = self_signed(ca_params("Domain CA"));
    let made = make(&settings(&ca, &[]).ca, 7).unwrap();
    let certificate = Certificate::from_der(&made.certificate.der).unwrap();
    let tbs = certificate.tbs_certificate();
    assert_eq!(tbs.subject().to_string(), "CN=living-room");
    assert_eq!(tbs.issuer().to_string(), "CN=Domain CA");

    let serial = tbs.serial_number().as_bytes();
    let bits = 8 * serial.len() - serial[0].leading_zeros() as usize;
    assert!((64..=159).contains(&bits), "{bits}");

    let (critical, SubjectAltName(names)) = tbs.get_extension().unwrap().unwrap();
    assert!(!critical);
    let [GeneralName::UniformResourceIdentifier(uri)] = &names[..] else {
        panic!("{names:?}");
    };
    assert_eq!(
        uri.as_str(),
        "https://domains.example/flashaccess/domainserver/living-room/#v7"
    );
    let (critical, constraints) = tbs.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert!(critical && !constraints.ca);
    let (critical, usage) = tbs.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(critical && usage.digital_signature() && usage.key_agreement());
    assert!(
        tbs.get_extension::<SubjectKeyIdentifier>()
            .unwrap()
            .is_some()
    );
    let (_, authority) = tbs
        .get_extension::<AuthorityKeyIdentifier>()
        .unwrap()
        .unwrap();
    let issuer = Certificate::load_pem_chain(ca.pem.as_bytes())
        .unwrap()
        .remove(0);
    let issuer_id = issuer
        .tbs_certificate()
        .get_extension::<SubjectKeyIdentifier>();
    assert_eq!(
        authority.key_identifier,
        Some(issuer_id.unwrap().unwrap().1.0)
    );
}

#[test]
fn a_certificate_ends_with_its_lifetime_or_with_the_ca() {
    let ca = self_signed(ca_params("Domain CA"));
    let month = settings(&ca, &[("credential_ttl_days", "30")]).ca;
    let made = make(&month, 1).unwrap().certificate;
    assert_eq!(made.not_before_s, NOW_S - 300);
    assert_eq!(made.not_after_s, NOW_S + 30 * DAY_S);

    let century = settings(&ca, &[("credential_ttl_days", "36525")]).ca;
    let made = make(&century, 1).unwrap().certificate;
    assert_eq!(made.not_after_s, 2_398_377_600, "2046-01-01");
}

#[test]
fn a_ca_out_of_date_signs_nothing() {
    let mut params = ca_params("Old CA");
    params.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let old = settings(&self_signed(params), &[]);
    assert!(make(&old.ca, 1).is_err());
}

#[test]
fn a_renewed_certificate_is_over_the_same_key() {
    let ca = settings(&self_signed(ca_params("Domain CA")), &[]).ca;
    let old = make(&ca, 1).unwrap().certificate.der;
    let new = ca.renew(&order(1), &old).unwrap().der;
    let [old, new] = [old, new].map(|der| Certificate::from_der(&der).unwrap());
    assert_eq!(spki(&old), spki(&new));
    assert_ne!(
        old.tbs_certificate().serial_number(),
        new.tbs_certificate().serial_number()
    );
}

#[test]
fn a_reissued_certificate_is_the_new_cas_and_names_what_the_old_one_named() {
    let old = settings(&self_signed(ca_params("Old CA")), &[]).ca;
    let new = settings(&self_signed(ca_params("New CA")), &[]).ca;
    let before = make(&old, 3).unwrap().certificate.der;
    let elsewhere = CertificateOrder {
        server_url: "https://elsewhere.example/",
        ..order(3)
    };
    let after = new.reissue(&elsewhere, &before).unwrap();
    let [before, reissued] = [&before, &after.der].map(|der| Certificate::from_der(der).unwrap());
    assert_eq!(spki(&before), spki(&reissued));
    let issuer = reissued.tbs_certificate().issuer().to_string();
    assert_eq!(issuer, "CN=New CA");
    assert_eq!(after.chain.len(), 1);
    let names = |certificate: &Certificate| {
        let (_, names) = certificate
            .tbs_certificate()
            .get_extension::<SubjectAltName>()
            .unwrap()
            .unwrap();
        names
    };
    assert_eq!(names(&before), names(&reissued));
    // Not of another version, and not of what is no certificate.
    assert!(new.reissue(&order(4), &after.der).is_err());
    assert!(new.reissue(&order(3), b"nonsense").is_err());
}

#[test]
fn the_chain_goes_from_the_issuer_to_the_root() {
    let root = self_signed(ca_params("Root"));
    let former = self_signed(ca_params("Former CA"));
    let issuing = signed_by(ca_params("Domain CA"), &root);
    let bundle = format!("{}{}{}", former.pem, root.pem, issuing.pem);
    let ca = settings(&issuing, &[("ca_certificate", &bundle)]).ca;
    let names: Vec<String> = make(&ca, 1)
        .unwrap()
        .certificate
        .chain
        .iter()
        .map(|der| {
            Certificate::from_der(der)
                .unwrap()
                .tbs_certificate()
                .subject()
                .to_string()
        })
        .collect();
    assert_eq!(names, ["CN=Domain CA", "CN=Root"]);
}

/// A CA's certificate that says of each extension whether it is critical, which DER leaves out where
/// it is not. Some programs write that, and the signature is over it.
fn with_defaults(ca: &Ca) -> Vec<u8> {
    let certificate = Certificate::from_pem(&ca.pem).unwrap();
    let tbs = certificate.tbs_certificate();
    let tagged = |tag, content: &[u8]| Any::new(tag, content).unwrap().to_der().unwrap();
    let sequence = |parts: &[Vec<u8>]| tagged(Tag::Sequence, &parts.concat());
    let context = |number| Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    };
    let extensions = tbs.extensions().unwrap().iter().map(|extension| {
        sequence(&[
            extension.extn_id.to_der().unwrap(),
            extension.critical.to_der().unwrap(),
            extension.extn_value.to_der().unwrap(),
        ])
    });
    let tbs = sequence(&[
        tagged(context(0), &[2, 1, 2]),
        tbs.serial_number().to_der().unwrap(),
        tbs.signature().to_der().unwrap(),
        tbs.issuer().to_der().unwrap(),
        tbs.validity().to_der().unwrap(),
        tbs.subject().to_der().unwrap(),
        spki(&certificate),
        tagged(context(3), &sequence(&extensions.collect::<Vec<_>>())),
    ]);
    let signature = ca.key.sign(&tbs).unwrap();
    let algorithm = certificate.signature_algorithm().to_der().unwrap();
    sequence(&[
        tbs,
        algorithm,
        tagged(Tag::BitString, &[&[0], &signature[..]].concat()),
    ])
}

#[test]
fn the_cas_certificate_stays_as_it_was_given() {
    let ca = self_signed(ca_params("Domain CA"));
    let der = with_defaults(&ca);
    let parsed = Certificate::from_der(&der).unwrap();
    assert_ne!(parsed.to_der().unwrap(), der, "written anew it is another");
    let pem = encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap();
    let settings = settings(
        &ca,
        &[("ca_certificate", &pem), ("ca_certificate_next", &pem)],
    );
    let made = make(&settings.ca, 1).unwrap().certificate;
    assert_eq!(made.chain, [der]);
    assert_eq!(settings.ca.authority.to_pem(), pem);
    assert_eq!(settings.ca_next, Some(pem));
}

#[test]
fn every_kind_of_domain_key_fits_its_certificate_once_it_is_opened() {
    let ca = self_signed(ca_params("Domain CA"));
    for kind in [KeyType::Rsa2048, KeyType::EcP256] {
        let ca = settings(&ca, &[("domain_key_type", kind.as_str())]).ca;
        let made = make(&ca, 1).unwrap();
        let opened = ca.vault.open("living-room", 1, &made.sealed).unwrap();
        let key = PrivateKey::from_jwk(&serde_json::from_slice(&opened).unwrap()).unwrap();
        let certificate = Certificate::from_der(&made.certificate.der).unwrap();
        let certified = PublicKey::from_spki_der(&spki(&certificate)).unwrap();
        assert_eq!(key.public_key().thumbprint(), certified.thumbprint());
    }
}

#[test]
fn a_kid_names_domain_and_version() {
    assert_eq!(delivery::kid(&LIVING_ROOM, 3), "living-room/3");
}
