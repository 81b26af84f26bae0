use anonymous_domains_protocol::{
    base64url,
    jwk::PrivateKey,
    jws::{Algorithm, SignError, VerifyError, sign_flattened},
};
use serde_json::{Value, json};

use crate::{ec_key, interop, other_rsa_key, rfc7515, rsa_key};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256];

fn key(algorithm: Algorithm) -> PrivateKey {
    match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => rsa_key(),
        Algorithm::ES256 => ec_key(),
    }
}

/// What was signed, and the signature, of a compact JWS.
fn compact(text: &str) -> (&[u8], Vec<u8>) {
    let (message, signature) = text.rsplit_once('.').unwrap();
    (message.as_bytes(), base64url::decode(signature).unwrap())
}

#[test]
fn examples_of_rfc_7515() {
    for (example, algorithm) in [("A.2", Algorithm::RS256), ("A.3", Algorithm::ES256)] {
        let example = rfc7515(example);
        let (message, signature) = compact(example["compact"].as_str().unwrap());
        let key = PrivateKey::from_jwk(&example["key"]).unwrap();
        assert_eq!(
            algorithm.verify(&key.public_key(), message, &signature),
            Ok(())
        );
        if algorithm == Algorithm::RS256 {
            assert_eq!(algorithm.sign(&key, message).unwrap(), signature);
        }
    }
}

#[test]
fn signatures_of_other_libraries_are_accepted() {
    for algorithm in ALGORITHMS {
        let text = interop(algorithm.as_str());
        let (message, signature) = compact(&text);
        let key = key(algorithm).public_key();
        assert_eq!(algorithm.verify(&key, message, &signature), Ok(()));
    }
}

#[test]
fn signatures_round_trip_and_nothing_else_is_accepted() {
    for algorithm in ALGORITHMS {
        let private = key(algorithm);
        let key = private.public_key();
        let signature = algorithm.sign(&private, b"message").unwrap();
        assert_eq!(algorithm.verify(&key, b"message", &signature), Ok(()));

        let bad = Err(VerifyError::BadSignature);
        assert_eq!(algorithm.verify(&key, b"massage", &signature), bad);
        assert_eq!(algorithm.verify(&key, b"message", b""), bad);
        let mut changed = signature.clone();
        changed[10] ^= 1;
        assert_eq!(algorithm.verify(&key, b"message", &changed), bad);
        let longer = [&[0], &signature[..]].concat();
        assert_eq!(algorithm.verify(&key, b"message", &longer), bad);
        let shorter = &signature[1..];
        assert_eq!(algorithm.verify(&key, b"message", shorter), bad);
    }
    let signature = Algorithm::RS256.sign(&rsa_key(), b"message").unwrap();
    assert_eq!(
        Algorithm::RS256.verify(&other_rsa_key().public_key(), b"message", &signature),
        Err(VerifyError::BadSignature)
    );
    assert_eq!(
        Algorithm::PS256.verify(&rsa_key().public_key(), b"message", &signature),
        Err(VerifyError::BadSignature)
    );
}

#[test]
fn es256_scalars_are_from_1_to_n_minus_1() {
    const N: &str = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
    let n = base64url::decode(N).unwrap();
    let signature = Algorithm::ES256.sign(&ec_key(), b"message").unwrap();
    let (r, s) = signature.split_at(32);
    for (r, s) in [(&[0; 32][..], s), (r, &[0; 32]), (&n, s), (r, &n)] {
        assert_eq!(
            Algorithm::ES256.verify(&ec_key().public_key(), b"message", &[r, s].concat()),
            Err(VerifyError::BadSignature)
        );
    }
}

#[test]
fn ps256_salts_are_of_32_octets() {
    use rsa::Pss;
    use sha2::{Digest, Sha256};
    let private = rsa_key();
    let PrivateKey::Rsa(rsa) = &private else {
        panic!("not RSA");
    };
    for (octets, expected) in [
        (32, Ok(())),
        (20, Err(VerifyError::BadSignature)),
        (0, Err(VerifyError::BadSignature)),
    ] {
        let signature = rsa
            .sign(
                Pss::<Sha256>::new_with_salt(octets),
                &Sha256::digest(b"message"),
            )
            .unwrap();
        assert_eq!(
            Algorithm::PS256.verify(&private.public_key(), b"message", &signature),
            expected
        );
    }
}

#[test]
fn algorithms_and_keys_must_fit() {
    for (algorithm, key) in [
        (Algorithm::RS256, ec_key()),
        (Algorithm::PS256, ec_key()),
        (Algorithm::ES256, rsa_key()),
    ] {
        assert!(!algorithm.fits(&key.public_key()));
        assert_eq!(
            algorithm.verify(&key.public_key(), b"", &[1; 64]),
            Err(VerifyError::KeyMismatch)
        );
        assert_eq!(algorithm.sign(&key, b""), Err(SignError::KeyMismatch));
    }
    for algorithm in ALGORITHMS {
        assert!(algorithm.fits(&key(algorithm).public_key()));
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
    }
    for name in ["none", "HS256", "rs256", "RS384", "ES256K", ""] {
        assert!(name.parse::<Algorithm>().is_err(), "{name}");
    }
    assert_eq!(Algorithm::default_for(&rsa_key()), Algorithm::RS256);
    assert_eq!(Algorithm::default_for(&ec_key()), Algorithm::ES256);
}

#[test]
fn the_flattened_form_has_three_members() {
    let header = json!({ "alg": "ES256" });
    let text = sign_flattened(&header, b"payload", Algorithm::ES256, &ec_key()).unwrap();
    let jws: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = jws.as_object().unwrap().keys().collect();
    assert_eq!(names, ["payload", "protected", "signature"]);
    assert_eq!(jws["payload"], "cGF5bG9hZA");
    let part = |name: &str| jws[name].as_str().unwrap();
    let message = format!("{}.{}", part("protected"), part("payload"));
    let signature = base64url::decode(part("signature")).unwrap();
    let key = ec_key().public_key();
    assert_eq!(
        Algorithm::ES256.verify(&key, message.as_bytes(), &signature),
        Ok(())
    );
}
