//! The operator's settings, as the host gives them: names and texts.
//!
//! An empty text is the same as none, because a Spin manifest must give every variable a value.

use std::ops::RangeInclusive;

use anonymous_domains_protocol::jwk::KeyType;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    authentication::{DEFAULT_NAMESPACE_CLAIM, KeySet, TokenVerifier},
    credential::{
        at_rest::{KEY_LEN, Vault},
        authority::{Authority, DomainCa, takeover_s},
    },
    machine_trust::TrustAnchors,
};

/// The least number of characters that an admin token must have.
pub const ADMIN_TOKEN_CHARACTERS: usize = 32;

/// How long a certificate is good where `credential_ttl_days` does not say, in days.
const DEFAULT_CREDENTIAL_TTL_DAYS: u32 = 3650;

/// The longest lifetime that may be asked for, in days: a hundred years.
const LONGEST_CREDENTIAL_TTL_DAYS: u32 = 36_525;

/// How far a request's `iat` may be from the server's clock where `clock_tolerance` does not say,
/// in seconds.
const DEFAULT_CLOCK_TOLERANCE_S: u32 = 300;

/// The largest clock tolerance that may be asked for, in seconds: a day.
const LARGEST_CLOCK_TOLERANCE_S: u32 = 86_400;

/// How many key versions a domain may get in a day where `max_key_versions_per_day` does not say.
const DEFAULT_KEY_VERSIONS_PER_DAY: u32 = 100;

/// What the server was told.
#[derive(Debug)]
pub struct Settings {
    /// `ca_certificate`, `ca_private_key`, `key_encryption_key`, `domain_key_type`,
    /// `credential_ttl_days`.
    pub ca: DomainCa,
    /// What requests are held against.
    pub policy: Policy,
    /// `admin_token`, where there is one of [`ADMIN_TOKEN_CHARACTERS`] at least: without it there
    /// is no operator's interface.
    pub admin_token: Option<AdminToken>,
}

/// The operator's token.
pub struct AdminToken([u8; 32]);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

impl AdminToken {
    fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether another token is this one. How long that takes tells nothing of where they differ.
    pub fn is(&self, other: &str) -> bool {
        self.0.ct_eq(&Self::new(other).0).into()
    }
}

/// What requests are held against.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `public_origin`: the server's own scheme and authority as its clients write them, such as
    /// `https://domains.example`; lower case, without a slash at the end.
    pub public_origin: Option<String>,
    /// `clock_tolerance`: how far a request's `iat` may be from the server's clock, in seconds.
    pub clock_tolerance_s: u32,
    /// `auto_create_domains`: whether a registration inserts a domain that is not there.
    pub auto_create_domains: bool,
    /// `machine_trust_anchors`: whose machine certificates are required and trusted, as PEM.
    pub machine_trust_anchors: Option<TrustAnchors>,
    /// `auth_jwks`, `auth_issuer`, `auth_audience`, `auth_namespace_claim`: which authentication
    /// tokens are valid. Without `auth_jwks` none is.
    pub tokens: Option<TokenVerifier>,
    /// `max_domains`: how many domains there may be before registrations insert no other; `None`
    /// where that is not limited.
    pub max_domains: Option<u64>,
    /// `max_key_versions_per_day`: how many key versions a domain may get in 24 hours, those aside
    /// that an operator's wish makes necessary.
    pub max_key_versions_per_day: u32,
}

impl Settings {
    /// Whose store these settings may use: the digest of the key-encryption key.
    pub fn owner(&self) -> [u8; 32] {
        self.ca.vault.key_digest()
    }

    /// Reads the settings; `get` gives the text of a name.
    ///
    /// # Errors
    /// What is wrong with each that is missing or cannot be used. Never a setting's text.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader {
            get,
            wrong: Vec::new(),
        };
        let authority = reader.authority();
        let vault = reader.vault();
        let key_type = reader.key_type();
        reader.check_request_timeout(key_type);
        let credential_ttl_days = reader.number(
            "credential_ttl_days",
            DEFAULT_CREDENTIAL_TTL_DAYS,
            1..=LONGEST_CREDENTIAL_TTL_DAYS,
        );
        let policy = Policy {
            public_origin: reader.public_origin(),
            clock_tolerance_s: reader.number(
                "clock_tolerance",
                DEFAULT_CLOCK_TOLERANCE_S,
                1..=LARGEST_CLOCK_TOLERANCE_S,
            ),
            auto_create_domains: reader.flag("auto_create_domains", true),
            machine_trust_anchors: reader.machine_trust_anchors(),
            tokens: reader.tokens(),
            max_domains: reader
                .optional_number("max_domains", 0..=u32::MAX)
                .map(u64::from),
            max_key_versions_per_day: reader.number(
                "max_key_versions_per_day",
                DEFAULT_KEY_VERSIONS_PER_DAY,
                1..=u32::MAX,
            ),
        };
        let admin_token = reader
            .text("admin_token")
            .filter(|token| token.chars().count() >= ADMIN_TOKEN_CHARACTERS)
            .map(|token| AdminToken::new(&token));
        match (authority, vault) {
            (Some(authority), Some(vault)) if reader.wrong.is_empty() => Ok(Self {
                ca: DomainCa {
                    authority,
                    vault,
                    key_type,
                    credential_ttl_days,
                },
                policy,
                admin_token,
            }),
            _ => Err(reader.wrong),
        }
    }
}

struct Reader<G> {
    get: G,
    wrong: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    /// A setting's text, which may be a secret.
    fn text(&self, name: &str) -> Option<Zeroizing<String>> {
        let text = Zeroizing::new((self.get)(name)?);
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned()))
    }

    fn public_text(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.as_str().to_owned())
    }

    fn required(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let text = self.text(name);
        if text.is_none() {
            self.wrong.push(format!("{name} is not set"));
        }
        text
    }

    fn authority(&mut self) -> Option<Authority> {
        let certificate = self.required("ca_certificate");
        let key = self.required("ca_private_key");
        Authority::from_pem(&certificate?, &key?)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }

    fn vault(&mut self) -> Option<Vault> {
        let text = self.required("key_encryption_key")?;
        let key = key_from_hex(&text);
        if key.is_none() {
            self.wrong.push(format!(
                "key_encryption_key is not {} hexadecimal digits",
                2 * KEY_LEN
            ));
        }
        Some(Vault::new(&*key?))
    }

    fn key_type(&mut self) -> KeyType {
        let Some(text) = self.text("domain_key_type") else {
            return KeyType::Rsa2048;
        };
        text.parse().unwrap_or_else(|_| {
            let known = KeyType::ALL.map(KeyType::as_str).join(", ");
            self.wrong
                .push(format!("domain_key_type is none of {known}"));
            KeyType::Rsa2048
        })
    }

    fn number(&mut self, name: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        self.optional_number(name, range).unwrap_or(default)
    }

    fn optional_number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.text(name)?.parse().ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong.push(format!(
                "{name} is not a whole number from {} to {}",
                range.start(),
                range.end()
            ));
        }
        number
    }

    /// `request_timeout`, where the host tells how long it lets a request take, in seconds: a
    /// request that waits for a key whose maker died must live to make it itself.
    fn check_request_timeout(&mut self, key_type: KeyType) {
        let takeover_s = takeover_s(key_type);
        let timeout_s = self.optional_number("request_timeout", 1..=u32::MAX);
        if timeout_s.is_some_and(|timeout_s| timeout_s <= takeover_s) {
            self.wrong.push(format!(
                "request_timeout is not above {takeover_s} seconds, which is how long requests \
                 wait for a key of type {} before they make it themselves",
                key_type.as_str()
            ));
        }
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).as_deref().map(String::as_str) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                self.wrong.push(format!("{name} is neither true nor false"));
                default
            }
        }
    }

    fn public_origin(&mut self) -> Option<String> {
        let text = self.text("public_origin")?;
        let origin = origin(&text);
        if origin.is_none() {
            self.wrong.push(
                "public_origin is not a scheme and an authority, such as https://domains.example"
                    .into(),
            );
        }
        origin
    }

    fn machine_trust_anchors(&mut self) -> Option<TrustAnchors> {
        let text = self.text("machine_trust_anchors")?;
        TrustAnchors::from_pem(&text)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }

    fn tokens(&mut self) -> Option<TokenVerifier> {
        let keys = KeySet::from_json(&self.text("auth_jwks")?)
            .map_err(|errors| self.wrong.extend(errors))
            .ok()?;
        Some(TokenVerifier {
            keys,
            issuer: self.public_text("auth_issuer"),
            audience: self.public_text("auth_audience"),
            namespace_claim: self
                .public_text("auth_namespace_claim")
                .unwrap_or_else(|| DEFAULT_NAMESPACE_CLAIM.to_owned()),
        })
    }
}

/// The origin of a URL that is nothing but one (RFC 6454), in lower case and without a default
/// port.
fn origin(text: &str) -> Option<String> {
    let url: http::Uri = text.parse().ok()?;
    let is_origin = matches!(url.path(), "" | "/") && url.query().is_none();
    is_origin.then(|| origin_of(&url)).flatten()
}

/// The origin of an absolute HTTP URL (RFC 6454), in lower case and without a default port.
pub fn origin_of(url: &http::Uri) -> Option<String> {
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = url.authority()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    // An authority ends where its host does, or has a colon and a number after it, which may be
    // missing (RFC 3986 section 3.2.3).
    let after_host = authority.as_str().strip_prefix(authority.host())?;
    let port = match after_host.strip_prefix(':') {
        None if after_host.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok()?)
        }
        None | Some(_) => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    match port {
        Some(port) if port != default_port => Some(format!("{scheme}://{host}:{port}")),
        _ => Some(format!("{scheme}://{host}")),
    }
}

fn key_from_hex(text: &str) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != KEY_LEN {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(key)
}
