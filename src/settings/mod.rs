//! The operator's settings, as the host gives them: names and texts.
//!
//! An empty text is the same as none, because a Spin manifest must give every variable a value.

mod admin_tokens;
mod catalogue;
mod cors_origins;
pub mod origin;
mod path_prefix;

use std::ops::RangeInclusive;

use anonymous_domains_protocol::jwk::KeyType;
use zeroize::Zeroizing;

use self::catalogue::{
    ADMIN_READ_TOKEN, ADMIN_TOKEN, AUTH_AUDIENCE, AUTH_ISSUER, AUTH_JWKS, AUTH_NAMESPACE_CLAIM,
    AUTO_CREATE_DOMAINS, CA_CERTIFICATE, CA_CERTIFICATE_NEXT, CA_PRIVATE_KEY, CLOCK_TOLERANCE,
    CORS_ORIGINS, CREDENTIAL_TTL_DAYS, DOMAIN_KEY_TYPE, Flag, KEY_ENCRYPTION_KEY,
    MACHINE_TRUST_ANCHORS, MAX_DOMAINS, MAX_KEY_VERSIONS_PER_DAY, Number, OptionalNumber,
    PUBLIC_ORIGIN, PUBLIC_PATH_PREFIX, REQUEST_TIMEOUT, Setting, Text,
};
pub use self::{
    admin_tokens::{AdminTokens, Operator, Scope},
    catalogue::{Described, catalogue},
    cors_origins::CorsOrigins,
};
use crate::{
    authentication::{DEFAULT_NAMESPACE_CLAIM, KeySet, TokenVerifier},
    credential::{
        at_rest::{KEY_LEN, Vault},
        authority::{Authority, DomainCa, read_next, takeover_s},
    },
    issuer::KeyDigest,
    machine_trust::TrustAnchors,
};

/// How many key-encryption keys there may be.
const MOST_KEYS: usize = 16;

/// What the server was told.
#[derive(Debug)]
pub struct Settings {
    /// `ca_certificate`, `ca_private_key`, `key_encryption_key`, `domain_key_type`,
    /// `credential_ttl_days`.
    pub ca: DomainCa,
    /// `ca_certificate_next`: the certificate that is to replace the domain CA's, as PEM, where one
    /// is announced.
    pub ca_next: Option<String>,
    /// What requests are held against.
    pub policy: Policy,
    /// `admin_token` and `admin_read_token`. Without any there is no operators' interface.
    pub admin_tokens: AdminTokens,
    /// `cors_origins`: whose web pages may send devices' requests.
    pub cors_origins: CorsOrigins,
}

/// What requests are held against.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `public_origin`: the server's own scheme and authority as its clients write them, such as
    /// `https://domains.example`; lower case, without a slash at the end.
    pub public_origin: Option<String>,
    /// `public_path_prefix`: what comes before the paths of requests in the URLs that clients write,
    /// such as `/domains`, without a slash at the end; empty where the server has the whole origin.
    pub public_path_prefix: String,
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
    /// Whose store these settings may use: the digests of the key-encryption keys, the newest
    /// first.
    pub fn key_digests(&self) -> Vec<KeyDigest> {
        self.ca.vault.key_digests()
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
        let ca_next = reader.ca_next();
        let vault = reader.vault();
        let key_type = reader.key_type();
        reader.check_request_timeout(key_type);
        let credential_ttl_days = reader.number(&CREDENTIAL_TTL_DAYS);
        let policy = Policy {
            public_origin: reader.public_origin(),
            public_path_prefix: reader.public_path_prefix(),
            clock_tolerance_s: reader.number(&CLOCK_TOLERANCE),
            auto_create_domains: reader.flag(&AUTO_CREATE_DOMAINS),
            machine_trust_anchors: reader.machine_trust_anchors(),
            tokens: reader.tokens(),
            max_domains: reader.optional_number(&MAX_DOMAINS).map(u64::from),
            max_key_versions_per_day: reader.number(&MAX_KEY_VERSIONS_PER_DAY),
        };
        let cors_origins = reader.cors_origins();
        let mut admin_tokens = AdminTokens::default();
        for (setting, scope) in [(&ADMIN_TOKEN, Scope::All), (&ADMIN_READ_TOKEN, Scope::Read)] {
            if let Some(tokens) = reader.text(setting) {
                admin_tokens.add(&tokens, scope);
            }
        }
        match (authority, vault) {
            (Some(authority), Some(vault)) if reader.wrong.is_empty() => Ok(Self {
                ca: DomainCa {
                    authority,
                    vault,
                    key_type,
                    credential_ttl_days,
                },
                ca_next,
                policy,
                admin_tokens,
                cors_origins,
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
    fn text<V>(&self, setting: &Setting<V>) -> Option<Zeroizing<String>> {
        let text = Zeroizing::new((self.get)(setting.name)?);
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned()))
    }

    fn public_text(&self, setting: &Setting<Text>) -> Option<String> {
        self.text(setting).map(|text| text.as_str().to_owned())
    }

    fn required(&mut self, setting: &Setting<Text>) -> Option<Zeroizing<String>> {
        let text = self.text(setting);
        if text.is_none() {
            self.wrong.push(format!("{} is not set", setting.name));
        }
        text
    }

    fn authority(&mut self) -> Option<Authority> {
        let certificate = self.required(&CA_CERTIFICATE);
        let key = self.required(&CA_PRIVATE_KEY);
        Authority::from_pem(&certificate?, &key?)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }

    fn ca_next(&mut self) -> Option<String> {
        let certificates = self.text(&CA_CERTIFICATE_NEXT)?;
        read_next(&certificates)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }

    fn vault(&mut self) -> Option<Vault> {
        let text = self.required(&KEY_ENCRYPTION_KEY)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(key_from_hex).collect();
        let keys = keys.filter(|keys| keys.len() <= MOST_KEYS && !has_twice(keys));
        if keys.is_none() {
            self.wrong.push(format!(
                "key_encryption_key is not {} hexadecimal digits, or up to {MOST_KEYS} such lines \
                 that differ",
                2 * KEY_LEN
            ));
        }
        Some(Vault::new(keys?.iter().map(|key| &**key)))
    }

    fn key_type(&mut self) -> KeyType {
        let Some(text) = self.text(&DOMAIN_KEY_TYPE) else {
            return KeyType::Rsa2048;
        };
        text.parse().unwrap_or_else(|_| {
            let known = KeyType::ALL.map(KeyType::as_str).join(", ");
            self.wrong
                .push(format!("domain_key_type is none of {known}"));
            KeyType::Rsa2048
        })
    }

    fn number(&mut self, setting: &Setting<Number>) -> u32 {
        let Number { default, range } = &setting.values;
        self.number_in(setting, range).unwrap_or(*default)
    }

    fn optional_number(&mut self, setting: &Setting<OptionalNumber>) -> Option<u32> {
        self.number_in(setting, &setting.values.range)
    }

    fn number_in<V>(&mut self, setting: &Setting<V>, range: &RangeInclusive<u32>) -> Option<u32> {
        let number = self.text(setting)?.parse().ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong.push(format!(
                "{} is not a whole number from {} to {}",
                setting.name,
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
        let timeout_s = self.optional_number(&REQUEST_TIMEOUT);
        if timeout_s.is_some_and(|timeout_s| timeout_s <= takeover_s) {
            self.wrong.push(format!(
                "request_timeout is not above {takeover_s} seconds, which is how long requests \
                 wait for a key of type {} before they make it themselves",
                key_type.as_str()
            ));
        }
    }

    fn flag(&mut self, setting: &Setting<Flag>) -> bool {
        let default = setting.values.default;
        match self.text(setting).as_deref().map(String::as_str) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => {
                let name = setting.name;
                self.wrong.push(format!("{name} is neither true nor false"));
                default
            }
        }
    }

    fn public_origin(&mut self) -> Option<String> {
        let text = self.text(&PUBLIC_ORIGIN)?;
        let origin = origin::parse(&text);
        if origin.is_none() {
            self.wrong.push(
                "public_origin is not a scheme and an authority, such as https://domains.example"
                    .into(),
            );
        }
        origin
    }

    fn cors_origins(&mut self) -> CorsOrigins {
        let Some(text) = self.text(&CORS_ORIGINS) else {
            return CorsOrigins::default();
        };
        CorsOrigins::parse(&text).unwrap_or_else(|| {
            self.wrong.push(
                "cors_origins are not exact origins, such as https://tv.example, with commas or \
                 spaces between them"
                    .into(),
            );
            CorsOrigins::default()
        })
    }

    fn public_path_prefix(&mut self) -> String {
        let Some(text) = self.text(&PUBLIC_PATH_PREFIX) else {
            return String::new();
        };
        path_prefix::parse(&text).unwrap_or_else(|| {
            self.wrong.push(
                "public_path_prefix is not a path that the server does not have itself, such as \
                 /domains"
                    .into(),
            );
            String::new()
        })
    }

    fn machine_trust_anchors(&mut self) -> Option<TrustAnchors> {
        let text = self.text(&MACHINE_TRUST_ANCHORS)?;
        TrustAnchors::from_pem(&text)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }

    fn tokens(&mut self) -> Option<TokenVerifier> {
        let keys = KeySet::from_json(&self.text(&AUTH_JWKS)?)
            .map_err(|errors| self.wrong.extend(errors))
            .ok()?;
        Some(TokenVerifier {
            keys,
            issuer: self.public_text(&AUTH_ISSUER),
            audience: self.public_text(&AUTH_AUDIENCE),
            namespace_claim: self
                .public_text(&AUTH_NAMESPACE_CLAIM)
                .unwrap_or_else(|| DEFAULT_NAMESPACE_CLAIM.to_owned()),
        })
    }
}

fn has_twice(keys: &[Zeroizing<[u8; KEY_LEN]>]) -> bool {
    (1..keys.len()).any(|at| keys[..at].contains(&keys[at]))
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
