//! The form of a row: a byte that names it, a checksum of four bytes, the highest first, then in
//! postcard's encoding the revisions of the row's last writers, the newest first, and the value.

use std::fmt;

use crc::{CRC_32_ISCSI, Crc, Table};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// The first byte of every row: the version of its form.
const FORM: u8 = 4;

/// CRC-32C. It finds whatever is within 32 bits that follow each other, and of other damage all but
/// one in 2^32.
const CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// Where a row's checksum ends, and what it is of begins.
const CHECKED_FROM: usize = 5;

/// A row that was read.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Of its last writers, the newest first.
    pub revisions: Vec<u64>,
    /// The value, encoded.
    pub value: &'a [u8],
}

impl<'a> Row<'a> {
    /// The row with this key, from what is stored.
    ///
    /// # Errors
    /// A fault where its form is not known or its checksum is wrong.
    pub fn from_bytes(key: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.first() != Some(&FORM) {
            return Err(Error::fault(format!(
                "row {key} has a form that this version does not know"
            )));
        }
        let rest = bytes.get(CHECKED_FROM..).unwrap_or_default();
        if bytes.get(1..CHECKED_FROM) != Some(&checksum(key, rest)) {
            return Err(Error::fault(format!(
                "row {key} is damaged: it does not have its checksum"
            )));
        }
        let (revisions, value) =
            postcard::take_from_bytes(rest).map_err(|error| undecodable(key, error))?;
        Ok(Self { revisions, value })
    }

    /// The beginning of a row, to which its value is to be appended before it is [`seal`]ed.
    pub fn begin(revisions: &[u64]) -> Result<Vec<u8>, Error> {
        let mut row = vec![FORM];
        row.resize(CHECKED_FROM, 0);
        encode(revisions, row)
    }
}

/// The checksum of what a row says, and of its key: a row under another's key is damaged too.
fn checksum(key: &str, rest: &[u8]) -> [u8; 4] {
    let mut digest = CHECKSUM.digest();
    digest.update(key.as_bytes());
    digest.update(rest);
    digest.finalize().to_be_bytes()
}

/// Gives the row with this key, of which all else is there, its checksum.
pub fn seal(key: &str, row: &mut [u8]) {
    if let Some((head, rest)) = row.split_at_mut_checked(CHECKED_FROM) {
        head[1..].copy_from_slice(&checksum(key, rest));
    }
}

/// Appends a value.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, to: Vec<u8>) -> Result<Vec<u8>, Error> {
    postcard::to_extend(value, to)
        .map_err(|error| Error::fault(format!("a row cannot be encoded: {error}")))
}

/// The value that the whole of these bytes is.
pub(super) fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Ok(value),
        Ok((_, _)) => Err(undecodable(key, "there are more bytes")),
        Err(error) => Err(undecodable(key, error)),
    }
}

fn undecodable(key: &str, error: impl fmt::Display) -> Error {
    Error::fault(format!("row {key} cannot be decoded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "anonymous-domains:DomainKeys:1";

    fn row() -> Vec<u8> {
        let begun = Row::begin(&[7, u64::MAX]).unwrap();
        let mut row = encode(&("living-room", vec![3_u8; 300]), begun).unwrap();
        seal(KEY, &mut row);
        row
    }

    #[test]
    fn what_was_written_is_read() {
        let row = row();
        let read = Row::from_bytes(KEY, &row).unwrap();
        assert_eq!(read.revisions, [7, u64::MAX]);
        let (name, _): (String, [u8; 32]) = postcard::take_from_bytes(read.value).unwrap().0;
        assert_eq!(name, "living-room");
    }

    #[test]
    fn every_flipped_bit_and_burst_is_found() {
        let whole = row();
        for bit in 0..whole.len() * 8 {
            let mut row = whole.clone();
            row[bit / 8] ^= 1 << (bit % 8);
            Row::from_bytes(KEY, &row).unwrap_err();
        }
        for at in 0..whole.len() - 4 {
            let mut row = whole.clone();
            row[at..at + 4].fill(whole[at].wrapping_add(1));
            Row::from_bytes(KEY, &row).unwrap_err();
        }
    }

    #[test]
    fn other_lengths_and_other_keys_are_found() {
        let whole = row();
        for length in 0..whole.len() {
            Row::from_bytes(KEY, &whole[..length]).unwrap_err();
        }
        Row::from_bytes(KEY, &[&whole[..], &[0]].concat()).unwrap_err();
        Row::from_bytes("anonymous-domains:DomainKeys:2", &whole).unwrap_err();
        seal(KEY, &mut []);
    }

    #[test]
    fn a_value_is_the_whole_of_its_bytes() {
        assert_eq!(decode::<u8>(KEY, &[1]).unwrap(), 1);
        decode::<u8>(KEY, &[1, 0]).unwrap_err();
        decode::<u8>(KEY, &[]).unwrap_err();
    }
}
