//! Private keys as JSON, in memory that is wiped.

use std::fmt;

use anonymous_domains_protocol::response::Credential;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
    ser::{SerializeMap, Serializer},
};
use serde_json::value::RawValue;
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;

/// A private JWK with the `kid` and `x5c` of its credential, as JSON. It is wiped when it is
/// dropped.
pub(super) struct PrivateJwk(Option<Box<RawValue>>);

impl PrivateJwk {
    /// Takes what was sealed, the JSON of a private JWK without `kid` and `x5c`.
    ///
    /// # Errors
    /// A fault, when it is no JSON object.
    pub(super) fn new(jwk: &[u8], credential: &Credential) -> Result<Self, Error> {
        let unreadable = |_| Error::fault("a sealed domain key is not a JWK");
        let members: Members<'_> = serde_json::from_slice(jwk).map_err(unreadable)?;
        let named = NamedJwk {
            members,
            credential,
        };
        let text = write(&named, jwk.len() + x5c_len(credential) + 1024)?;
        // Of exactly this capacity, so that it is not moved again.
        let mut json = String::with_capacity(text.len());
        json.push_str(std::str::from_utf8(&text).map_err(|_| Error::fault("JSON is UTF-8"))?);
        match RawValue::from_string(json) {
            Ok(json) => Ok(Self(Some(json))),
            Err(_) => Err(Error::fault("a private JWK cannot be written")),
        }
    }

    /// Its length, in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |json| json.get().len())
    }
}

impl Drop for PrivateJwk {
    fn drop(&mut self) {
        if let Some(json) = self.0.take() {
            let json: Box<str> = json.into();
            String::from(json).zeroize();
        }
    }
}

/// The text of a JWK Set (RFC 7517 section 5).
pub(super) fn key_set(keys: &[&PrivateJwk]) -> Result<Zeroizing<Vec<u8>>, Error> {
    #[derive(Serialize)]
    struct KeySet<'a> {
        keys: Vec<&'a RawValue>,
    }
    let keys_len: usize = keys.iter().map(|key| key.len() + 1).sum();
    let keys = keys.iter().filter_map(|key| key.0.as_deref()).collect();
    write(&KeySet { keys }, keys_len + 64)
}

/// Writes JSON that is no longer than `capacity`, so that nothing of it stays behind where the
/// buffer was before it grew.
fn write(value: &impl Serialize, capacity: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    serde_json::to_writer(&mut *text, value)
        .map_err(|_| Error::fault("a private JWK cannot be written"))?;
    debug_assert!(text.len() <= capacity, "the buffer has grown");
    Ok(text)
}

fn x5c_len(credential: &Credential) -> usize {
    credential.x5c.iter().map(|der| der.len() + 3).sum()
}

/// The members of a JSON object as they are, without a copy.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A JWK with its name and its certificate (RFC 7517 sections 4.5 and 4.7).
struct NamedJwk<'a> {
    members: Members<'a>,
    credential: &'a Credential,
}

impl Serialize for NamedJwk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.members.0 {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("kid", &self.credential.kid)?;
        map.serialize_entry("x5c", &self.credential.x5c)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(version: u64) -> Credential {
        Credential {
            key_version: version,
            kid: format!("attic/{version}"),
            x5c: vec!["AQID".to_owned(), "BAUG".to_owned()],
            not_before: String::new(),
            not_after: String::new(),
        }
    }

    #[test]
    fn a_key_set_has_what_was_sealed_and_the_names() {
        let sealed = br#"{"kty":"EC","d":"c2VjcmV0"}"#;
        let keys = [1, 2].map(|version| PrivateJwk::new(sealed, &credential(version)).unwrap());
        let set = key_set(&keys.each_ref()).unwrap();
        assert_eq!(
            std::str::from_utf8(&set).unwrap(),
            r#"{"keys":[{"kty":"EC","d":"c2VjcmV0","kid":"attic/1","x5c":["AQID","BAUG"]},"#
                .to_owned()
                + r#"{"kty":"EC","d":"c2VjcmV0","kid":"attic/2","x5c":["AQID","BAUG"]}]}"#
        );
    }

    #[test]
    fn what_is_no_object_is_no_jwk() {
        for sealed in [&b"[]"[..], b"{", b"\"kty\"", b""] {
            assert!(PrivateJwk::new(sealed, &credential(1)).is_err());
        }
    }
}
