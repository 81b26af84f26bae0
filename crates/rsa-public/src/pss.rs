//! The encoding of RSASSA-PSS (RFC 8017 section 9.1.2) with SHA-256, MGF1 with SHA-256, and a salt of
//! 32 bytes.

use sha2::{Digest as _, Sha256};

use crate::mgf;

/// Bytes of a digest.
const HASH: usize = 32;
/// Bytes of a salt.
const SALT: usize = 32;

/// Whether bytes, big-endian, are an encoding of a digest in so many bits.
pub(crate) fn verify(digest: &[u8; HASH], encoded: &[u8], bits: usize) -> bool {
    // One byte less than the modulus has, where that has one bit more than bytes (section 8.1.2, step
    // 2c).
    let (unused, encoded) = encoded.split_at(encoded.len() - bits.div_ceil(8));
    if unused.iter().any(|byte| *byte != 0) {
        return false;
    }
    // Steps 3 to 5: the masked data block, the hash, and 0xbc.
    let Some((masked, hash)) = encoded
        .strip_suffix(&[0xbc])
        .filter(|rest| rest.len() > HASH + SALT)
        .and_then(|rest| rest.split_last_chunk::<HASH>())
    else {
        return false;
    };
    // Step 6.
    let unused_bits = !(0xff_u8 >> (8 * encoded.len() - bits));
    if masked[0] & unused_bits != 0 {
        return false;
    }
    // Steps 7 to 9.
    let mut data_block = masked.to_vec();
    mgf::mask(&mut data_block, hash);
    data_block[0] &= !unused_bits;
    // Steps 10 and 11: zeros, 0x01, and the salt.
    let Some((padding, salt)) = data_block.split_last_chunk::<SALT>() else {
        return false;
    };
    let Some((1, zeros)) = padding.split_last() else {
        return false;
    };
    // Steps 12 to 14.
    let expected = Sha256::new_with_prefix([0; 8])
        .chain_update(digest)
        .chain_update(salt)
        .finalize();
    zeros.iter().all(|byte| *byte == 0) && *expected == *hash
}
