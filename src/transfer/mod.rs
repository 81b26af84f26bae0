//! Moving domains between stores: exported line by line from one, imported line by line into another
//! (docs/internals/store.md).
//!
//! Private keys stay sealed on the way. They open in the other store, because what they are bound
//! to, the domain's name and the version, moves with them.

pub mod export;
pub mod import;
mod lines;

use anonymous_domains_protocol::{
    base64url,
    time::rfc3339,
    transfer::{FORMAT, Header, VERSION},
};

use crate::{environment::Environment, issuer::KeyDigest};

/// The first line of an export that is made now, by a server that opens private keys with the
/// key-encryption keys of these digests.
pub fn header(env: &impl Environment, key_encryption_keys: &[KeyDigest]) -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        created_at: rfc3339(env.now_s()),
        key_encryption_keys: key_encryption_keys
            .iter()
            .map(|digest| base64url::encode(digest))
            .collect(),
    }
}
