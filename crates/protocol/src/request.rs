//! A device's request: a flattened JWS (RFC 7515 section 7.2.2) and the payloads in it.
//!
//! The order is [`SignedRequest::parse`], then [`SignedRequest::verify`], and only then the
//! payload: [`RegisterRequest::from_payload`] or [`DeregisterRequest::from_payload`].

mod payload;

pub use payload::{DeregisterRequest, RegisterRequest};

use std::ops::Deref;

use serde_json::{Map, Value};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use crate::{
    base64url, json,
    jwk::{PrivateKey, PublicKey},
    jws::{Algorithm, SignError, sign_flattened},
};

/// The `typ` of a device's request.
pub const TYP: &str = "domain-request";
/// The media type of a device's request.
pub const MEDIA_TYPE: &str = "application/jose+json";
/// The longest request, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The longest certificate chain in `x5c`.
pub const X5C_MAX_CERTIFICATES: usize = 8;

/// A request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is malformed; the text says how, for people, and repeats no secret.
    #[error("{0}")]
    Invalid(String),
    /// The signature is not the machine key's over this request.
    #[error("the signature is not the machine key's over this request")]
    InvalidSignature,
}

impl RequestError {
    fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid(detail.into())
    }
}

/// A request as it came in: well formed, its signature not yet checked. Nothing in it may be
/// believed until [`Self::verify`].
#[derive(Debug, Clone)]
pub struct SignedRequest {
    algorithm: Algorithm,
    url: String,
    machine_key: PublicKey,
    x5c: Option<Vec<Vec<u8>>>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    /// What was signed: the protected header and the payload as they were sent.
    signing_input: String,
}

impl SignedRequest {
    /// Parses a request's body.
    ///
    /// The unprotected header must be absent, and the protected one have `typ`, `alg`, `url` and
    /// exactly one of `jwk` and `x5c`; parameters beyond them are ignored, except for `crit` and
    /// `b64`, which change the meaning and are refused.
    ///
    /// # Errors
    ///
    /// [`RequestError::Invalid`].
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let body = object(body, "the body")?;
        for name in ["header", "signatures"] {
            if body.contains_key(name) {
                return Err(RequestError::invalid(format!(
                    "the body must be a flattened JWS without {name}"
                )));
            }
        }
        let protected_text = text(&body, "protected")?;
        let payload_text = text(&body, "payload")?;
        let payload = octets(payload_text, "payload")?;
        let signature = octets(text(&body, "signature")?, "signature")?;

        let header = object(
            &octets(protected_text, "protected")?,
            "the protected header",
        )?;
        for name in ["crit", "b64"] {
            if header.contains_key(name) {
                return Err(RequestError::invalid(format!(
                    "{name} is not supported in the protected header"
                )));
            }
        }
        if text(&header, "typ")? != TYP {
            return Err(RequestError::invalid(format!("typ must be {TYP}")));
        }
        let algorithm: Algorithm = text(&header, "alg")?
            .parse()
            .map_err(|error| RequestError::invalid(format!("{error}")))?;
        let url = text(&header, "url")?.to_owned();
        let (machine_key, x5c) = match (header.get("jwk"), header.get("x5c")) {
            (Some(jwk), None) => {
                let key = PublicKey::from_jwk(jwk)
                    .map_err(|error| RequestError::invalid(format!("jwk: {error}")))?;
                (key, None)
            }
            (None, Some(x5c)) => {
                let (key, chain) = certificate_chain(x5c)?;
                (key, Some(chain))
            }
            _ => {
                return Err(RequestError::invalid(
                    "the protected header must have exactly one of jwk and x5c",
                ));
            }
        };
        if !algorithm.fits(&machine_key) {
            return Err(RequestError::invalid("alg does not fit the machine's key"));
        }
        Ok(Self {
            algorithm,
            url,
            machine_key,
            x5c,
            payload,
            signature,
            signing_input: format!("{protected_text}.{payload_text}"),
        })
    }

    /// `alg`; it fits [`Self::machine_key`].
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `url`, as it was sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that the request claims to be signed by: of `jwk`, or of `x5c`'s leaf.
    pub fn machine_key(&self) -> &PublicKey {
        &self.machine_key
    }

    /// `x5c`, where the request has it: 1 to 8 certificates in DER, the leaf first. That they chain
    /// up to anything is not checked here.
    pub fn x5c(&self) -> Option<&[Vec<u8>]> {
        self.x5c.as_deref()
    }

    /// The payload's octets.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature.
    ///
    /// # Errors
    ///
    /// [`RequestError::InvalidSignature`].
    pub fn verify(self) -> Result<VerifiedRequest, RequestError> {
        self.algorithm
            .verify(
                &self.machine_key,
                self.signing_input.as_bytes(),
                &self.signature,
            )
            .map_err(|_| RequestError::InvalidSignature)?;
        Ok(VerifiedRequest(self))
    }
}

/// A request that was signed by its [`SignedRequest::machine_key`].
#[derive(Debug, Clone)]
pub struct VerifiedRequest(SignedRequest);

impl VerifiedRequest {
    /// The payload as JSON, an object.
    ///
    /// # Errors
    ///
    /// [`RequestError::Invalid`] when it is not strict JSON or no object.
    pub fn payload_json(&self) -> Result<Value, RequestError> {
        object(&self.payload, "the payload").map(Value::Object)
    }
}

impl Deref for VerifiedRequest {
    type Target = SignedRequest;

    fn deref(&self) -> &SignedRequest {
        &self.0
    }
}

/// Signs a payload as a request to `url`, with the machine's public key as `jwk`.
fn sign(payload: &Value, url: &str, key: &PrivateKey) -> Result<String, SignError> {
    let algorithm = Algorithm::default_for(key);
    let header = serde_json::json!({
        "typ": TYP,
        "alg": algorithm.as_str(),
        "jwk": key.public_key().to_jwk(),
        "url": url,
    });
    sign_flattened(&header, payload.to_string().as_bytes(), algorithm, key)
}

fn object(bytes: &[u8], what: &str) -> Result<Map<String, Value>, RequestError> {
    match json::from_slice_strict(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(RequestError::invalid(format!(
            "{what} is not a JSON object"
        ))),
        Err(error) => Err(RequestError::invalid(format!(
            "{what} is not JSON: {error}"
        ))),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, RequestError> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(RequestError::invalid(format!("{name} must be a string"))),
        None => Err(RequestError::invalid(format!("{name} is missing"))),
    }
}

fn octets(text: &str, name: &str) -> Result<Vec<u8>, RequestError> {
    base64url::decode(text).map_err(|_| {
        RequestError::invalid(format!(
            "{name} must be canonical base64url without padding"
        ))
    })
}

/// The leaf's key and the certificates in DER.
fn certificate_chain(x5c: &Value) -> Result<(PublicKey, Vec<Vec<u8>>), RequestError> {
    const SHAPE: &str = "x5c must be an array of 1 to 8 certificates in standard base64";
    let shape = || RequestError::invalid(SHAPE);
    let entries = x5c.as_array().ok_or_else(shape)?;
    if !(1..=X5C_MAX_CERTIFICATES).contains(&entries.len()) {
        return Err(shape());
    }
    let mut chain = Vec::with_capacity(entries.len());
    let mut leaf_key = None;
    for entry in entries {
        let der = entry
            .as_str()
            .and_then(|text| base64url::decode_standard(text).ok())
            .ok_or_else(shape)?;
        let certificate = Certificate::from_der(&der)
            .map_err(|_| RequestError::invalid("x5c holds something that is no certificate"))?;
        if leaf_key.is_none() {
            let spki = certificate.tbs_certificate().subject_public_key_info();
            let key = spki
                .to_der()
                .ok()
                .and_then(|der| PublicKey::from_spki_der(&der).ok())
                .ok_or_else(|| {
                    RequestError::invalid(
                        "the key of x5c's leaf must be RSA of 2048 to 4096 bits or EC P-256",
                    )
                })?;
            leaf_key = Some(key);
        }
        chain.push(der);
    }
    let key = leaf_key.ok_or_else(shape)?;
    Ok((key, chain))
}
