use anonymous_domains_protocol::{
    base64url,
    jwe::{JweError, decrypt, encrypt},
    jwk::{KeyType, PrivateKey, PublicKey},
};
use serde_json::Value;

use crate::{ec_key, interop, other_rsa_key, rsa_key};

fn encrypted(plaintext: &[u8], recipient: &PublicKey) -> String {
    encrypt(plaintext.to_vec().into(), recipient, "jwk-set+json").unwrap()
}

fn header(compact: &str) -> Value {
    let (header, _) = compact.split_once('.').unwrap();
    serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap()
}

#[test]
fn messages_of_other_libraries_are_read() {
    for (name, key) in [
        ("RSA-OAEP-256", rsa_key()),
        ("ECDH-ES", ec_key()),
        ("ECDH-ES apu apv", ec_key()),
    ] {
        let plaintext = decrypt(&interop(name), &key).expect(name);
        assert_eq!(plaintext.as_slice(), b"plaintext");
    }
}

#[test]
fn other_algorithms_are_refused() {
    for name in ["RSA-OAEP", "RSA-OAEP-256 A128GCM", "RSA-OAEP-256 zip"] {
        let refused = decrypt(&interop(name), &rsa_key());
        assert!(matches!(refused, Err(JweError::Malformed(_))), "{name}");
    }
}

#[test]
fn messages_round_trip() {
    for (key, alg) in [(rsa_key(), "RSA-OAEP-256"), (ec_key(), "ECDH-ES")] {
        for plaintext in [&b""[..], b"x", &[7; 100_000]] {
            let message = encrypted(plaintext, &key.public_key());
            assert_eq!(decrypt(&message, &key).unwrap().as_slice(), plaintext);
            let header = header(&message);
            assert_eq!(header["alg"], alg);
            assert_eq!(header["enc"], "A256GCM");
            assert_eq!(header["cty"], "jwk-set+json");
            assert_eq!(header["kid"], key.public_key().thumbprint_b64());
            assert_eq!(header.get("epk").is_some(), alg == "ECDH-ES");
        }
    }
}

#[test]
fn no_two_messages_are_alike() {
    for key in [rsa_key(), ec_key()] {
        let [one, two] = [(); 2].map(|()| encrypted(b"x", &key.public_key()));
        let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        for part in 2..5 {
            assert_ne!(one[part], two[part]);
        }
    }
}

#[test]
fn another_key_opens_nothing() {
    let to_rsa = encrypted(b"x", &rsa_key().public_key());
    let to_ec = encrypted(b"x", &ec_key().public_key());
    let other_ec = PrivateKey::generate(KeyType::EcP256);
    let failed = Err(JweError::DecryptionFailed);
    assert_eq!(decrypt(&to_rsa, other_rsa_key()), failed);
    assert_eq!(decrypt(&to_ec, &other_ec), failed);
    assert_eq!(decrypt(&to_rsa, &ec_key()), Err(JweError::KeyMismatch));
    assert_eq!(decrypt(&to_ec, &rsa_key()), Err(JweError::KeyMismatch));
}

#[test]
fn a_changed_message_is_refused() {
    for key in [rsa_key(), ec_key()] {
        let message = encrypted(b"plaintext", &key.public_key());
        let parts: Vec<Vec<u8>> = message
            .split('.')
            .map(|part| base64url::decode(part).unwrap())
            .collect();
        for (changed, part) in parts.iter().enumerate().skip(1) {
            if part.is_empty() {
                continue;
            }
            let mut parts = parts.clone();
            parts[changed][0] ^= 1;
            let text: Vec<_> = parts.iter().map(|part| base64url::encode(part)).collect();
            assert_eq!(
                decrypt(&text.join("."), &key),
                Err(JweError::DecryptionFailed),
                "part {changed}"
            );
        }
        let renamed = message.replacen(
            &base64url::encode(&parts[0]),
            &base64url::encode(
                String::from_utf8(parts[0].clone())
                    .unwrap()
                    .replace("jwk-set+json", "jwk-set+jsom")
                    .as_bytes(),
            ),
            1,
        );
        assert_ne!(renamed, message);
        assert_eq!(decrypt(&renamed, &key), Err(JweError::DecryptionFailed));
    }
}

#[test]
fn malformed_messages_are_refused() {
    let key = ec_key();
    let message = encrypted(b"plaintext", &key.public_key());
    let parts: Vec<&str> = message.split('.').collect();
    let header = header(&message);
    let with_header = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        let text = base64url::encode(header.to_string().as_bytes());
        [&text, parts[1], parts[2], parts[3], parts[4]].join(".")
    };
    let with_part = |at: usize, value: &str| {
        let mut parts = parts.clone();
        parts[at] = value;
        parts.join(".")
    };
    let refused = [
        String::new(),
        parts[..4].join("."),
        format!("{message}."),
        format!("{message}=\n"),
        with_part(0, "bm8"),
        with_part(0, "W10"),
        with_part(1, "AAAA"),
        with_part(2, "AAAA"),
        with_part(4, parts[4].split_at(8).0),
        with_part(3, "*"),
        with_header(&|header| header["crit"] = serde_json::json!(["exp"])),
        with_header(&|header| header["zip"] = "DEF".into()),
        with_header(&|header| header["enc"] = "A128GCM".into()),
        with_header(&|header| header["alg"] = "ECDH-ES+A256KW".into()),
        with_header(&|header| header["alg"] = "dir".into()),
        with_header(&|header| header["alg"] = Value::Null),
        with_header(&|header| header["epk"] = Value::Null),
        with_header(&|header| header["epk"]["y"] = header["epk"]["x"].clone()),
        with_header(&|header| header["epk"]["d"] = "AA".into()),
        with_header(&|header| header["apu"] = "*".into()),
    ];
    for message in refused {
        assert!(
            matches!(decrypt(&message, &key), Err(JweError::Malformed(_))),
            "{message}"
        );
    }
}
