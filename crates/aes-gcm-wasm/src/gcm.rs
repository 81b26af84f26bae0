//! GCM (SP 800-38D section 7).

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    KEY_LEN, NONCE_LEN, Refused, TAG_LEN,
    aes::{self, Counters, RoundKeys},
    ghash::{Ghash, Tables},
    word::Word,
};

/// A key. It is wiped when dropped.
pub struct Key(RoundKeys);

impl Key {
    /// The key of these bytes.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        Self(RoundKeys::new(key))
    }

    /// Encrypts `text` in its place, and gives the tag, which is of the associated data too. The key must
    /// not have been used with this nonce.
    ///
    /// # Errors
    ///
    /// If the text is too long.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Refused> {
        let message = Message::new(&self.0, nonce, text)?;
        message.apply(text);
        Ok(message.tag(associated, text))
    }

    /// Decrypts `text` in its place.
    ///
    /// # Errors
    ///
    /// If the tag is another one: the text stays as it is.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Refused> {
        let message = Message::new(&self.0, nonce, text)?;
        if !bool::from(message.tag(associated, text).ct_eq(tag)) {
            return Err(Refused);
        }
        message.apply(text);
        Ok(())
    }
}

/// What encrypts one text. It is wiped when dropped: whoever has the hash's key can make tags.
struct Message<'a> {
    counters: Counters<'a>,
    /// The hash's key, what is added to the hash, and what is added to the text's first blocks.
    first: Zeroizing<[Word; aes::BLOCKS]>,
}

impl<'a> Message<'a> {
    fn new(keys: &'a RoundKeys, nonce: &[u8; NONCE_LEN], text: &[u8]) -> Result<Self, Refused> {
        // Numbers are of 32 bits, and two are not for the text.
        if text.len().div_ceil(16) as u64 > u64::from(u32::MAX - 1) {
            return Err(Refused);
        }
        let counters = Counters::new(keys, nonce);
        let first = counters.zeros_and_first();
        Ok(Self { counters, first })
    }

    /// Encrypts or decrypts.
    fn apply(&self, text: &mut [u8]) {
        let [_, _, first @ ..] = &*self.first;
        let (text, rest) = text.split_at_mut(text.len().min(16 * first.len()));
        add(first, text);
        for (number, text) in (1..).zip(rest.chunks_mut(16 * aes::BLOCKS)) {
            add(&*self.counters.blocks(number), text);
        }
    }

    /// Of a text that is encrypted.
    fn tag(&self, associated: &[u8], text: &[u8]) -> [u8; TAG_LEN] {
        let [key, mask, ..] = *self.first;
        let mut tables = Tables::new();
        let mut hash = Ghash::new(&mut tables, key);
        hash.add(associated);
        hash.add(text);
        (hash.finish(associated.len(), text.len()) ^ mask).to_bytes()
    }
}

/// Adds words to at most as many bytes.
#[inline(always)]
fn add(words: &[Word], bytes: &mut [u8]) {
    let (blocks, rest) = bytes.as_chunks_mut();
    for (block, word) in blocks.iter_mut().zip(words) {
        *block = (Word::from_bytes(block) ^ *word).to_bytes();
    }
    if let Some(word) = words.get(blocks.len()) {
        for (byte, other) in rest.iter_mut().zip(word.to_bytes()) {
            *byte ^= other;
        }
    }
}
