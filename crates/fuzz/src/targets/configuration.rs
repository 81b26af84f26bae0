//! What operators write: settings, the gateway's file, stores' addresses, limits.

use std::path::PathBuf;

use anonymous_domains::settings::Settings;
use anonymous_domains_gateway::{
    cli::Arguments,
    limits::{Network, RateLimit},
    settings,
    store::{address::Address, shared::Credentials},
};

use super::{Target, exports};
use crate::{
    fixture::{self, ADMIN_TOKEN, KEY_ENCRYPTION_KEY, PASSWORD},
    input::{self, seed},
};

/// Settings of the component, `NAME=TEXT` each, with NUL between them.
pub const SETTINGS: Target = Target {
    name: "settings",
    about: "settings of the component: what is wrong is told without the settings' texts",
    run: settings,
    seeds: settings_seeds,
    mutations: 1_000,
};

/// A byte chooses whether it is the file of `--variables` or of `--config`.
pub const CONFIG_FILE: Target = Target {
    name: "config_file",
    about: "the gateway's TOML files: errors show no value",
    run: config_file,
    seeds: config_file_seeds,
    mutations: 300,
};

/// A byte chooses a form with a password in it, the rest fills its gaps.
pub const STORE_ADDRESS: Target = Target {
    name: "store_address",
    about: "URLs of Redis and PostgreSQL: no text shows the password",
    run: store_address,
    seeds: store_address_seeds,
    mutations: 2_000,
};

/// A text as a rate and as a network.
pub const LIMITS: Target = Target {
    name: "limits",
    about: "rates and networks of the gateway's flags",
    run: limits,
    seeds: limits_seeds,
    mutations: 20_000,
};

fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let given: Vec<_> = text
        .split('\0')
        .filter_map(|it| it.split_once('='))
        .collect();
    let read = |name: &str| {
        let own = given.iter().find(|(given, _)| *given == name);
        own.map(|(_, text)| (*text).to_owned())
            .or_else(|| fixture::setting(name))
    };
    match Settings::read(read) {
        Err(wrong) => {
            assert!(!wrong.is_empty());
            for line in &wrong {
                for secret in [
                    ADMIN_TOKEN,
                    KEY_ENCRYPTION_KEY,
                    PASSWORD,
                    "PRIVATE KEY-----",
                ] {
                    assert!(!line.contains(secret), "{line}");
                }
            }
        }
        Ok(settings) => {
            let policy = settings.policy;
            let prefix = &policy.public_path_prefix;
            assert!(prefix.is_empty() || prefix.starts_with('/') && !prefix.ends_with('/'));
            assert!(!prefix.contains("//") && !prefix.starts_with("/admin/"));
            // What was read reads as the same.
            let again = Settings::read(|name| match name {
                "public_origin" => policy.public_origin.clone(),
                "public_path_prefix" => Some(prefix.clone()),
                _ => fixture::setting(name),
            });
            let again = again.expect("what was read reads").policy;
            assert_eq!(again.public_origin, policy.public_origin);
            assert_eq!(again.public_path_prefix, *prefix);
        }
    }
}

fn settings_seeds() -> Vec<Vec<u8>> {
    let key = fixture::ec_key(9).to_pkcs8_pem();
    let texts = [
        "public_path_prefix=/domains/".to_owned(),
        "public_path_prefix=/admin".to_owned(),
        "public_path_prefix=/a/../b".to_owned(),
        "cors_origins=https://tv.example, HTTP://A:80/ null".to_owned(),
        "public_origin=HTTPS://Domains.Example:443/".to_owned(),
        format!("public_origin=https://{PASSWORD}@a"),
        "clock_tolerance=300\0credential_ttl_days=30\0max_domains=".to_owned(),
        format!(
            "key_encryption_key={KEY_ENCRYPTION_KEY}\n{}",
            "ab".repeat(32)
        ),
        format!("key_encryption_key={PASSWORD}"),
        format!("admin_token={PASSWORD} {PASSWORD}"),
        format!("ca_private_key={}", *key),
        format!("ca_certificate={}", fixture::ca().pem),
        format!("machine_trust_anchors={}", fixture::ca().pem),
        format!("ca_certificate_next={}", fixture::ca().pem),
        format!(
            "auth_jwks={}\0auth_namespace_claim=",
            fixture::issuer_keys()
        ),
        format!("domain_key_type=RSA-2048\0auto_create_domains={PASSWORD}"),
        "max_key_versions_per_day=0\0request_timeout=1".to_owned(),
    ];
    texts.map(String::into_bytes).into()
}

fn config_file(bytes: &[u8]) {
    let (kind, text) = input::choice(bytes);
    // `@FILE` names a file, and some files of the system never end.
    if text.windows(2).any(|pair| pair == b"@/" || pair == b"@.") {
        return;
    }
    // The input says where the password is. A name that is not known is shown, so not in a name.
    let is_in_a_name = |line: &[u8]| {
        let line = line.trim_ascii_start();
        let equals = line.iter().position(|byte| *byte == b'=');
        let name = match (line.first(), equals) {
            (Some(b'['), _) => line,
            (_, Some(equals)) => &line[..equals],
            _ => &[],
        };
        name.windows(2).any(|pair| pair == b"@@")
    };
    if text.split(|byte| *byte == b'\n').any(is_in_a_name) {
        return;
    }
    let with_secret = String::from_utf8_lossy(text).replace("@@", PASSWORD);
    exports::with_file(with_secret.as_bytes(), |path| {
        let error = match kind % 8 {
            0 => {
                let words = ["gateway".as_ref(), "--config".as_ref(), path.as_os_str()];
                let read = Arguments::from_words(words);
                read.err().map(|error| format!("{error} {error:?}"))
            }
            _ => {
                let read = settings::Settings::from_file(path);
                if let Ok(settings) = &read {
                    assert!(!format!("{settings:?}").contains(PASSWORD));
                }
                read.err().map(|error| format!("{error:#} {error:?}"))
            }
        };
        if let Some(error) = error {
            assert!(!error.contains(PASSWORD), "{error}");
        }
    });
}

fn config_file_seeds() -> Vec<Vec<u8>> {
    let config = "listen = \"127.0.0.1:4000\"\nmax_connections = 5\nrequest-timeout = \"500ms\"\n\
        tls_self_signed = true\ntrusted_proxy = [\"10.0.0.0/8\", \"::1\"]\n\
        rate_limit_client = \"@@\"\n[settings]\nclock_tolerance = 7\nadmin_token = \"@@\"\n";
    vec![
        seed(&[&[0], config.as_bytes()]),
        seed(&[&[0], b"max_memory = \"9 @@\""]),
        seed(&[&[0], b"listen = \"@@"]),
        seed(&[&[1], b"admin_token = \"@@\"\nclock_tolerance = 7\n"]),
        seed(&[&[1], b"admin_tokn = \"@@\"\n"]),
        seed(&[&[1], b"admin_token = [\"@@\"]\n"]),
        seed(&[&[1], b"admin_token = '''\n@@\n'''\nmax_domains = 0x1f\n"]),
        seed(&[&[1], b"admin_token = 1979-05-27\n[a.b]\nc = 1.5\n"]),
    ]
}

const FORMS: [&str; 6] = [
    "redis://USER:SECRET@REST",
    "rediss://USER:SECRET@REST",
    "redis+unix:///REST?pass=SECRET&user=USER",
    "postgres://USER:SECRET@REST",
    "postgresql://USER@REST?password=SECRET",
    "postgres://REST/db?sslmode=disable&password=SECRET&user=USER",
];

fn store_address(bytes: &[u8]) {
    let (form, rest) = input::pick(&FORMS, bytes);
    let (user, rest) = input::split_once(rest, b"\n");
    let (user, rest) = (String::from_utf8_lossy(user), String::from_utf8_lossy(rest));
    // These would end the user's name, and make the password part of something public.
    if user.contains(['/', '?', '#', '@', ':', '[', ',', '&', '\\']) || rest.contains("/dev") {
        return;
    }
    // Nor may it be the name of something else.
    if user.contains(PASSWORD) || rest.contains(PASSWORD) {
        return;
    }
    let url = form
        .replace("REST", &rest)
        .replace("USER", &user)
        .replace("SECRET", PASSWORD);
    let credentials = Credentials {
        ca: form
            .starts_with("rediss")
            .then(|| fixture::ca().pem.clone().into()),
        password_file: Some(PathBuf::from("/nonexistent")),
        ..Credentials::default()
    };
    let shown = match Address::new(&url, credentials, 4) {
        Ok(address) => format!("{address} {address:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!shown.contains(PASSWORD), "{url} is shown as {shown}");
    let _ = Address::has_password(&url);
}

fn store_address_seeds() -> Vec<Vec<u8>> {
    let rests = [
        "localhost:6379/3",
        "one.example,[::1]:7001,10.0.0.3:7002/0",
        "localhost/#insecure",
        "localhost/three",
        "",
        "db.example:5432,standby:5433/domains",
        "run/redis.sock",
    ];
    let mut seeds = Vec::new();
    for form in 0..FORMS.len() as u8 {
        for rest in rests {
            seeds.push(seed(&[&[form], b"gateway\n", rest.as_bytes()]));
        }
    }
    seeds
}

fn limits(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(rate) = text.parse::<RateLimit>() {
        assert_eq!(rate.to_string().parse(), Ok(rate));
    }
    if let Ok(network) = text.parse::<Network>() {
        let address = text.split('/').next().unwrap_or_default();
        let address = address.parse().expect("a network begins with an address");
        assert!(network.contains(address));
    }
}

fn limits_seeds() -> Vec<Vec<u8>> {
    [
        "off",
        "100/s",
        "100/s:1000",
        "0/s",
        "+1/s",
        "10.0.0.0/8",
        "::1",
        "2001:db8::/32",
        "::ffff:10.0.0.1/104",
        "0.0.0.0/0",
        "10.0.0.1/33",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
