//! Which certificate paths are accepted.

use anonymous_domains_device::certificate::{CertificateFault, Chain};
use x509_cert::ext::pkix::KeyUsages;

use crate::ca::Ca;

fn check(chain: &[&[u8]], anchors: &[&[u8]]) -> Result<(), CertificateFault> {
    let owned = |ders: &[&[u8]]| ders.iter().map(|der| der.to_vec()).collect::<Vec<_>>();
    Chain::parse(owned(chain))?.check_trust(&owned(anchors))
}

#[test]
fn a_path_may_have_an_intermediate_ca_and_end_below_its_anchor() {
    let root = Ca::new();
    let intermediate = root.intermediate(true, KeyUsages::KeyCertSign);
    let leaf = intermediate.leaf();
    let [root, intermediate] = [&root.certificate[..], &intermediate.certificate];
    assert_eq!(check(&[&leaf, intermediate, root], &[root]), Ok(()));
    assert_eq!(check(&[&leaf, intermediate], &[root]), Ok(()));
    assert_eq!(check(&[&leaf, intermediate, root], &[intermediate]), Ok(()));
    assert_eq!(check(&[&leaf], &[intermediate]), Ok(()));
}

#[test]
fn a_chain_that_is_not_in_order_or_has_something_else_in_it_is_refused() {
    let root = Ca::new();
    let intermediate = root.intermediate(true, KeyUsages::KeyCertSign);
    let leaf = intermediate.leaf();
    let other = Ca::new();
    let [root, intermediate] = [&root.certificate[..], &intermediate.certificate];
    let other = &other.certificate[..];
    for chain in [
        &[&leaf[..], root, intermediate][..],
        &[&leaf, root],
        &[&leaf, other, intermediate, root],
        &[&leaf, intermediate, other, root],
        &[&leaf, intermediate, intermediate, root],
        &[&leaf, &leaf, intermediate, root],
    ] {
        assert!(check(chain, &[root]).is_err(), "{}", chain.len());
    }
    assert_eq!(
        check(&[&leaf, root], &[root]),
        Err(CertificateFault::BrokenChain)
    );
    assert_eq!(
        check(&[&leaf, intermediate, root], &[other]),
        Err(CertificateFault::UntrustedRoot)
    );
    assert_eq!(
        check(&[&leaf, intermediate, root], &[]),
        Err(CertificateFault::UntrustedRoot)
    );
}

#[test]
fn a_ca_may_renew_its_certificate() {
    let trusted = Ca::new();
    let renewed = trusted.renewed();
    assert_ne!(trusted.certificate, renewed.certificate);
    assert_eq!(
        check(
            &[&renewed.leaf(), &renewed.certificate],
            &[&trusted.certificate]
        ),
        Ok(())
    );
}

#[test]
fn a_leaf_is_no_anchor() {
    let leaf = Ca::new().leaf();
    assert_eq!(
        check(&[&leaf], &[&leaf]),
        Err(CertificateFault::UntrustedRoot)
    );
    let root = Ca::new().certificate;
    assert!(check(&[&root], &[&root]).is_err());
}

#[test]
fn a_changed_signature_is_found() {
    let root = Ca::new();
    let mut leaf = root.leaf();
    // The end of the signature's second integer.
    *leaf.last_mut().unwrap() ^= 1;
    assert_eq!(
        check(&[&leaf, &root.certificate], &[&root.certificate]),
        Err(CertificateFault::BrokenChain)
    );
}

#[test]
fn only_a_ca_that_may_sign_certificates_issues() {
    let root = Ca::new();
    for intermediate in [
        root.intermediate(false, KeyUsages::KeyCertSign),
        root.intermediate(true, KeyUsages::DigitalSignature),
    ] {
        let leaf = intermediate.leaf();
        let chain = [&leaf, &intermediate.certificate, &root.certificate].map(Vec::as_slice);
        assert_eq!(
            check(&chain, &[&root.certificate]),
            Err(CertificateFault::NotAnIssuer)
        );
        assert_eq!(
            check(&chain, &[&intermediate.certificate]),
            Err(CertificateFault::NotAnIssuer)
        );
        assert_eq!(
            check(&[&leaf], &[&intermediate.certificate]),
            Err(CertificateFault::UntrustedRoot)
        );
    }
}

#[test]
fn an_anchors_path_length_counts() {
    let root = Ca::with_path_length(Some(0));
    assert_eq!(check(&[&root.leaf()], &[&root.certificate]), Ok(()));
    let intermediate = root.intermediate(true, KeyUsages::KeyCertSign);
    let leaf = intermediate.leaf();
    let chain = [&leaf, &intermediate.certificate, &root.certificate].map(Vec::as_slice);
    assert_eq!(
        check(&chain, &[&root.certificate]),
        Err(CertificateFault::NotAnIssuer)
    );
    assert_eq!(
        check(&chain[..2], &[&root.certificate]),
        Err(CertificateFault::UntrustedRoot)
    );
}
