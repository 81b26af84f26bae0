//! Taking an input apart.

/// The first byte, 0 where there is none, and the rest.
pub fn choice(input: &[u8]) -> (u8, &[u8]) {
    match input.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (0, &[]),
    }
}

/// One of a list, by the first byte, and the rest.
pub fn pick<'a, T>(list: &'a [T], input: &'a [u8]) -> (&'a T, &'a [u8]) {
    let (byte, rest) = choice(input);
    (&list[usize::from(byte) % list.len()], rest)
}

/// So many bytes, filled up with zeros, and the rest.
pub fn take<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let mut bytes = [0; N];
    let length = N.min(input.len());
    let (taken, rest) = input.split_at(length);
    bytes[..length].copy_from_slice(taken);
    (bytes, rest)
}

/// What is before the separator, and what is after; nothing where there is none.
pub fn split_once<'a>(input: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = input
        .windows(separator.len())
        .position(|window| window == separator);
    match at {
        Some(at) => (&input[..at], &input[at + separator.len()..]),
        None => (input, &[]),
    }
}

/// The parts between separators.
pub fn split<'a>(input: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (part, after) = split_once(rest, separator);
        parts.push(part);
        rest = after;
    }
    parts
}

/// The input changed in places: each three bytes of `changes` are a position and what is XORed to
/// the byte there. Whether it is another now.
pub fn change(bytes: &mut [u8], changes: &[u8]) -> bool {
    let before = bytes.to_vec();
    for [high, low, byte] in changes.as_chunks().0 {
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] ^= byte;
        }
    }
    before != bytes
}

/// A seed: its parts, one after the other.
pub fn seed(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
