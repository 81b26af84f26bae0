//! The address of a Redis, and the credentials for it.

use std::{fmt, time::Duration};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    parse_redis_url,
};

use crate::store::shared::{AddressError, Credentials};

/// After this time without traffic a connection is probed, so that a dead one is noticed before a
/// request needs it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A Redis that can be connected to. `Display` and `Debug` show the URL without credentials.
pub struct Address {
    pub(super) client: Client,
    shown: String,
}

impl Address {
    /// Parses a URL: `redis://`, `rediss://` (TLS) or `redis+unix://`, optionally with an ACL user, a
    /// password and a database number. `valkey` can be used in place of `redis`.
    ///
    /// # Errors
    ///
    /// If it is not such a URL, or does not fit the credentials.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, AddressError> {
        let no_url = |detail: String| AddressError::NoUrl(detail);
        let parsed = parse_redis_url(url).ok_or_else(|| no_url(String::new()))?;
        if parsed.fragment() == Some("insecure") {
            return Err(AddressError::Insecure);
        }
        let mut shown = parsed.clone();
        // Fails if there is no host, and so no password outside of the query.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        shown.set_query(None);

        // The library's errors name what is wrong and quote no more than a database number.
        let mut info = parsed
            .into_connection_info()
            .map_err(|error| no_url(format!(": {error}")))?;
        // Sending the library's name needs a command that a restricted user may not have.
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(password) = &credentials.password {
            if settings.password().is_some() {
                return Err(AddressError::TwoPasswords);
            }
            settings = settings.set_password(password.as_str());
        }
        info = info.set_redis_settings(settings).set_tcp_settings(
            TcpSettings::default()
                .set_nodelay(true)
                .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE)),
        );

        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = if tls {
            // The workspace could contain two crypto providers, so this selects one. It fails if one
            // was selected before, which is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let certificates = TlsCertificates {
                client_tls: credentials
                    .identity
                    .map(|(certificate, key)| ClientTlsConfig {
                        client_cert: certificate,
                        client_key: key.to_vec(),
                    }),
                root_cert: credentials.ca,
            };
            Client::build_with_tls(info, certificates)
                .map_err(|error| AddressError::Certificates(error.to_string()))?
        } else if credentials.ca.is_some() || credentials.identity.is_some() {
            return Err(AddressError::NoTls);
        } else {
            Client::open(info).map_err(|error| no_url(format!(": {error}")))?
        };
        Ok(Self {
            client,
            shown: shown.to_string(),
        })
    }

    /// Whether a text looks like the URL of a Redis and has a password in it.
    pub fn has_password(url: &str) -> bool {
        parse_redis_url(url)
            .and_then(|url| url.into_connection_info().ok())
            .is_some_and(|info| info.redis_settings().password().is_some())
            // An invalid URL may contain one too.
            || url.split_once("://").is_some_and(|(_, rest)| {
                let authority = rest.split('/').next().unwrap_or_default();
                let user = authority.rsplit_once('@').map(|(user, _)| user);
                user.is_some_and(|user| user.contains(':'))
            })
    }
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
    use zeroize::Zeroizing;

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
    fn a_password_comes_from_one_place() {
        let credentials = || Credentials {
            password: Some(Zeroizing::new("hunter2".into())),
            ..Credentials::default()
        };
        let address = Address::new("redis://gateway@localhost", credentials()).unwrap();
        let settings = address.client.get_connection_info().redis_settings();
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
