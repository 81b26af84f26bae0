//! Wycheproof's vectors, through the algorithms that paths are validated with.

use anonymous_domains_path_validation::{
    ECDSA_P256_SHA256, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
};
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify};

/// Signatures in DER.
#[test]
fn ecdsa_p256_sha256() {
    use ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
    for group in &set.test_groups {
        for case in &group.tests {
            let verified = ECDSA_P256_SHA256.verify_signature(&group.key.key, &case.msg, &case.sig);
            let valid = case.result == TestResult::Valid;
            assert_eq!(verified.is_ok(), valid, "{}: {}", case.tc_id, case.comment);
        }
    }
    assert!(set.number_of_tests > 450);
}

/// Keys as RSAPublicKey. What is only acceptable (a DigestInfo without NULL) is refused.
#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = 0;
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, RSA_PKCS1_SHA256),
        (TestName::Rsa2048Sha384, RSA_PKCS1_SHA384),
        (TestName::Rsa2048Sha512, RSA_PKCS1_SHA512),
        (TestName::Rsa4096Sha512, RSA_PKCS1_SHA512),
        (TestName::Rsa8192Sha256, RSA_PKCS1_SHA256),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for case in group.tests {
                let verified = algorithm.verify_signature(&group.asn_key, &case.msg, &case.sig);
                let valid = case.result == TestResult::Valid;
                let shown = format!("{name:?} {}: {}", case.tc_id, case.comment);
                assert_eq!(verified.is_ok(), valid, "{shown}");
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}
