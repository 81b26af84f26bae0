//! JSON, read strictly: what two readers could understand differently is refused (RFC 8725
//! section 2.4, RFC 7515 section 5.3).

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 64;

/// The bytes are not strict JSON. Its text names the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads one JSON value.
///
/// # Errors
///
/// [`JsonError`] for anything that is not JSON in UTF-8, anything behind the value, a member name
/// that an object has twice (at any depth, compared after unescaping), or nesting beyond
/// [`MAX_DEPTH`].
pub fn from_slice_strict(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    StrictValue { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| JsonError(error.to_string()))
}

/// A whole number from 0 on, however it is written: JSON does not tell 7 from 7.0 or 0.7e1.
///
/// None for a negative number and for a fraction, as far as either can be told: serde_json reads
/// what has a point or an exponent to within one unit in the last place of an `f64`.
pub fn whole_number(number: &Number) -> Option<u128> {
    if let Some(whole) = number.as_u64() {
        return Some(whole.into());
    }
    number
        .as_f64()
        .filter(|read| *read >= 0.0 && (read - read.round()).abs() <= read * f64::EPSILON)
        .map(|read| read.round() as u128)
}

#[derive(Clone, Copy)]
struct StrictValue {
    depth: usize,
}

impl StrictValue {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("an object has a member twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_is_read() {
        let text = r#" {"a":[1,-2,2.5,true,null,"\u00e9"],"b":{"a":{}},"c":[]} "#;
        let strict = from_slice_strict(text.as_bytes()).unwrap();
        assert_eq!(strict, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn ambiguous_json_is_refused() {
        for bytes in [
            &b""[..],
            br#"{"a":1,"a":1}"#,
            br#"{"a":1,"\u0061":2}"#,
            br#"{"b":[{"a":1,"c":2,"a":3}]}"#,
            br#"{} {}"#,
            br#"{}x"#,
            br#"{"a":1,}"#,
            br#"{a:1}"#,
            br#"// c"#,
            br#"NaN"#,
            br#"01"#,
            br#"1e999"#,
            br#""\ud800""#,
            b"\"\xff\"",
            b"\"\xed\xa0\x80\"",
            b"\xef\xbb\xbf{}",
            b"\"\n\"",
        ] {
            assert!(
                from_slice_strict(bytes).is_err(),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("0.7e1", Some(7)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("18446744073709551616", Some(1 << 64)),
            ("1e400", None),
            ("-1", None),
            ("-7.0", None),
            ("0.5", None),
            ("7.000001", None),
            ("1e-9", None),
        ] {
            let number = serde_json::from_str::<Number>(text).ok();
            assert_eq!(number.as_ref().and_then(whole_number), expected, "{text}");
        }
        // serde_json reads this one as a half.
        let number: Number = serde_json::from_str("3647733959218202.0").unwrap();
        assert!(whole_number(&number).is_some());
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_slice_strict(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(from_slice_strict(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(from_slice_strict("[".repeat(100_000).as_bytes()).is_err());
    }
}
