//! Wycheproof's vectors, through the keys, signatures and encryption of this crate.

use anonymous_domains_aes_gcm_wasm as aes_gcm;
use anonymous_domains_protocol::{
    base64url,
    jwe::{JweError, decrypt},
    jwk::{PrivateKey, PublicKey},
    jws::Algorithm,
};
use rsa::Oaep;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wycheproof::{TestResult, ecdh, ecdsa, rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

/// Whether a signature is by the key of a SubjectPublicKeyInfo.
fn verifies(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = PublicKey::from_spki_der(key).unwrap();
    algorithm.verify(&key, message, signature).is_ok()
}

/// What is only acceptable (a DigestInfo without NULL) is refused, and keys of other exponents.
#[test]
fn rs256() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let is_usual = group.key.e[..] == [1, 0, 1];
            assert_eq!(PublicKey::from_spki_der(&group.der).is_ok(), is_usual);
            for case in group.tests.iter().filter(|_| is_usual) {
                let verified = verifies(Algorithm::RS256, &group.der, &case.msg, &case.sig);
                let valid = case.result == TestResult::Valid;
                assert_eq!(verified, valid, "{name:?} {}: {}", case.tc_id, case.comment);
                count += 1;
            }
        }
    }
    assert!(count > 700, "{count}");
}

#[test]
fn ps256() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut count = 0;
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for case in group.tests {
                let verified = verifies(Algorithm::PS256, &group.der, &case.msg, &case.sig);
                let valid = case.result == TestResult::Valid;
                assert_eq!(verified, valid, "{name:?} {}: {}", case.tc_id, case.comment);
                count += 1;
            }
        }
    }
    // Valid elsewhere: with another salt, or another mask function.
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
        TestName::RsaPss2048Sha256Mgf1Sha1_20,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let valid = group
                .tests
                .iter()
                .filter(|case| case.result == TestResult::Valid);
            for case in valid {
                assert!(!verifies(
                    Algorithm::PS256,
                    &group.der,
                    &case.msg,
                    &case.sig
                ));
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

#[test]
fn es256() {
    use ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in &set.test_groups {
        for case in &group.tests {
            let verified = verifies(Algorithm::ES256, &group.der, &case.msg, &case.sig);
            let valid = case.result == TestResult::Valid;
            assert_eq!(verified, valid, "{}: {}", case.tc_id, case.comment);
        }
    }
    assert!(set.number_of_tests > 250);
}

/// A message to `key`, compact, with the content key that a vector says.
fn message(header: &Value, encrypted_key: &[u8], content_key: &[u8; 32]) -> String {
    let protected = base64url::encode(header.to_string().as_bytes());
    let mut content = b"plaintext".to_vec();
    let tag = aes_gcm::Key::new(content_key)
        .seal(&[0; 12], protected.as_bytes(), &mut content)
        .unwrap();
    let parts = [encrypted_key, &[0; 12], &content, &tag].map(base64url::encode);
    format!("{protected}.{}", parts.join("."))
}

/// The Concat KDF of RFC 7518 section 4.6.2 for `A256GCM`, without parties.
fn content_key(shared: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([0, 0, 0, 1]);
    hash.update(shared);
    hash.update([0, 0, 0, 7]);
    hash.update(b"A256GCM");
    hash.update([0; 8]);
    hash.update([0, 0, 1, 0]);
    hash.finalize().into()
}

/// The private key of a number, which has signs and leading zeros in the vectors.
fn private_key(number: &[u8]) -> PrivateKey {
    let start = number.iter().position(|octet| *octet != 0).unwrap();
    let number = &number[start..];
    let mut octets = [0; 32];
    octets[32 - number.len()..].copy_from_slice(number);
    let secret = anonymous_domains_p256_wasm::SecretKey::from_bytes(&octets).unwrap();
    PrivateKey::P256(secret)
}

/// The other's key in a JWK, as a JWE has it: any two coordinates.
#[test]
fn ecdh_es() {
    use ecdh::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
    let mut number = [0, 0];
    for case in &set.test_groups[0].tests {
        // Others have no two coordinates: they are compressed, or not points at all.
        let Ok([4, point @ ..]) = <&[u8; 65]>::try_from(&case.public_key[..]) else {
            continue;
        };
        let [x, y] = [&point[..32], &point[32..]].map(base64url::encode);
        let epk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "alg": "ECDH-ES", "enc": "A256GCM", "epk": epk });
        let message = message(&header, b"", &content_key(&case.shared_secret));
        let opened = decrypt(&message, &private_key(&case.private_key));
        let valid = case.result == TestResult::Valid;
        match &opened {
            Ok(plaintext) => assert!(valid && **plaintext == b"plaintext", "{}", case.tc_id),
            Err(error) => {
                let refused = !valid && matches!(error, JweError::Malformed(_));
                assert!(refused, "{}: {error}", case.tc_id);
            }
        }
        number[usize::from(valid)] += 1;
    }
    assert!(number[0] >= 5 && number[1] > 200, "{number:?}");
}

/// The same keys, and many that are none, as certificates have them. Whatever is only acceptable
/// (parameters in place of the curve's name) is refused, but for compressed points, which RFC 5480
/// allows.
#[test]
fn p256_keys_in_der() {
    use ecdh::{TestFlag, TestName, TestSet};
    let set = TestSet::load(TestName::EcdhSecp256r1).unwrap();
    let mut number = [0, 0];
    for case in &set.test_groups[0].tests {
        let compressed = case.flags.contains(&TestFlag::CompressedPoint)
            || case.flags.contains(&TestFlag::CompressedPublic);
        let valid = match case.result {
            TestResult::Valid => true,
            TestResult::Acceptable => compressed,
            TestResult::Invalid => false,
        };
        let key = PublicKey::from_spki_der(&case.public_key);
        let shown = format!("{}: {} {:?}", case.tc_id, case.comment, case.flags);
        assert_eq!(key.is_ok(), valid, "{shown}");
        if let (Ok(PublicKey::P256(key)), PrivateKey::P256(own)) =
            (key, private_key(&case.private_key))
        {
            assert_eq!(own.agree(&key)[..], case.shared_secret[..], "{shown}");
        }
        number[usize::from(valid)] += 1;
    }
    assert!(number[0] > 100 && number[1] > 200, "{number:?}");
}

/// Content keys have 32 octets: any other message of a vector is decrypted, but no content key.
#[test]
fn rsa_oaep_256() {
    use rsa_oaep::{TestName, TestSet};
    let mut number = [0, 0];
    for name in [
        TestName::Rsa2048Sha256Mgf1Sha256,
        TestName::Rsa3072Sha256Mgf1Sha256,
        TestName::Rsa4096Sha256Mgf1Sha256,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PrivateKey::from_pkcs8_der(&group.pkcs8).unwrap();
            let PrivateKey::Rsa(rsa) = &key else {
                panic!("not RSA");
            };
            for case in group.tests {
                // JWE has no label.
                let valid = case.result == TestResult::Valid && case.label.is_empty();
                let shown = format!("{name:?} {}: {}", case.tc_id, case.comment);
                let opened = rsa.decrypt(Oaep::<Sha256>::new(), &case.ct).ok();
                assert_eq!(opened, valid.then(|| case.pt.to_vec()), "{shown}");

                let header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM" });
                let content_key = case.pt[..].try_into();
                let message = message(&header, &case.ct, &content_key.unwrap_or([0; 32]));
                let opened = decrypt(&message, &key);
                let valid = valid && content_key.is_ok();
                let expected = Err(JweError::DecryptionFailed);
                assert_eq!(opened.map(|_| ()), if valid { Ok(()) } else { expected });
                number[usize::from(valid)] += 1;
            }
        }
    }
    assert!(number[0] > 80 && number[1] >= 3, "{number:?}");
}

/// Messages that are whole. Of what is valid, this crate takes what this protocol has: RSA-OAEP-256
/// or ECDH-ES with A256GCM.
#[test]
#[ignore = "WYCHEPROOF must name a clone of github.com/C2SP/wycheproof"]
fn json_web_encryption() {
    let directory = std::env::var("WYCHEPROOF").unwrap();
    let file = format!("{directory}/testvectors_v1/json_web_encryption_test.json");
    let set: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut number = [0, 0];
    for group in set["testGroups"].as_array().unwrap() {
        let Ok(key) = PrivateKey::from_jwk(&group["private"]) else {
            continue;
        };
        for case in group["tests"].as_array().unwrap() {
            // Some are JSON instead of text.
            let message = case["jwe"].as_str().unwrap_or("{}");
            let opened = decrypt(message, &key).ok();
            let header = message.split('.').next().unwrap();
            let header = base64url::decode(header).unwrap_or_default();
            let header: Value = serde_json::from_slice(&header).unwrap_or_default();
            let valid = case["result"] == "valid"
                && ["RSA-OAEP-256", "ECDH-ES"]
                    .map(Some)
                    .contains(&header["alg"].as_str())
                && header["enc"] == "A256GCM"
                && header.get("zip").is_none();
            let expected = valid.then(|| case["pt"].as_str().unwrap().to_owned());
            let opened = opened.map(|text| text.iter().map(|b| format!("{b:02x}")).collect());
            assert_eq!(opened, expected, "{}: {}", case["tcId"], case["comment"]);
            number[usize::from(valid)] += 1;
        }
    }
    println!("{} refused, {} opened", number[0], number[1]);
    assert!(number[0] > 40 && number[1] >= 2, "{number:?}");
}
