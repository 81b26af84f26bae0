//! The address of a PostgreSQL: its hosts, and how to connect to them.

use std::{fmt, path::PathBuf, str::FromStr as _, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host as HostName, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::{
    password_file::PasswordFile,
    tls::{self, Verification},
};
use crate::store::shared::{AddressError, Credentials};

/// How long connecting to one address of a host may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// After this time without traffic a connection is probed, so that a dead one is noticed before a
/// request needs it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The name by which the server's own views show the gateway.
const APPLICATION_NAME: &str = "anonymous-domains-gateway";

const DEFAULT_PORT: u16 = 5432;

/// A PostgreSQL that can be connected to: one or several servers, of which one is the primary.
/// `Display` and `Debug` show the URL without credentials and options.
pub struct Address {
    pub(super) hosts: Vec<Host>,
    shown: String,
}

/// One of its servers.
pub(super) struct Host {
    pub config: Config,
    pub tls: Option<MakeRustlsConnect>,
    /// Its name and port, or the directory of its socket.
    pub shown: String,
}

/// The parameters of a URL that are not the library's: as libpq has them.
#[derive(Default)]
struct Parameters {
    ssl_mode: Option<String>,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl Address {
    /// Parses a URL as libpq has it: `postgres://` or `postgresql://`, with one or several hosts. A
    /// server on another machine needs TLS unless the URL says `sslmode=disable`, and its certificate
    /// is always checked: its chain and name with `require` and `verify-full`, its chain with
    /// `verify-ca`. Only primaries are used, so `target_session_attrs` may be `read-write` or
    /// `primary`, or be missing.
    ///
    /// # Errors
    ///
    /// If it is not such a URL, or does not fit the credentials.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, AddressError> {
        let no_url = |detail: &str| AddressError::NoUrl(format!(": {detail}"));
        if !is_url(url) {
            return Err(AddressError::NoUrl(String::new()));
        }
        let (url, parameters) = Parameters::split(url).map_err(|error| no_url(&error))?;
        // The library's errors name a parameter and quote no value.
        let mut config = Config::from_str(&url).map_err(|error| {
            let source = std::error::Error::source(&error);
            no_url(&source.map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
            return Err(no_url("a read-only server cannot be the store"));
        }
        // Which server may be used is for `Session` to find out.
        config
            .target_session_attrs(TargetSessionAttrs::Any)
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE);
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION_NAME);
        }
        if let Some(password) = &credentials.password {
            if config.get_password().is_some() {
                return Err(AddressError::TwoPasswords);
            }
            config.password(password.as_str());
        }
        let passwords = match parameters
            .password_file
            .as_ref()
            .or(credentials.password_file.as_ref())
        {
            Some(path) if config.get_password().is_none() => Some(PasswordFile::read(path)?),
            _ => None,
        };

        let names = config.get_hosts().to_vec();
        if names.is_empty() || !config.get_hostaddrs().is_empty() {
            return Err(no_url("it must name a host"));
        }
        let ports = match config.get_ports() {
            [] => vec![DEFAULT_PORT; names.len()],
            [port] => vec![*port; names.len()],
            ports if ports.len() == names.len() => ports.to_vec(),
            _ => return Err(no_url("it has more hosts than ports, or fewer")),
        };
        let mut secured = Secured {
            parameters,
            credentials,
            connector: None,
            used: false,
        };
        let mut hosts = Vec::new();
        for (name, port) in names.into_iter().zip(ports) {
            let tls = secured.tls_for(&name)?;
            hosts.push(host(&config, name, port, tls, passwords.as_ref()));
        }
        secured.check_use()?;
        let shown: Vec<_> = hosts.iter().map(|host| host.shown.as_str()).collect();
        let database = config.get_dbname().unwrap_or_default();
        Ok(Self {
            shown: format!("postgres://{}/{database}", shown.join(",")),
            hosts,
        })
    }

    /// Whether a text looks like the URL of a PostgreSQL and has a password in it.
    pub fn has_password(url: &str) -> bool {
        is_url(url)
            && Parameters::split(url)
                .ok()
                .and_then(|(url, _)| Config::from_str(&url).ok())
                .is_some_and(|config| config.get_password().is_some())
    }
}

/// Whether a text is meant as the URL of a PostgreSQL.
pub(in crate::store) fn is_url(url: &str) -> bool {
    ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn host(
    config: &Config,
    name: HostName,
    port: u16,
    tls: Option<MakeRustlsConnect>,
    passwords: Option<&PasswordFile>,
) -> Host {
    // A configuration's hosts can be added to, but not replaced.
    let mut own = Config::new();
    own.connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE)
        .port(port)
        .channel_binding(config.get_channel_binding())
        .ssl_negotiation(config.get_ssl_negotiation())
        .ssl_mode(match tls {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
    let shown = match &name {
        HostName::Tcp(name) => {
            own.host(name);
            match name.contains(':') {
                true => format!("[{name}]:{port}"),
                false => format!("{name}:{port}"),
            }
        }
        HostName::Unix(directory) => {
            own.host_path(directory);
            format!("{}:{port}", directory.display())
        }
    };
    if let Some(user) = config.get_user() {
        own.user(user);
    }
    if let Some(database) = config.get_dbname() {
        own.dbname(database);
    }
    if let Some(options) = config.get_options() {
        own.options(options);
    }
    if let Some(name) = config.get_application_name() {
        own.application_name(name);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        own.tcp_user_timeout(*timeout);
    }
    if let Some(password) = config.get_password() {
        own.password(password);
    } else if let Some(password) = passwords.and_then(|file| {
        let host = match &name {
            HostName::Tcp(name) => name,
            // libpq's rule for sockets.
            HostName::Unix(_) => "localhost",
        };
        let database = config.get_dbname().or(config.get_user());
        file.password(
            host,
            port,
            database.unwrap_or_default(),
            config.get_user().unwrap_or_default(),
        )
    }) {
        own.password(password);
    }
    Host {
        config: own,
        tls,
        shown,
    }
}

/// Decides which hosts get TLS, and makes what that needs once.
struct Secured {
    parameters: Parameters,
    credentials: Credentials,
    connector: Option<MakeRustlsConnect>,
    used: bool,
}

impl Secured {
    fn tls_for(&mut self, name: &HostName) -> Result<Option<MakeRustlsConnect>, AddressError> {
        let HostName::Tcp(name) = name else {
            return Ok(None);
        };
        let verification = match self.parameters.ssl_mode.as_deref() {
            Some("disable") => return Ok(None),
            // What stays on this machine needs no TLS unless it is asked for.
            None if is_this_machine(name) && !self.has_files() => return Ok(None),
            None | Some("require" | "verify-full") => Verification::ChainAndName,
            Some("verify-ca") => Verification::Chain,
            // `allow` and `prefer` would go on without TLS when an attacker says there is none.
            Some(_) => return Err(AddressError::Insecure),
        };
        self.used = true;
        if self.connector.is_none() {
            self.connector = Some(self.connect(verification)?);
        }
        Ok(self.connector.clone())
    }

    fn has_files(&self) -> bool {
        let Parameters {
            root,
            certificate,
            key,
            ..
        } = &self.parameters;
        let named = root.is_some() || certificate.is_some() || key.is_some();
        named || self.credentials.ca.is_some() || self.credentials.identity.is_some()
    }

    fn connect(&self, verification: Verification) -> Result<MakeRustlsConnect, AddressError> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map(Zeroizing::new)
                .map_err(|error| AddressError::Certificates(format!("{}: {error}", path.display())))
        };
        let root = self.parameters.root.as_ref();
        let root = root.filter(|root| root.as_os_str() != "system");
        let ca = match (&self.credentials.ca, root) {
            (Some(ca), _) => Some(Zeroizing::new(ca.clone())),
            (None, Some(path)) => Some(read(path)?),
            (None, None) => None,
        };
        let named = (&self.parameters.certificate, &self.parameters.key);
        let identity = match (&self.credentials.identity, named) {
            (Some((chain, key)), _) => Some((Zeroizing::new(chain.clone()), key.clone())),
            (None, (Some(chain), Some(key))) => Some((read(chain)?, read(key)?)),
            (None, (None, None)) => None,
            (None, _) => {
                let text = "sslcert and sslkey are given together";
                return Err(AddressError::Certificates(text.into()));
            }
        };
        let ca = ca.as_ref().map(|ca| ca.as_slice());
        let identity = identity
            .as_ref()
            .map(|(chain, key)| (chain.as_slice(), key.as_slice()));
        tls::connector(ca, identity, verification).map_err(AddressError::Certificates)
    }

    /// Refuses certificates that nothing uses.
    fn check_use(&self) -> Result<(), AddressError> {
        match self.has_files() && !self.used {
            true => Err(AddressError::NoTls),
            false => Ok(()),
        }
    }
}

fn is_this_machine(name: &str) -> bool {
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Parameters {
    /// Takes its own parameters out of a URL.
    fn split(url: &str) -> Result<(String, Self), String> {
        let mut own = Self::default();
        let Some((base, query)) = url.split_once('?') else {
            return Ok((url.to_owned(), own));
        };
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = || {
                let text = percent_decode_str(value).decode_utf8();
                let text = text.map_err(|_| format!("{name} is no text"))?;
                Ok::<_, String>(text.into_owned())
            };
            let file = || text().map(PathBuf::from).map(Some);
            match name {
                "sslmode" => own.ssl_mode = Some(text()?),
                "sslrootcert" => own.root = file()?,
                "sslcert" => own.certificate = file()?,
                "sslkey" => own.key = file()?,
                "passfile" => own.password_file = file()?,
                // Another name for what is always done; the library does not know it.
                "target_session_attrs" if value == "primary" => {}
                _ => others.push(pair),
            }
        }
        Ok((format!("{base}?{}", others.join("&")), own))
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
mod tests;
