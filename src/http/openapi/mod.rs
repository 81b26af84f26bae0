//! The contract as OpenAPI 3.1: `openapi.json`, which people write and read, and which the tests
//! here hold against the code: the routes, the catalogue of errors, the documents and the limits.

#[cfg(test)]
mod tests;

const SOURCE: &[u8] = include_bytes!("openapi.json");

/// The source without the white space between its tokens, and how long that is.
const COMPACT: ([u8; SOURCE.len()], usize) = compact(SOURCE);

/// The document as it is served. Only this ends up in the component, without the white space.
pub static DOCUMENT: [u8; COMPACT.1] = first(&COMPACT.0);

/// JSON without the white space between its tokens, then zeros; and its length.
const fn compact<const N: usize>(json: &[u8]) -> ([u8; N], usize) {
    let mut compact = [0; N];
    let (mut read, mut written) = (0, 0);
    let mut in_string = false;
    while read < json.len() {
        let byte = json[read];
        read += 1;
        if !in_string && byte.is_ascii_whitespace() {
            continue;
        }
        compact[written] = byte;
        written += 1;
        if in_string && byte == b'\\' {
            compact[written] = json[read];
            written += 1;
            read += 1;
        } else if byte == b'"' {
            in_string = !in_string;
        }
    }
    (compact, written)
}

/// The first `N` bytes.
const fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    let (from, _) = bytes.split_at(N);
    first.copy_from_slice(from);
    first
}
