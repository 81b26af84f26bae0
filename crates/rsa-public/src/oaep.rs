//! The encoding of RSAES-OAEP (RFC 8017 section 7.1.1) with SHA-256, MGF1 with SHA-256, and an empty
//! label.

use alloc::{vec, vec::Vec};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::mgf;

/// Bytes of a digest, and so of a seed.
const HASH: usize = 32;

/// A message as `length` bytes: 0x00, the masked seed, and the masked data block. `None` where it is too
/// long.
pub(crate) fn encode(
    message: &[u8],
    seed: &[u8; HASH],
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    // Step 1b.
    let padded = length.checked_sub(message.len() + 2 * HASH + 2)?;
    let mut encoded = Zeroizing::new(vec![0; length]);
    let (masked_seed, data_block) = encoded[1..].split_at_mut(HASH);
    // Steps 2a to 2c: the label's digest, zeros, 0x01, and the message.
    data_block[..HASH].copy_from_slice(&Sha256::digest(b""));
    data_block[HASH + padded] = 1;
    data_block[HASH + padded + 1..].copy_from_slice(message);
    // Steps 2d to 2h.
    masked_seed.copy_from_slice(seed);
    mgf::mask(data_block, masked_seed);
    mgf::mask(masked_seed, data_block);
    Some(encoded)
}
