use anonymous_domains::{error::Error, machine_trust::TrustAnchors};
use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};

use crate::support::{Ca, NOW_MS, ca_params, self_signed, signed_by};

const GUID: &str = "0d4f2a5c-7b1e-4c3d-9a8f-112233445566";

fn machine_params(uri: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn der(certificates: &[&Ca]) -> Vec<Vec<u8>> {
    let der = |ca: &&Ca| {
        let pem = x509_cert::Certificate::load_pem_chain(ca.pem.as_bytes()).unwrap();
        x509_cert::der::Encode::to_der(&pem[0]).unwrap()
    };
    certificates.iter().map(der).collect()
}

fn check(anchor: &Ca, x5c: &[&Ca], now_ms: i64) -> Result<(), Error> {
    let anchors = TrustAnchors::from_pem(&anchor.pem).unwrap();
    let guid = MachineGuid::parse(GUID).unwrap();
    anchors.check(Some(&der(x5c)), guid, now_ms / 1000)
}

#[track_caller]
fn refused(result: Result<(), Error>) {
    let error = result.expect_err("it should not be trusted");
    assert_eq!(error.refusal(), Some(ErrorName::MachineNotTrusted));
}

#[test]
fn a_machine_with_a_certificate_of_an_anchor_or_below_it_is_trusted() {
    let anchor = self_signed(ca_params("Makers"));
    let uri = format!("urn:uuid:{GUID}");
    let machine = signed_by(machine_params(&uri), &anchor);
    check(&anchor, &[&machine], NOW_MS).unwrap();
    check(&anchor, &[&machine, &anchor], NOW_MS).unwrap();

    let factory = signed_by(ca_params("Factory"), &anchor);
    let machine = signed_by(machine_params(&uri.to_uppercase()), &factory);
    check(&anchor, &[&machine, &factory], NOW_MS).unwrap();
    refused(check(&anchor, &[&machine], NOW_MS));
}

#[test]
fn a_machine_of_others_is_not_trusted() {
    let anchor = self_signed(ca_params("Makers"));
    // The same name, another key.
    let impostor = self_signed(ca_params("Makers"));
    let uri = format!("urn:uuid:{GUID}");
    let machine = signed_by(machine_params(&uri), &impostor);
    refused(check(&anchor, &[&machine], NOW_MS));
    refused(check(&anchor, &[&machine, &impostor], NOW_MS));
    refused(check(
        &anchor,
        &[&self_signed(machine_params(&uri))],
        NOW_MS,
    ));

    // A machine is no CA.
    let honest = signed_by(machine_params(&uri), &anchor);
    let forged = signed_by(machine_params(&uri), &honest);
    refused(check(&anchor, &[&forged, &honest], NOW_MS));
}

#[test]
fn a_certificate_must_be_for_this_guid_in_date_and_for_clients() {
    let anchor = self_signed(ca_params("Makers"));
    let uri = format!("urn:uuid:{GUID}");
    for other in [
        "urn:uuid:0d4f2a5c-7b1e-4c3d-9a8f-112233445567",
        "https://a.example",
    ] {
        refused(check(
            &anchor,
            &[&signed_by(machine_params(other), &anchor)],
            NOW_MS,
        ));
    }
    let machine = signed_by(machine_params(&uri), &anchor);
    let year_ms = 366 * 24 * 60 * 60 * 1000;
    refused(check(&anchor, &[&machine], NOW_MS + year_ms));
    refused(check(&anchor, &[&machine], NOW_MS - year_ms));

    let mut for_servers = machine_params(&uri);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    refused(check(&anchor, &[&signed_by(for_servers, &anchor)], NOW_MS));
    let mut for_clients = machine_params(&uri);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    check(&anchor, &[&signed_by(for_clients, &anchor)], NOW_MS).unwrap();
}

#[test]
fn a_bare_key_is_not_trusted() {
    let anchors = TrustAnchors::from_pem(&self_signed(ca_params("Makers")).pem).unwrap();
    let guid = MachineGuid::parse(GUID).unwrap();
    refused(anchors.check(None, guid, NOW_MS / 1000));
}
