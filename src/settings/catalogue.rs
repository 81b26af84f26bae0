//! The one catalogue of settings: what is read, and what the documentation says.

use std::ops::RangeInclusive;

/// A setting: its name, and what it may be.
#[derive(Debug)]
pub(super) struct Setting<V> {
    pub(super) name: &'static str,
    pub(super) values: V,
}

/// A text.
#[derive(Debug)]
pub(super) struct Text {
    /// Its form, as the documentation says it.
    pub(super) form: &'static str,
    /// Whether it belongs into no command line and no log.
    pub(super) is_secret: bool,
}

/// A whole number with a default.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) default: u32,
    pub(super) range: RangeInclusive<u32>,
}

/// A whole number that need not be set.
#[derive(Debug)]
pub(super) struct OptionalNumber {
    pub(super) range: RangeInclusive<u32>,
}

/// `true` or `false`.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) default: bool,
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
        $(pub(super) const $constant: Setting<$kind> = Setting { name: $name, values: $values };)+

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
    CA_CERTIFICATE_NEXT: Text = "ca_certificate_next", text("PEM"),
        "The certificate of a CA that is to replace the domain CA, to announce it to devices. Its \
         issuers may follow.";
    KEY_ENCRYPTION_KEY: Text = "key_encryption_key",
        secret("64 hexadecimal digits, or several such lines, required"),
        "Encrypts domain private keys in the store, with AES-256-GCM. Several keys, the newest \
         first, all open; the first seals, in a store that is in use from the moment that \
         [resealing](../operate/rotation.md) begins.";
    ADMIN_TOKEN: Text = "admin_token", secret("lines of at least 32 characters"),
        "The operators' bearer tokens, one a line: letters, digits and `-._~+/`, with `=` at the \
         end. Without a token there is no `/admin/v1`.";
    ADMIN_READ_TOKEN: Text = "admin_read_token", secret("lines of at least 32 characters"),
        "Bearer tokens, one a line, that allow only `GET` and `HEAD` under `/admin/v1`.";
    PUBLIC_ORIGIN: Text = "public_origin", text("an origin, such as `https://domains.example`"),
        "The server's scheme, host and port as devices write them. The `url` that a device signs \
         must have this origin, and certificates name it. Without it any origin is accepted.";
    PUBLIC_PATH_PREFIX: Text = "public_path_prefix", text("a path, such as `/domains`"),
        "What precedes `/flashaccess` in the URLs that devices sign and certificates name. The host \
         or a proxy removes it from requests.";
    CORS_ORIGINS: Text = "cors_origins",
        text("origins with commas or spaces between them, such as `https://tv.example`"),
        "Whose web pages may send devices' requests and read the answers (CORS): exact origins, \
         no wildcards. Without it none may.";
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
