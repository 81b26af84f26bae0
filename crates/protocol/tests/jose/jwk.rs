use anonymous_domains_protocol::{
    base64url,
    jwk::{KeyType, PrivateKey, PublicKey},
};
use serde_json::{Value, json};

use crate::{ec_key, openssl, other_rsa_key, rfc7515, rsa_key};

/// RFC 7638 section 3.1.
const THUMBPRINT_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

#[test]
fn thumbprint_of_rfc_7638() {
    let jwk = json!({
        "kty": "RSA", "n": THUMBPRINT_MODULUS, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    });
    let key = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!(
        key.thumbprint_b64(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn public_keys_come_back_the_same() {
    for key in [rsa_key(), ec_key(), other_rsa_key().clone()] {
        let public = key.public_key();
        assert_eq!(PublicKey::from_jwk(&public.to_jwk()).unwrap(), public);
        assert_eq!(
            PublicKey::from_spki_der(&public.to_spki_der()).unwrap(),
            public
        );
    }
}

#[test]
fn private_keys_come_back_the_same() {
    let fresh = PrivateKey::generate(KeyType::EcP256);
    for key in [rsa_key(), ec_key(), other_rsa_key().clone(), fresh] {
        let jwk = key.to_jwk();
        for again in [
            PrivateKey::from_pem(&key.to_pkcs8_pem()),
            PrivateKey::from_pkcs8_der(&key.to_pkcs8_der()),
            PrivateKey::from_jwk(&serde_json::from_str(&jwk).unwrap()),
        ] {
            assert_eq!(*again.unwrap().to_jwk(), *jwk);
        }
    }
}

#[test]
fn a_private_jwk_has_the_very_members_of_the_rfc() {
    for example in ["A.2", "A.3"] {
        let expected = &rfc7515(example)["key"];
        let key = PrivateKey::from_jwk(expected).unwrap();
        let jwk: Value = serde_json::from_str(&key.to_jwk()).unwrap();
        for (name, value) in jwk.as_object().unwrap() {
            assert_eq!(value, &expected[name], "{name}");
        }
        assert_eq!(jwk.get("qi").is_some(), example == "A.2");
    }
}

#[test]
fn keys_of_openssl_are_read() {
    for (name, key) in [
        ("A.2 PKCS#8", rsa_key()),
        ("A.2 PKCS#1", rsa_key()),
        ("A.3 PKCS#8", ec_key()),
        ("A.3 SEC 1", ec_key()),
    ] {
        let pem = openssl(name);
        let read = PrivateKey::from_pem(&pem).expect(name);
        assert_eq!(*read.to_jwk(), *key.to_jwk(), "{name}");
        let stated = PrivateKey::stated_public_key(&pem).expect(name);
        assert_eq!(stated, Some(key.public_key()), "{name}");
    }
    for name in ["P-384 SEC 1", "RSA 1024 bits", "RSA exponent 3"] {
        assert!(PrivateKey::from_pem(&openssl(name)).is_err(), "{name}");
        let stated = PrivateKey::stated_public_key(&openssl(name));
        assert!(stated.is_err(), "{name}");
    }
    assert!(PrivateKey::from_pem("").is_err());
    assert!(PrivateKey::stated_public_key("").is_err());
}

#[test]
fn nothing_secret_is_shown() {
    assert_eq!(format!("{:?}", rsa_key()), "PrivateKey::Rsa(..)");
    assert_eq!(format!("{:?}", ec_key()), "PrivateKey::P256(..)");
}

#[test]
fn generated_keys_are_of_the_kind_asked_for() {
    let PublicKey::Rsa(_) = other_rsa_key().public_key() else {
        panic!("not RSA");
    };
    assert_eq!(
        other_rsa_key().public_key().key_type(),
        Some(KeyType::Rsa2048)
    );
    assert_eq!(ec_key().public_key().key_type(), Some(KeyType::EcP256));
    let n = other_rsa_key().public_key().to_jwk()["n"].clone();
    assert_eq!(base64url::decode(n.as_str().unwrap()).unwrap().len(), 256);
    for kind in KeyType::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert!("rsa-2048".parse::<KeyType>().is_err());
    assert!("RSA-1024".parse::<KeyType>().is_err());
}

/// The octets in base64url, of a modulus that was changed.
fn modulus(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut octets = base64url::decode(THUMBPRINT_MODULUS).unwrap();
    change(&mut octets);
    base64url::encode(&octets)
}

#[test]
fn public_jwks_outside_of_the_limits_are_refused() {
    let rsa = json!({ "kty": "RSA", "n": THUMBPRINT_MODULUS, "e": "AQAB" });
    let ec = ec_key().public_key().to_jwk();
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let without = |jwk: &Value, name: &str| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    };
    let y_of_x = with(&ec, "y", ec["x"].clone());
    let long = |text: &Value| {
        let mut octets = base64url::decode(text.as_str().unwrap()).unwrap();
        octets.insert(0, 0);
        Value::from(base64url::encode(&octets))
    };
    assert!(PublicKey::from_jwk(&rsa).is_ok());
    assert!(PublicKey::from_jwk(&ec).is_ok());
    let refused = [
        json!(null),
        json!("RSA"),
        json!({}),
        without(&rsa, "kty"),
        without(&rsa, "n"),
        without(&rsa, "e"),
        with(&rsa, "kty", "rsa".into()),
        with(&rsa, "kty", "oct".into()),
        with(&rsa, "e", "Aw".into()),
        with(&rsa, "e", "AAEAAQ".into()),
        with(&rsa, "e", "AQAC".into()),
        with(&rsa, "e", json!(65537)),
        with(&rsa, "n", "".into()),
        with(&rsa, "n", modulus(|n| n.truncate(128)).into()),
        // 2047 bits, and an even modulus.
        with(&rsa, "n", modulus(|n| n[0] = 0x7f).into()),
        with(&rsa, "n", modulus(|n| n[255] &= 0xfe).into()),
        with(&rsa, "n", modulus(|n| n.insert(0, 0)).into()),
        // 4104 bits, and 4097.
        with(&rsa, "n", modulus(|n| n.resize(513, 0xff)).into()),
        with(
            &rsa,
            "n",
            modulus(|n| {
                n.resize(513, 0xff);
                n[0] = 1;
            })
            .into(),
        ),
        with(&rsa, "n", format!("{THUMBPRINT_MODULUS}=").into()),
        with(&rsa, "d", "AQAB".into()),
        with(&rsa, "oth", json!([])),
        with(&ec, "d", "AQAB".into()),
        with(&ec, "k", json!(null)),
        with(&ec, "crv", "P-384".into()),
        with(&ec, "crv", "secp256k1".into()),
        without(&ec, "crv"),
        without(&ec, "y"),
        with(&ec, "x", long(&ec["x"])),
        with(&ec, "y", "AA".into()),
        y_of_x,
    ];
    for jwk in refused {
        assert!(PublicKey::from_jwk(&jwk).is_err(), "{jwk}");
    }
    let longest = with(&rsa, "n", modulus(|n| n.resize(512, 0xff)).into());
    assert!(PublicKey::from_jwk(&longest).is_ok());
}

#[test]
fn private_jwks_whose_members_do_not_fit_are_refused() {
    let rsa: Value = serde_json::from_str(&rsa_key().to_jwk()).unwrap();
    let ec: Value = serde_json::from_str(&ec_key().to_jwk()).unwrap();
    let other: Value = serde_json::from_str(&other_rsa_key().to_jwk()).unwrap();
    for name in ["n", "d", "p", "q", "dp", "dq", "qi"] {
        let mut jwk = rsa.clone();
        jwk[name] = other[name].clone();
        assert!(PrivateKey::from_jwk(&jwk).is_err(), "{name}");
        jwk.as_object_mut().unwrap().remove(name);
        assert!(PrivateKey::from_jwk(&jwk).is_err(), "no {name}");
    }
    let mut swapped = rsa.clone();
    swapped["p"] = rsa["q"].clone();
    swapped["q"] = rsa["p"].clone();
    assert!(PrivateKey::from_jwk(&swapped).is_err());
    let mut multi_prime = rsa.clone();
    multi_prime["oth"] = json!([]);
    assert!(PrivateKey::from_jwk(&multi_prime).is_err());

    let zero = base64url::encode(&[0; 32]);
    for (name, value) in [("d", ec["x"].as_str().unwrap()), ("d", &zero), ("d", "AQ")] {
        let mut jwk = ec.clone();
        jwk[name] = value.into();
        assert!(PrivateKey::from_jwk(&jwk).is_err(), "{name} {value}");
    }
}

#[test]
fn subject_public_key_infos_outside_of_the_limits_are_refused() {
    let der = rsa_key().public_key().to_spki_der();
    let mut trailing = der.clone();
    trailing.push(0);
    assert!(PublicKey::from_spki_der(&trailing).is_err());
    assert!(PublicKey::from_spki_der(&der[..der.len() - 1]).is_err());
    assert!(PublicKey::from_spki_der(b"").is_err());
    // The algorithm's last octet: rsaEncryption (1) becomes sha1WithRSAEncryption (5).
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let at = der
        .windows(oid.len())
        .position(|window| window == oid)
        .unwrap();
    let mut other = der.clone();
    other[at + oid.len() - 1] = 5;
    assert!(PublicKey::from_spki_der(&other).is_err());
}
