use anonymous_domains_p256_wasm::{PublicKey, SecretKey};

use crate::{check, digest, hex, programs};

const ECDSA: &str = include_str!("../../../p256-wasm/testdata/wycheproof_ecdsa.txt");
const ECDH: &str = include_str!("../../../p256-wasm/testdata/wycheproof_ecdh.txt");

/// Secrets at the edges, and any.
fn secrets() -> Vec<[u8; 32]> {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc6325";
    let mut secrets = Vec::new();
    for low in [1, 2, 3, 15, 16, 17, 0x50] {
        let mut small = [0; 32];
        small[31] = low;
        secrets.push(small);
        // n is this with 51 at its end.
        secrets.push(hex(&format!("{order}{low:02x}")).try_into().unwrap());
    }
    for at in 1..32 {
        let mut power = [0; 32];
        power[at] = 1;
        secrets.push(power);
        let mut ones = [0; 32];
        ones[at..].fill(0xff);
        secrets.push(ones);
    }
    secrets.extend((0..50_u8).map(|number| digest(&[number])));
    secrets.retain(|secret| SecretKey::from_bytes(secret).is_some());
    secrets
}

#[tokio::test]
async fn wycheproof() {
    let mut cases = Vec::new();
    let mut key = Vec::new();
    for line in ECDSA.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", digits] => key = hex(digits),
            [_, message, signature, result] if !line.starts_with('#') => {
                let signature = hex(signature.trim_matches('-'));
                if signature.len() == 64 {
                    let digest = digest(&hex(message.trim_matches('-')));
                    let input = [b"v", &key[..], &digest, &signature].concat();
                    cases.push((input, vec![u8::from(result == "valid")]));
                }
            }
            _ => {}
        }
    }
    for line in ECDH.lines() {
        let [_, point, secret, shared, result] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let (point, secret) = (hex(point.trim_matches('-')), hex(&format!("{secret:0>66}")));
        if point.len() == 65 {
            let expected = if result == "invalid" {
                vec![0; 32]
            } else {
                hex(shared)
            };
            cases.push(([b"a", &secret[1..], &point].concat(), expected));
        }
    }
    assert!(cases.len() > 500);
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

#[tokio::test]
async fn as_natively() {
    let mut cases = Vec::new();
    let mut other = SecretKey::from_bytes(&[7; 32]).unwrap().public_key();
    for bytes in secrets() {
        let secret = SecretKey::from_bytes(&bytes).unwrap();
        let public = secret.public_key();
        let digest = digest(&bytes);
        let signature = secret.sign(&digest).to_bytes();
        let shared = secret.agree(&other);
        cases.push(([b"p", &bytes[..]].concat(), public.to_sec1().to_vec()));
        cases.push(([b"s", &bytes[..], &digest].concat(), signature.to_vec()));
        let input = [b"a", &bytes[..], &other.to_sec1()].concat();
        cases.push((input, shared.to_vec()));
        let input = [b"v", &public.to_sec1()[..], &digest, &signature].concat();
        cases.push((input, vec![1]));
        other = public;
    }
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

/// Neither the instructions taken nor, with them, their number depends on a secret. (That no address does
/// is in the crate's own tests: it reads all of a table.)
#[tokio::test]
async fn every_secret_takes_as_many_instructions() {
    let point: PublicKey = SecretKey::from_bytes(&[7; 32]).unwrap().public_key();
    for (name, program) in programs() {
        for (letter, rest) in [('p', &[][..]), ('a', &point.to_sec1()), ('s', &[1; 32])] {
            let mut expected = None;
            for secret in secrets() {
                let input = [&[letter as u8][..], &secret, rest].concat();
                let (_, instructions) = program.run(input).await.unwrap();
                let first = *expected.get_or_insert(instructions);
                assert_eq!(instructions, first, "{name}, {letter} of {secret:02x?}");
            }
            println!("{name}, {letter}: {expected:?} instructions, with the program's start");
        }
    }
}
