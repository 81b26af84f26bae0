//! Names: a domain's and a machine's.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// The longest domain name, in bytes.
pub const DOMAIN_NAME_MAX_BYTES: usize = 128;

/// The name of the path segment under which the domain CA's certificate is served; no domain can
/// have it.
pub const CA_CERTIFICATE_SEGMENT: &str = "ca.pem";

/// The name of the path segment under which the certificate of the CA is served that is to replace
/// the domain CA; no domain can have it.
pub const NEXT_CA_CERTIFICATE_SEGMENT: &str = "ca-next.pem";

/// A domain's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, case-sensitive, and never `ca.pem` or
/// `ca-next.pem`, whose places in a URL are the domain CA's certificates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// The text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a domain name is 1 to 128 letters, digits, '.', '_' or '-', begins with a letter or digit, and is neither ca.pem nor ca-next.pem"
)]
pub struct InvalidDomainName;

impl DomainName {
    /// Parses a name as it is, nothing decoded.
    ///
    /// # Errors
    ///
    /// [`InvalidDomainName`] when the text does not match.
    pub fn parse(text: &str) -> Result<Self, InvalidDomainName> {
        let [first, rest @ ..] = text.as_bytes() else {
            return Err(InvalidDomainName);
        };
        let valid = text.len() <= DOMAIN_NAME_MAX_BYTES
            && first.is_ascii_alphanumeric()
            && rest
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
            && ![CA_CERTIFICATE_SEGMENT, NEXT_CA_CERTIFICATE_SEGMENT].contains(&text);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidDomainName)
        }
    }

    /// Parses a URL's path segment: percent-decoded exactly once, then matched.
    ///
    /// # Errors
    ///
    /// [`InvalidDomainName`] for a malformed escape or a decoded text that does not match.
    pub fn from_path_segment(segment: &str) -> Result<Self, InvalidDomainName> {
        let mut decoded = Vec::with_capacity(segment.len());
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            decoded.push(if byte == b'%' {
                let high = hex_digit(bytes.next())?;
                let low = hex_digit(bytes.next())?;
                high << 4 | low
            } else {
                byte
            });
        }
        Self::parse(std::str::from_utf8(&decoded).map_err(|_| InvalidDomainName)?)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn hex_digit(byte: Option<u8>) -> Result<u8, InvalidDomainName> {
    byte.and_then(|byte| char::from(byte).to_digit(16))
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(InvalidDomainName)
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DomainName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The GUID that a machine got when it was individualized: 16 bytes, neither the nil nor the max
/// UUID when it was parsed. Shown in lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineGuid([u8; 16]);

/// The text is not a machine's GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a machine GUID is a UUID in its hyphenated form of 36 characters, neither the nil nor the max UUID"
)]
pub struct InvalidMachineGuid;

impl MachineGuid {
    /// Parses the hyphenated form of 36 characters, in either case.
    ///
    /// # Errors
    ///
    /// [`InvalidMachineGuid`] for every other form, and for the nil and max UUIDs (RFC 9562
    /// sections 5.9 and 5.10).
    pub fn parse(text: &str) -> Result<Self, InvalidMachineGuid> {
        // `Uuid` also reads the braced, URN and bare forms, all of other lengths.
        if text.len() != 36 {
            return Err(InvalidMachineGuid);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| InvalidMachineGuid)?;
        if uuid.is_nil() || uuid.is_max() {
            return Err(InvalidMachineGuid);
        }
        Ok(Self(uuid.into_bytes()))
    }

    /// The GUID of these bytes, in the order of RFC 9562; for GUIDs that were parsed before, out of
    /// a table's row.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new random GUID (UUID version 4).
    pub fn random() -> Self {
        use getrandom::rand_core::Rng as _;
        let mut bytes = [0; 16];
        crate::random::system().fill_bytes(&mut bytes);
        Self(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .into_bytes(),
        )
    }

    /// The 16 bytes, in the order of RFC 9562.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MachineGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

/// As text in formats that people read, such as JSON; otherwise as its 16 bytes.
impl Serialize for MachineGuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for MachineGuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom);
        }
        let bytes = <&[u8]>::deserialize(deserializer)?;
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(D::Error::invalid_length(bytes.len(), &"16 bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names() {
        let longest = "a".repeat(DOMAIN_NAME_MAX_BYTES);
        for name in [
            "a",
            "0",
            "living-room",
            "A.b_c-9",
            "CA.PEM",
            "ca.pem2",
            &longest,
        ] {
            assert_eq!(DomainName::parse(name).unwrap().as_str(), name);
        }
        let too_long = "a".repeat(DOMAIN_NAME_MAX_BYTES + 1);
        for name in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "_a",
            "a b",
            "a/b",
            "a%41",
            "a\n",
            "a\0",
            "é",
            "aé",
            "ca.pem",
            "ca-next.pem",
            &too_long,
        ] {
            assert_eq!(DomainName::parse(name), Err(InvalidDomainName), "{name:?}");
        }
    }

    #[test]
    fn path_segments_are_decoded_exactly_once() {
        for (segment, name) in [
            ("living-room", "living-room"),
            ("living%2Droom", "living-room"),
            ("living%2droom", "living-room"),
            ("%61", "a"),
        ] {
            assert_eq!(
                DomainName::from_path_segment(segment).unwrap().as_str(),
                name
            );
        }
        for segment in [
            "", "a%", "a%4", "a%4g", "a%+1", "%2561", "a%2Fb", "a%00", "a%C3", "a%FF", "a+b",
            "c%61.pem", "%ca.pem",
        ] {
            assert!(DomainName::from_path_segment(segment).is_err(), "{segment}");
        }
    }

    #[test]
    fn machine_guids() {
        let text = "0D4F3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f";
        let guid = MachineGuid::parse(text).unwrap();
        assert_eq!(guid.to_string(), text.to_lowercase());
        assert_eq!(MachineGuid::from_bytes(*guid.as_bytes()), guid);
        assert_eq!(guid.as_bytes()[..2], [0x0d, 0x4f]);
        assert_eq!(
            serde_json::to_string(&guid).unwrap(),
            format!("\"{}\"", text.to_lowercase())
        );
        for text in [
            "",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "0d4f3a526f0e4a8e9d6a2f1d1c2b3a4f",
            "{0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f}",
            "urn:uuid:0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f",
            "0d4f3a526-f0e-4a8e-9d6a-2f1d1c2b3a4f",
            "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4g",
            "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4",
            "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f ",
            "0d4f3a52_6f0e_4a8e_9d6a_2f1d1c2b3a4f",
            "{0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a}",
            "0d4f3a526f0e4a8e9d6a2f1d1c2b3a4f0000",
        ] {
            assert_eq!(MachineGuid::parse(text), Err(InvalidMachineGuid), "{text}");
        }
    }

    #[test]
    fn random_guids_are_version_4_and_differ() {
        let [one, two] = [(); 2].map(|()| MachineGuid::random());
        assert_ne!(one, two);
        assert_eq!(one.as_bytes()[6] >> 4, 4);
        assert_eq!(one.as_bytes()[8] >> 6, 2);
    }
}
