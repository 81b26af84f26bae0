//! What a request says: the payloads of register and deregister.

use serde_json::{Map, Value, json};

use super::{RequestError, object, sign, text};
use crate::{
    ids::MachineGuid, json::whole_number, jwk::PrivateKey, jws::SignError, time::numeric_date_ms,
};

/// Join the domain, or fetch its credentials again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRequest {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When the request was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub iat_ms: i64,
    /// The domain that the machine already belongs to on this server, as it was sent.
    pub current_domain: Option<String>,
    /// Only credentials above this version are wanted; at least 1.
    pub known_key_version: Option<u64>,
}

impl RegisterRequest {
    /// Parses a payload. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`RequestError::Invalid`] for anything but a JSON object with a valid `machineGuid` and
    /// `iat`, where `currentDomain` is a string and `knownKeyVersion` a positive integer if they
    /// are there; `null` is neither.
    pub fn from_payload(payload: &[u8]) -> Result<Self, RequestError> {
        let members = object(payload, "the payload")?;
        Ok(Self {
            machine_guid: machine_guid(&members)?,
            iat_ms: iat_ms(&members)?,
            current_domain: match members.contains_key("currentDomain") {
                true => Some(text(&members, "currentDomain")?.to_owned()),
                false => None,
            },
            known_key_version: members
                .get("knownKeyVersion")
                .map(known_key_version)
                .transpose()?,
        })
    }

    /// Signs it as a request to `url`.
    ///
    /// # Errors
    ///
    /// [`SignError::Failed`] when the private key fails its own check.
    pub fn sign(&self, url: &str, key: &PrivateKey) -> Result<String, SignError> {
        let mut payload = json!({
            "machineGuid": self.machine_guid,
            "iat": numeric_date(self.iat_ms),
        });
        if let Some(domain) = &self.current_domain {
            payload["currentDomain"] = domain.as_str().into();
        }
        if let Some(version) = self.known_key_version {
            payload["knownKeyVersion"] = version.into();
        }
        sign(&payload, url, key)
    }
}

/// Leave the domain, or ask whether it may be left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeregisterRequest {
    /// The machine.
    pub machine_guid: MachineGuid,
    /// When the request was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub iat_ms: i64,
    /// Only ask, and change nothing.
    pub preview: bool,
}

impl DeregisterRequest {
    /// Parses a payload. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`RequestError::Invalid`] for anything but a JSON object with a valid `machineGuid` and
    /// `iat`, where `preview` is a boolean if it is there.
    pub fn from_payload(payload: &[u8]) -> Result<Self, RequestError> {
        let members = object(payload, "the payload")?;
        Ok(Self {
            machine_guid: machine_guid(&members)?,
            iat_ms: iat_ms(&members)?,
            preview: match members.get("preview") {
                None => false,
                Some(Value::Bool(preview)) => *preview,
                Some(_) => return Err(RequestError::invalid("preview must be a boolean")),
            },
        })
    }

    /// Signs it as a request to `url`.
    ///
    /// # Errors
    ///
    /// [`SignError::Failed`] when the private key fails its own check.
    pub fn sign(&self, url: &str, key: &PrivateKey) -> Result<String, SignError> {
        let payload = json!({
            "machineGuid": self.machine_guid,
            "iat": numeric_date(self.iat_ms),
            "preview": self.preview,
        });
        sign(&payload, url, key)
    }
}

fn machine_guid(members: &Map<String, Value>) -> Result<MachineGuid, RequestError> {
    MachineGuid::parse(text(members, "machineGuid")?)
        .map_err(|error| RequestError::invalid(format!("machineGuid: {error}")))
}

/// `iat`, in milliseconds.
fn iat_ms(members: &Map<String, Value>) -> Result<i64, RequestError> {
    let iat = members
        .get("iat")
        .ok_or_else(|| RequestError::invalid("iat is missing"))?;
    if !iat.is_number() {
        return Err(RequestError::invalid("iat must be a number"));
    }
    numeric_date_ms(iat).ok_or_else(|| {
        RequestError::invalid("iat must be seconds since 1970, before the year 10000")
    })
}

/// JSON does not limit an integer: what is beyond a `u64` is above any key's version, as its maximum
/// is.
fn known_key_version(value: &Value) -> Result<u64, RequestError> {
    value
        .as_number()
        .and_then(whole_number)
        .map(|version| u64::try_from(version).unwrap_or(u64::MAX))
        .filter(|version| *version >= 1)
        .ok_or_else(|| RequestError::invalid("knownKeyVersion must be a positive integer"))
}

/// Seconds, with a fraction where there is one.
fn numeric_date(ms: i64) -> Value {
    if ms % 1000 == 0 {
        (ms / 1000).into()
    } else {
        (ms as f64 / 1000.0).into()
    }
}
