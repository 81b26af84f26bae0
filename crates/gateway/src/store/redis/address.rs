//! The address of a Redis, and the credentials for it.

use std::{fmt, time::Duration};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    TlsCertificates,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    parse_redis_url,
};

use zeroize::Zeroizing;

use crate::store::shared::{AddressError, Credentials};

/// After this time without traffic a connection is probed, so that a dead one is noticed before a
/// request needs it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A Redis, or a cluster, that can be connected to. `Display` and `Debug` show the URL without
/// credentials.
pub struct Address {
    /// One at least.
    pub(super) servers: Vec<ConnectionInfo>,
    shown: String,
}

impl Address {
    /// Parses a URL: `redis://`, `rediss://` (TLS) or `redis+unix://`, optionally with an ACL user, a
    /// password and a database number. `valkey` can be used in place of `redis`. Several nodes of a
    /// cluster are separated by commas: `redis://HOST:PORT,HOST:PORT`; one is enough, if it is there
    /// at the start.
    ///
    /// # Errors
    ///
    /// If it is not such a URL, or does not fit the credentials.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, AddressError> {
        let mut servers = Vec::new();
        let mut shown = String::new();
        for url in each_host(url) {
            let (info, without_credentials) = server(&url, &credentials)?;
            servers.push(info);
            shown = match parts(&without_credentials) {
                Some((_, host, path)) if !shown.is_empty() => {
                    let before = shown.strip_suffix(path).unwrap_or(&shown);
                    format!("{before},{host}{path}")
                }
                _ => without_credentials,
            };
        }
        Ok(Self { servers, shown })
    }

    /// Whether a text looks like the URL of a Redis and has a password in it.
    pub fn has_password(url: &str) -> bool {
        parse_redis_url(url)
            .and_then(|url| url.into_connection_info().ok())
            .is_some_and(|info| info.redis_settings().password().is_some())
            // An invalid URL may contain one too, also after a `#`.
            || url.split_once('#').is_some_and(|(_, after)| after.contains("pass="))
            || url.split_once("://").is_some_and(|(_, rest)| {
                let authority = rest.split('/').next().unwrap_or_default();
                let user = authority.rsplit_once('@').map(|(user, _)| user);
                user.is_some_and(|user| user.contains(':'))
            })
    }
}

/// The scheme of a URL, what is between the slashes, and the rest.
fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    Some((scheme, authority, path))
}

/// A URL for each host of a URL.
fn each_host(url: &str) -> Vec<Zeroizing<String>> {
    let Some((scheme, authority, path)) = parts(url) else {
        return vec![Zeroizing::new(url.to_owned())];
    };
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let hosts = hosts.split(',');
    hosts
        .map(|host| Zeroizing::new(format!("{scheme}://{user}{host}{path}")))
        .collect()
}

/// How to connect to the server at a URL, and the URL without credentials.
fn server(url: &str, credentials: &Credentials) -> Result<(ConnectionInfo, String), AddressError> {
    let url = parse_redis_url(url).ok_or_else(|| AddressError::NoUrl(String::new()))?;
    if url.fragment() == Some("insecure") {
        return Err(AddressError::Insecure);
    }
    let mut shown = url.clone();
    // Fails if there is no host, and so no password outside of the query.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown.set_query(None);
    // Nothing but `insecure` is meant there, but a query after a `#` is part of it.
    shown.set_fragment(None);
    let shown = shown.to_string();

    // The library's errors name what is wrong and quote no more than a database number.
    let info = url.into_connection_info();
    let info = info.map_err(|error| AddressError::NoUrl(format!(": {error}")))?;
    // Sending the library's name needs a command that a restricted user may not have.
    let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
    if let Some(password) = &credentials.password {
        if settings.password().is_some() {
            return Err(AddressError::TwoPasswords);
        }
        settings = settings.set_password(password.as_str());
    }
    let info = info.set_redis_settings(settings).set_tcp_settings(
        TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE)),
    );

    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        if credentials.ca.is_some() || credentials.identity.is_some() {
            return Err(AddressError::NoTls);
        }
        return Ok((info, shown));
    }
    // The workspace could contain two crypto providers, so this selects one. It fails if one was
    // selected before, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = credentials.identity.as_ref();
    let certificates = TlsCertificates {
        client_tls: identity.map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone(),
            client_key: key.to_vec(),
        }),
        root_cert: credentials.ca.clone(),
    };
    let client = Client::build_with_tls(info, certificates);
    let client = client.map_err(|error| AddressError::Certificates(error.to_string()))?;
    Ok((client.get_connection_info().clone(), shown))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, AddressError> {
        Address::new(url, Credentials::default())
    }

    #[test]
    fn credentials_are_never_shown() {
        for url in [
            "redis://:hunter2@localhost/3",
            "redis://gateway:hunter2@localhost:1234",
            "redis+unix:///run/redis.sock?db=1&user=gateway&pass=hunter2",
            "rediss://:hunter2@localhost/3#other",
            "redis://:hunter2@localhost/three",
            "redis://:hunter2@",
            "http://:hunter2@localhost",
            "rediss://:hunter2@localhost/#insecure",
            "redis+unix:///run/redis.sock#?pass=hunter2",
        ] {
            let text = match address(url) {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!text.contains("hunter2"), "{text}");
            assert!(Address::has_password(url), "{url}");
        }
        assert_eq!(
            address("redis://a:b@localhost:7/3").unwrap().to_string(),
            "redis://localhost:7/3"
        );
    }

    #[test]
    fn several_nodes_of_a_cluster_have_one_url() {
        let several = "rediss://gateway:hunter2@one.example,[::1]:7001,10.0.0.3:7002/0";
        let address = address(several).unwrap();
        assert_eq!(
            address.to_string(),
            "rediss://one.example,[::1]:7001,10.0.0.3:7002/0"
        );
        assert!(Address::has_password(several));
        let named: Vec<_> = address
            .servers
            .iter()
            .map(|it| it.addr().to_string())
            .collect();
        assert_eq!(named, ["one.example:6379", "::1:7001", "10.0.0.3:7002"]);
        for server in &address.servers {
            assert_eq!(server.redis_settings().password(), Some("hunter2"));
            assert!(matches!(server.addr(), ConnectionAddr::TcpTls { .. }));
        }
        for wrong in ["redis://one,,two", "redis://one,", "redis://a:1,b:x"] {
            assert!(
                super::Address::new(wrong, Credentials::default()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_password_comes_from_one_place() {
        let credentials = || Credentials {
            password: Some(Zeroizing::new("hunter2".into())),
            ..Credentials::default()
        };
        let address = Address::new("redis://gateway@localhost", credentials()).unwrap();
        let settings = address.servers[0].redis_settings();
        assert_eq!(settings.username(), Some("gateway"));
        assert_eq!(settings.password(), Some("hunter2"));
        assert!(!Address::has_password("redis://gateway@localhost"));
        assert!(matches!(
            Address::new("redis://:other@localhost", credentials()),
            Err(AddressError::TwoPasswords)
        ));
    }

    #[test]
    fn what_would_not_be_checked_is_refused() {
        assert!(matches!(
            address("rediss://localhost/#insecure"),
            Err(AddressError::Insecure)
        ));
        let ca = || Credentials {
            ca: Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec()),
            ..Credentials::default()
        };
        assert!(matches!(
            Address::new("redis://localhost", ca()),
            Err(AddressError::NoTls)
        ));
        assert!(matches!(
            Address::new("rediss://localhost", ca()),
            Err(AddressError::Certificates(_))
        ));
    }
}
