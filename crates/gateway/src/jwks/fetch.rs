//! Gets a JWK Set from a URL.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{
    Request, StatusCode, Uri,
    header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap, USER_AGENT},
    uri::Scheme,
};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest set, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// How long a set is used before it is fetched again: at least, at most, and if the answer does not
/// say.
const FRESH: (Duration, Duration, Duration) = (
    Duration::from_secs(60),
    Duration::from_secs(24 * 60 * 60),
    Duration::from_secs(10 * 60),
);

/// Where a set is, and whom to believe that it is there.
pub(super) struct Location {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// A set, and for how long it may be used.
pub(super) struct Fetched {
    pub(super) text: String,
    pub(super) fresh_for: Duration,
}

impl Location {
    /// The place that a URL names. Servers are believed whose certificates the system's CAs vouch
    /// for, or those in the file `ca`.
    ///
    /// # Errors
    ///
    /// If it is no https URL, nor an http URL of this machine, or if the file cannot be used.
    pub(super) fn new(url: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let uri: Uri = url.trim().parse().context("auth_jwks is no URL")?;
        let authority = uri.authority().context("auth_jwks has no host")?;
        if authority.as_str().contains('@') {
            bail!("the URL in auth_jwks has a user name");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let is_local = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let may_be_plain = is_local && uri.scheme() == Some(&Scheme::HTTP);
        if !is_tls && !may_be_plain {
            bail!("the URL in auth_jwks must be https, or http of this machine");
        }
        Ok(Self {
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            tls: is_tls.then(|| connector(ca)).transpose()?,
            host,
            uri,
        })
    }

    /// The URL without its query, which may be secret.
    pub(super) fn shown(&self) -> String {
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        format!("{authority}{}", self.uri.path())
    }

    /// Gets the set. Redirections are not followed.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or another one than 200 with a JWK Set.
    pub(super) async fn get(&self) -> anyhow::Result<Fetched> {
        let got = tokio::time::timeout(TIMEOUT, self.try_get()).await;
        got.unwrap_or_else(|_| bail!("there was no answer in time"))
            .with_context(|| format!("cannot get the keys from {}", self.shown()))
    }

    async fn try_get(&self) -> anyhow::Result<Fetched> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let (head, text) = match &self.tls {
            None => self.exchange(stream).await?,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())?;
                self.exchange(tls.connect(name, stream).await?).await?
            }
        };
        check(&text)?;
        Ok(Fetched {
            text,
            fresh_for: fresh_for(&head),
        })
    }

    async fn exchange<S>(&self, stream: S) -> anyhow::Result<(HeaderMap, String)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped.
        tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let request = Request::get(path)
            .header(HOST, authority)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(
                USER_AGENT,
                concat!("anonymous-domains/", env!("CARGO_PKG_VERSION")),
            )
            .body(Empty::<Bytes>::new())?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        if head.status != StatusCode::OK {
            bail!("the answer was {}", head.status);
        }
        let body = match Limited::new(body, MAX_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => bail!("the answer cannot be read: {error}"),
        };
        let text = String::from_utf8(body.into()).context("the answer is no text")?;
        Ok((head.headers, text))
    }
}

/// Whether it looks like a JWK Set. The component checks the keys.
fn check(text: &str) -> anyhow::Result<()> {
    let set: serde_json::Value = serde_json::from_str(text)
        .ok()
        .context("the answer is no JSON")?;
    if !set["keys"].is_array() {
        bail!("the answer is no JWK Set");
    }
    Ok(())
}

/// How long a set may be used, by `Cache-Control` (RFC 9111).
fn fresh_for(head: &HeaderMap) -> Duration {
    let (least, most, usual) = FRESH;
    let lines = head.get_all(CACHE_CONTROL).iter();
    let directives: Vec<_> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    if directives
        .iter()
        .any(|name| matches!(name.as_str(), "no-cache" | "no-store"))
    {
        return least;
    }
    let age = directives
        .iter()
        .find_map(|directive| directive.strip_prefix("max-age="));
    match age.map(|age| age.trim_matches('"').parse()) {
        Some(Ok(seconds)) => Duration::from_secs(seconds).clamp(least, most),
        _ => usual,
    }
}

fn connector(ca: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let (added, refused) = roots.add_parsable_certificates(found.unwrap_or_default());
        if added == 0 || refused > 0 {
            bail!("{shown} holds no CA certificate (PEM)");
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_be_asked_without_tls() {
        for url in [
            "http://127.0.0.1:8000/jwks",
            "http://[::1]/",
            "http://localhost/x",
        ] {
            assert!(Location::new(url, None).is_ok(), "{url}");
        }
        let shown = Location::new("https://id.example/jwks?key=hunter2", None).unwrap();
        assert_eq!(shown.shown(), "id.example/jwks");
        for url in [
            "http://id.example/jwks",
            "http://localhost.example/",
            "https://user:hunter2@id.example/",
            "https://",
            "ftp://127.0.0.1/",
        ] {
            assert!(Location::new(url, None).is_err(), "{url}");
        }
    }

    #[test]
    fn an_answer_says_for_how_long_it_is_good() {
        let seconds = |value: &'static str| {
            let mut head = HeaderMap::new();
            if !value.is_empty() {
                head.insert(CACHE_CONTROL, value.parse().unwrap());
            }
            fresh_for(&head).as_secs()
        };
        assert_eq!(seconds(""), 600);
        assert_eq!(seconds("public, max-age=300"), 300);
        assert_eq!(seconds("Max-Age=5"), 60);
        assert_eq!(seconds("max-age=99999999"), 86_400);
        assert_eq!(seconds("max-age=nonsense"), 600);
        assert_eq!(seconds("no-store, max-age=300"), 60);
    }
}
