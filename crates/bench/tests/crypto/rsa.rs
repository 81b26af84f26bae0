use anonymous_domains_rsa_public::PublicKey;

use crate::{check, digest, hex, long, programs};

const VECTORS: [&str; 2] = [
    include_str!("../../../rsa-public/testdata/wycheproof.txt"),
    include_str!("../../../rsa-public/testdata/openssl.txt"),
];

/// A modulus and an exponent as an operation takes them.
fn key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    [long(modulus), long(exponent)].concat()
}

/// Any bytes, each time the same.
fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|at| digest(&[seed.to_be_bytes(), at.to_be_bytes()].concat()));
    blocks.take(length).collect()
}

/// Moduli of any length, some of them close to powers of 2.
fn moduli() -> Vec<Vec<u8>> {
    let mut moduli = Vec::new();
    for bytes_of_it in [129, 130, 250, 256, 257, 384, 512, 1024] {
        let mut any = bytes(1, bytes_of_it);
        any[0] |= 0x80;
        let mut low = vec![0; bytes_of_it];
        low[0] = 1;
        low[1] = 0x80;
        moduli.extend([any, low, vec![0xff; bytes_of_it]]);
    }
    for modulus in &mut moduli {
        *modulus.last_mut().unwrap() |= 1;
    }
    moduli
}

#[tokio::test]
async fn signatures() {
    let mut cases = Vec::new();
    let mut start = Vec::new();
    for line in VECTORS.iter().flat_map(|text| text.lines()) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["pkcs1-sha256", n, e] => start = [b"1", &key(&hex(n), &hex(e))[..]].concat(),
            ["pss-sha256", n, e] => start = [b"2", &key(&hex(n), &hex(e))[..]].concat(),
            [_, _, _] => start.clear(),
            [_, message, signature, result] if !start.is_empty() && !line.starts_with('#') => {
                let digest = digest(&hex(message.trim_matches('-')));
                let signature = long(&hex(signature.trim_matches('-')));
                let input = [&start[..], &digest, &signature].concat();
                cases.push((input, vec![u8::from(result == "valid")]));
            }
            _ => {}
        }
    }
    assert!(cases.len() > 400);
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

#[tokio::test]
async fn encryption_as_natively() {
    let mut cases = Vec::new();
    for (number, modulus) in (0..).zip(moduli()) {
        for exponent in [&[3][..], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
            let natively = PublicKey::new(&modulus, exponent).unwrap();
            for length in [0, 32, modulus.len() - 66] {
                let message = bytes(number, length);
                let seed = digest(&message);
                let encrypted = natively.encrypt_oaep(&message, &seed).unwrap();
                let key = key(&modulus, exponent);
                let input = [b"e", &key[..], &seed, &long(&message)].concat();
                cases.push((input, encrypted));
            }
        }
    }
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

/// The instructions taken, and so their number, depend on the key, and not on what is encrypted.
#[tokio::test]
async fn every_message_takes_as_many_instructions() {
    let mut messages = vec![([0; 32], vec![0; 32]), ([0xff; 32], vec![0xff; 32])];
    messages.extend((0..50).map(|number| (digest(&[number]), bytes(number.into(), 32))));
    for modulus in moduli().iter().filter(|modulus| modulus.len() <= 512) {
        for (name, program) in programs() {
            let mut expected = None;
            for (seed, message) in &messages {
                let key = key(modulus, &[1, 0, 1]);
                let input = [b"e", &key[..], seed, &long(message)].concat();
                let (_, instructions) = program.run(input).await.unwrap();
                let first = *expected.get_or_insert(instructions);
                assert_eq!(
                    instructions, first,
                    "{name}, {message:02x?} to {modulus:02x?}"
                );
            }
            let length = modulus.len();
            println!("{name}, {length} bytes: {expected:?} instructions, with the program's start");
        }
    }
}
