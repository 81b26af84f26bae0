//! Certificates: machines' chains as they are validated, domains' as they are made.

use std::{sync::OnceLock, time::Duration};

use anonymous_domains::{
    credential::certificate, issuer::CertificateOrder, machine_trust::TrustAnchors,
    settings::Settings,
};
use anonymous_domains_device::certificate::Chain;
use anonymous_domains_path_validation as algorithms;
use anonymous_domains_protocol::{ids::DomainName, jwk::PublicKey};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use super::Target;
use crate::{
    fixture::{self, NOW_MS, ca, ec_key},
    input::{self, seed},
};

/// A byte chooses what the rest is: certificates with their lengths before them, or changes to a
/// chain that is valid.
pub const MACHINE_CHAIN: Target = Target {
    name: "machine_chain",
    about: "machines' certificates (x5c): a chain that was changed is not trusted",
    run: machine_chain,
    seeds: machine_chain_seeds,
    mutations: 2_000,
};

/// Three bytes for the version, a line with the domain's name, a URL.
pub const DOMAIN_CERTIFICATE: Target = Target {
    name: "domain_certificate",
    about: "domains' certificates for odd names and URLs: they say what was ordered, and validate",
    run: domain_certificate,
    seeds: domain_certificate_seeds,
    mutations: 800,
};

const NOW_S: i64 = NOW_MS / 1000;
/// Whose certificate the valid chain is.
const MACHINE: u8 = 1;

fn anchors() -> &'static TrustAnchors {
    static ANCHORS: OnceLock<TrustAnchors> = OnceLock::new();
    ANCHORS.get_or_init(|| TrustAnchors::from_pem(&ca().pem).expect("a certificate"))
}

fn valid_chain() -> &'static [Vec<u8>; 2] {
    static CHAIN: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    CHAIN.get_or_init(|| fixture::machine_chain(MACHINE))
}

fn machine_chain(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    let guid = fixture::guid(MACHINE);
    let mut chain = valid_chain().to_vec();
    match kind % 4 {
        0 => {
            chain.clear();
            let mut rest = rest;
            while chain.len() < 8 && !rest.is_empty() {
                let (length, after) = input::take::<2>(rest);
                let length = usize::from(u16::from_be_bytes(length)).min(after.len());
                let (der, after) = after.split_at(length);
                chain.push(der.to_vec());
                rest = after;
            }
        }
        1 => drop(input::change(&mut chain[0], rest)),
        2 => drop(input::change(&mut chain[1], rest)),
        // Another order, and other certificates in between.
        _ => {
            let all = [
                valid_chain()[0].clone(),
                valid_chain()[1].clone(),
                ca().der.clone(),
            ];
            let picked = rest.iter().take(8);
            chain = picked.map(|at| all[usize::from(*at) % 3].clone()).collect();
        }
    }
    let trusted = anchors().check(Some(&chain), guid, NOW_S).is_ok();
    let [leaf, issuer] = valid_chain();
    if trusted {
        assert_eq!(chain.first(), Some(leaf), "another certificate is trusted");
        assert!(chain[1..].contains(issuer), "nothing leads to the anchor");
        let other = fixture::guid(MACHINE + 1);
        assert!(anchors().check(Some(&chain), other, NOW_S).is_err());
        let too_late = NOW_S + 40 * 366 * 86_400;
        assert!(anchors().check(Some(&chain), guid, too_late).is_err());
    } else {
        assert!(chain.first() != Some(leaf) || !chain[1..].contains(issuer));
    }
    // A device's own validation, of chains that a server sends.
    if let Ok(chain) = Chain::parse(chain) {
        let _ = chain.check_trust(&[ca().der.clone()]);
        let _ = chain.check_dates(NOW_S.unsigned_abs());
        let name = DomainName::parse("living-room").expect("a name");
        let key = ec_key(MACHINE).public_key();
        assert!(chain.check_leaf(&name, 1, &key).is_err());
    }
}

fn machine_chain_seeds() -> Vec<Vec<u8>> {
    let with_length = |der: &[u8]| seed(&[&(der.len() as u16).to_be_bytes(), der]);
    let [leaf, issuer] = valid_chain();
    vec![
        seed(&[&[0], &with_length(leaf), &with_length(issuer)]),
        seed(&[&[0], &with_length(leaf)]),
        seed(&[&[0], &with_length(&ca().der), &with_length(&ca().der)]),
        vec![1],
        vec![1, 0, 40, 1],
        vec![2, 0, 40, 1, 0, 90, 7],
        vec![3, 0, 1, 2],
        vec![3, 0, 0, 0, 1],
        vec![3, 1, 0],
    ]
}

fn settings() -> &'static (Certificate, Settings) {
    thread_local! {
        static SETTINGS: &'static (Certificate, Settings) = Box::leak(Box::new((
            Certificate::from_der(&ca().der).expect("a certificate"),
            Settings::read(fixture::setting).expect("these settings do"),
        )));
    }
    SETTINGS.with(|settings| *settings)
}

fn domain_certificate(bytes: &[u8]) {
    let (version, rest) = input::take::<3>(bytes);
    let version = u32::from_be_bytes([0, version[0], version[1], version[2]]);
    let (name, url) = input::split_once(rest, b"\n");
    let (name, url) = (String::from_utf8_lossy(name), String::from_utf8_lossy(url));
    let Ok(domain) = DomainName::parse(&name) else {
        return;
    };
    let order = CertificateOrder {
        domain: &domain,
        server_url: &url,
        version,
        now_s: NOW_S,
    };
    let key = ec_key(5).public_key();
    let (issuer, _) = settings();
    let ca_key = ec_key(0x0c);
    let signer = (&ca_key, &ca_key.public_key());
    let made = certificate::sign(issuer, signer, &key, &order, NOW_S - 60, NOW_S + 60);
    let Ok(der) = made else {
        assert!(!url.is_ascii(), "{url:?} is refused");
        return;
    };
    let certificate = Certificate::from_der(&der).expect("it is one");
    assert_eq!(certificate.to_der().as_ref(), Ok(&der));
    assert_eq!(
        certificate::server_url(&certificate, version).as_deref(),
        Some(&*url)
    );
    let tbs = certificate.tbs_certificate();
    assert_eq!(tbs.subject().to_string(), format!("CN={domain}"));
    let spki = tbs.subject_public_key_info().to_der().expect("it is one");
    assert_eq!(PublicKey::from_spki_der(&spki).as_ref(), Ok(&key));
    // An independent validation finds it good, and so does a device.
    let der = CertificateDer::from(der);
    let anchor = CertificateDer::from(&ca().der[..]);
    let anchor = webpki::anchor_from_trusted_cert(&anchor).expect("a CA");
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW_S.unsigned_abs()));
    let leaf = EndEntityCert::try_from(&der).expect("it is one");
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(algorithms::ALL, &[anchor], &[], now, usage, None, None)
        .expect("the CA signed it");
    let chain = Chain::parse(vec![der.to_vec(), ca().der.clone()]).expect("they are certificates");
    assert_eq!(chain.check_trust(&[ca().der.clone()]), Ok(()));
    let expected = format!("/flashaccess/domainserver/{domain}/");
    if url == format!("https://domains.example{expected}") && version > 0 {
        assert_eq!(chain.check_leaf(&domain, version.into(), &key), Ok(()));
    }
}

fn domain_certificate_seeds() -> Vec<Vec<u8>> {
    let url = |name: &str| format!("https://domains.example/flashaccess/domainserver/{name}/");
    let longest = "x".repeat(128);
    let names = [
        "living-room",
        "0",
        "A.b_c-9",
        "xn--a",
        "CN-O.example",
        &longest,
    ];
    let mut seeds: Vec<_> = names
        .iter()
        .map(|name| seed(&[&[0, 0, 1], name.as_bytes(), b"\n", url(name).as_bytes()]))
        .collect();
    seeds.push(seed(&[&[255, 255, 255], b"a\n#v1#v2"]));
    seeds.push(seed(&[&[0, 0, 0], "a\né".as_bytes()]));
    seeds
}
