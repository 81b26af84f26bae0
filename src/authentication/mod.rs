//! Authentication tokens: which are valid (RFC 7519, RFC 8725).
//!
//! The signatures are the protocol crate's, and Ed25519's from ed25519-dalek for tokens alone: a
//! device may not sign with it. `jsonwebtoken`, which would have been the library to keep, reads
//! `crit` and does not mind it, lets the last of two claims of one name win, and asks the system
//! for the time; on any wasm32 it also brings wasm-bindgen and a second base64, getrandom and
//! signature.
//!
//! # When the issuer changes its keys
//!
//! `auth_jwks` is read, as every setting is, when an instance of the component starts. A host whose
//! settings can change while it runs (Spin with a variables provider such as Vault) needs no
//! restart: an instance ends after a second without requests, and at the latest after its 128th,
//! and the next one has the new keys. The gateway reads its settings when it starts. Either way the
//! new key belongs into the set before the issuer signs with it, and the old one stays until the
//! last token that it signed has expired.

mod credentials;
mod keys;
#[cfg(test)]
mod tests;

use anonymous_domains_protocol::{base64url, json, time::numeric_date_ms};
use serde_json::{Map, Value};

pub use self::{
    credentials::{BearerToken, Credentials},
    keys::{Algorithm, KeySet},
};

/// The claim that holds a token's namespace where `auth_namespace_claim` does not say.
pub const DEFAULT_NAMESPACE_CLAIM: &str = "ns";

/// How far the issuer's clock may be from the server's, in milliseconds.
const LEEWAY_MS: i64 = 60_000;

/// The longest token, in bytes. Whole heads of requests are not much longer.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Header parameters that change what a signature means: extensions that must be understood (RFC
/// 7515 section 4.1.11), of which none is, and an unencoded payload (RFC 7797).
const UNSUPPORTED_PARAMETERS: [&str; 2] = ["crit", "b64"];

/// What tokens are held against.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    /// `auth_jwks`: the issuer's keys.
    pub keys: KeySet,
    /// `auth_issuer`: what `iss` must be, where this is set.
    pub issuer: Option<String>,
    /// `auth_audience`: what `aud` must be or hold, where this is set.
    pub audience: Option<String>,
    /// `auth_namespace_claim`: the claim that holds a token's namespace.
    pub namespace_claim: String,
}

/// Why a token is not valid. Its text is for the caller, and repeats nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is not a JWS in the compact serialization with a JSON object in it, or a member is not
    /// what the RFCs say.
    #[error("{0}")]
    Malformed(&'static str),
    /// `alg` is missing, or none that is accepted.
    #[error("its alg is not RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    /// No key of the issuer's that it may be signed with made its signature.
    #[error("its signature is not by a key of the issuer's")]
    Signature,
    /// `exp` is past.
    #[error("it has expired")]
    Expired,
    /// `nbf` is ahead.
    #[error("its time has not come")]
    NotYetValid,
    /// `iss` is missing or another.
    #[error("it is of another issuer")]
    Issuer,
    /// `aud` is missing or does not hold this server's.
    #[error("it is for another audience")]
    Audience,
    /// The namespace is missing, or not the domain's.
    #[error("it is not of the domain's namespace")]
    Namespace,
}

impl TokenVerifier {
    /// Checks a token for a domain, whose Auth Namespace is `namespace` if it names one, at a time
    /// in milliseconds since 1970.
    ///
    /// Keys, and places to fetch them from, in the token's header (`jwk`, `jku`, `x5c`, `x5u`) are
    /// never used.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub fn verify(
        &self,
        token: &str,
        namespace: Option<&str>,
        now_ms: i64,
    ) -> Result<(), InvalidToken> {
        let claims = self.verified_claims(token)?;
        check_time(&claims, now_ms)?;
        if self.issuer.is_some() && string(&claims, "iss") != self.issuer.as_deref() {
            return Err(InvalidToken::Issuer);
        }
        if let Some(audience) = &self.audience
            && !is_for(&claims, audience)
        {
            return Err(InvalidToken::Audience);
        }
        if namespace.is_some() && string(&claims, &self.namespace_claim) != namespace {
            return Err(InvalidToken::Namespace);
        }
        Ok(())
    }

    /// The claims, of which nothing is read before the signature is known to be the issuer's.
    fn verified_claims(&self, token: &str) -> Result<Map<String, Value>, InvalidToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken::Malformed("it is too long"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken::Malformed("it is not of three parts"));
        };
        let signing_input = &token[..header.len() + 1 + claims.len()];

        let header = object(header)?;
        if UNSUPPORTED_PARAMETERS
            .iter()
            .any(|name| header.contains_key(*name))
        {
            return Err(InvalidToken::Malformed(
                "its header has crit or b64, which are not supported",
            ));
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(InvalidToken::Malformed("its kid is not a string")),
        };
        let algorithm = string(&header, "alg")
            .and_then(Algorithm::from_name)
            .ok_or(InvalidToken::Algorithm)?;
        let signature = octets(signature)?;
        if !self
            .keys
            .verify(algorithm, kid, signing_input.as_bytes(), &signature)
        {
            return Err(InvalidToken::Signature);
        }
        object(claims)
    }
}

/// `exp` must be there and not past, `nbf` not ahead.
fn check_time(claims: &Map<String, Value>, now_ms: i64) -> Result<(), InvalidToken> {
    let expires_ms = claims
        .get("exp")
        .and_then(numeric_date_ms)
        .ok_or(InvalidToken::Malformed("its exp is missing or no date"))?;
    if now_ms >= expires_ms.saturating_add(LEEWAY_MS) {
        return Err(InvalidToken::Expired);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before_ms =
            numeric_date_ms(not_before).ok_or(InvalidToken::Malformed("its nbf is no date"))?;
        if not_before_ms > now_ms.saturating_add(LEEWAY_MS) {
            return Err(InvalidToken::NotYetValid);
        }
    }
    Ok(())
}

/// Whether `aud`, a string or an array of strings (RFC 7519 section 4.1.3), holds `audience`.
fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string) && several.iter().any(|one| one == audience)
        }
        _ => false,
    }
}

fn string<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn object(part: &str) -> Result<Map<String, Value>, InvalidToken> {
    match json::from_slice_strict(&octets(part)?) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(InvalidToken::Malformed(
            "a part of it is not a JSON object without duplicate members",
        )),
    }
}

fn octets(part: &str) -> Result<Vec<u8>, InvalidToken> {
    base64url::decode(part)
        .map_err(|_| InvalidToken::Malformed("a part of it is not canonical base64url"))
}
