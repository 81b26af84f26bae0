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

/// A setting: its name, and what it may be.
#[derive(Debug)]
struct Setting<V> {
    name: &'static str,
    values: V,
}

/// A text.
#[derive(Debug)]
struct Text {
    /// Its form, as the documentation says it.
    form: &'static str,
    /// Whether it belongs into no command line and no log.
    is_secret: bool,
}

/// A whole number with a default.
#[derive(Debug)]
struct Number {
    default: u32,
    range: RangeInclusive<u32>,
}

/// A whole number that need not be set.
#[derive(Debug)]
struct OptionalNumber {
    range: RangeInclusive<u32>,
}

/// `true` or `false`.
#[derive(Debug)]
struct Flag {
    default: bool,
}

/// What the documentation says of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Which values it may have, and its default.
    pub values: String,
    /// Whether it is a secret.
    pub is_secret: bool,
    /// What it does, in Markdown.
    pub text: &'static str,
}

/// What a kind of setting says of itself.
trait Values {
    fn described(&self) -> String;

    fn is_secret(&self) -> bool {
        false
    }
}

impl Values for Text {
    fn described(&self) -> String {
        self.form.to_owned()
    }

    fn is_secret(&self) -> bool {
        self.is_secret
    }
}

impl Values for Number {
    fn described(&self) -> String {
        format!("{}, default {}", range(&self.range), self.default)
    }
}

impl Values for OptionalNumber {
    fn described(&self) -> String {
        range(&self.range)
    }
}

impl Values for Flag {
    fn described(&self) -> String {
        format!("`true` or `false`, default `{}`", self.default)
    }
}

fn range(range: &RangeInclusive<u32>) -> String {
    match *range.end() {
        u32::MAX => format!("{} or more", range.start()),
        most => format!("{} to {most}", range.start()),
    }
}

const fn text(form: &'static str) -> Text {
    Text {
        form,
        is_secret: false,
    }
}

const fn secret(form: &'static str) -> Text {
    Text {
        form,
        is_secret: true,
    }
}

/// The one catalogue of settings: what is read, and what docs/reference/settings.md says.
macro_rules! catalogue {
    ($($constant:ident: $kind:ident = $name:literal, $values:expr, $text:literal;)+) => {
        $(const $constant: Setting<$kind> = Setting { name: $name, values: $values };)+

        /// Every setting, in the order of the documentation.
        pub fn catalogue() -> Vec<Described> {
            vec![$(Described {
                name: $name,
                values: $constant.values.described(),
                is_secret: $constant.values.is_secret(),
                text: $text,
            }),+]
        }
    };
}

catalogue! {
    CA_CERTIFICATE: Text = "ca_certificate", text("PEM, required"),
        "The domain CA's certificate, in date and with `CA:TRUE` (and `keyCertSign`, if it has a \
         `keyUsage`). Its issuers, which devices get in `x5c`, and former CAs may follow.";
    CA_PRIVATE_KEY: Text = "ca_private_key", secret("PEM, required"),
        "The CA's key without a passphrase: P-256, or RSA of 2048 to 4096 bits.";
    KEY_ENCRYPTION_KEY: Text = "key_encryption_key", secret("64 hexadecimal digits, required"),
        "Encrypts domain private keys in the store, with AES-256-GCM. It cannot be changed.";
    ADMIN_TOKEN: Text = "admin_token", secret("at least 32 characters"),
        "The operators' bearer token: letters, digits and `-._~+/`, with `=` at the end. Without one \
         there is no `/admin/v1`.";
    PUBLIC_ORIGIN: Text = "public_origin", text("an origin, such as `https://domains.example`"),
        "The server's scheme, host and port as devices write them. The `url` that a device signs \
         must have this origin, and certificates name it. Without it any origin is accepted.";
    DOMAIN_KEY_TYPE: Text = "domain_key_type",
        text("`RSA-2048`, `RSA-3072`, `RSA-4096` or `EC-P256`, default `RSA-2048`"),
        "The type of new domain keys. An RSA key can take seconds to generate.";
    CREDENTIAL_TTL_DAYS: Number = "credential_ttl_days",
        Number { default: 3650, range: 1..=36_525 },
        "The lifetime of certificates in days, within the CA's.";
    CLOCK_TOLERANCE: Number = "clock_tolerance", Number { default: 300, range: 1..=86_400 },
        "How far a request's `iat` may be from the server's clock, in seconds.";
    AUTO_CREATE_DOMAINS: Flag = "auto_create_domains", Flag { default: true },
        "Whether a registration creates an unknown domain.";
    MAX_DOMAINS: OptionalNumber = "max_domains", OptionalNumber { range: 0..=u32::MAX },
        "With this many domains, registrations create no more (`RATE_LIMITED`); operators still can. \
         Simultaneous registrations may exceed it.";
    MAX_KEY_VERSIONS_PER_DAY: Number = "max_key_versions_per_day",
        Number { default: 100, range: 1..=u32::MAX },
        "How many key versions departures may cause in a domain in 24 hours. Further registrations \
         that need one are `RATE_LIMITED`. Those that an operator causes do not count.";
    REQUEST_TIMEOUT: OptionalNumber = "request_timeout", OptionalNumber { range: 1..=u32::MAX },
        "How long the host lets a request take, in seconds: more than the take-over timeout of the \
         key type. The gateway sets it.";
    MACHINE_TRUST_ANCHORS: Text = "machine_trust_anchors", text("PEM"),
        "CA certificates. With them every device, members included, needs a machine certificate \
         that chains to one.";
    AUTH_JWKS: Text = "auth_jwks", text("a JWK Set, at most 32 keys"),
        "The public keys that authentication tokens are signed with. Keys of other kinds are \
         skipped, private keys refused.";
    AUTH_ISSUER: Text = "auth_issuer", text("text"),
        "A token's `iss`; not checked if unset.";
    AUTH_AUDIENCE: Text = "auth_audience", text("text"),
        "A token's `aud`, or one of them; not checked if unset. Set both if the issuer serves \
         others too.";
    AUTH_NAMESPACE_CLAIM: Text = "auth_namespace_claim", text("text, default `ns`"),
        "The claim that holds a token's namespace.";
}

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
        let credential_ttl_days = reader.number(&CREDENTIAL_TTL_DAYS);
        let policy = Policy {
            public_origin: reader.public_origin(),
            clock_tolerance_s: reader.number(&CLOCK_TOLERANCE),
            auto_create_domains: reader.flag(&AUTO_CREATE_DOMAINS),
            machine_trust_anchors: reader.machine_trust_anchors(),
            tokens: reader.tokens(),
            max_domains: reader.optional_number(&MAX_DOMAINS).map(u64::from),
            max_key_versions_per_day: reader.number(&MAX_KEY_VERSIONS_PER_DAY),
        };
        let admin_token = reader
            .text(&ADMIN_TOKEN)
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

    fn vault(&mut self) -> Option<Vault> {
        let text = self.required(&KEY_ENCRYPTION_KEY)?;
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
