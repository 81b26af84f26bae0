//! HTTP/1.1 over kept-alive connections: the answer, or why there is none.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Sends requests. Many tasks can use it at the same time.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    source: Source,
}

/// Whom a request claims to come from, to a server that trusts us as a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From us: nothing is claimed.
    Own,
    /// Each from another client.
    Many,
    /// All from this client.
    One(Ipv4Addr),
}

impl Source {
    /// What `X-Forwarded-For` says.
    fn header(self) -> anyhow::Result<Option<HeaderValue>> {
        let address = match self {
            Self::Own => return Ok(None),
            Self::One(address) => address,
            Self::Many => {
                let mut bytes = [0; 3];
                getrandom::fill(&mut bytes).context("the system has no random numbers")?;
                let [a, b, c] = bytes;
                Ipv4Addr::new(10, a, b, c)
            }
        };
        Ok(Some(HeaderValue::try_from(address.to_string())?))
    }
}

/// The result of sending a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer.
    Answer {
        /// Its status.
        status: StatusCode,
        /// Its body.
        body: Bytes,
    },
    /// There was no connection, so nothing was sent.
    NotSent,
    /// The connection ended before the answer did.
    Lost,
    /// There was no answer in time.
    TimedOut,
}

/// A body and its media type.
pub type Body = (&'static str, String);

impl HttpClient {
    /// A client that waits `timeout` for each answer. The certificate of an https server must come
    /// from one of `roots` (DER), or from a public authority.
    ///
    /// # Errors
    ///
    /// When a root is not the certificate of an authority.
    pub fn new(timeout: Duration, roots: Option<&[Vec<u8>]>) -> anyhow::Result<Self> {
        let builder = HttpsConnectorBuilder::new();
        let connector = match roots {
            None => builder.with_webpki_roots(),
            Some(roots) => {
                let mut store = rustls::RootCertStore::empty();
                for root in roots {
                    store
                        .add(root.clone().into())
                        .context("the CA file holds no certificate of an authority")?;
                }
                builder.with_tls_config(
                    rustls::ClientConfig::builder()
                        .with_root_certificates(store)
                        .with_no_client_auth(),
                )
            }
        };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = connector
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            client,
            timeout,
            source: Source::Own,
        })
    }

    /// The same client, with the same connections, whose requests come from elsewhere.
    pub fn from_source(&self, source: Source) -> Self {
        Self {
            source,
            ..self.clone()
        }
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    ///
    /// When the request cannot be built, such as for an invalid URL.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        token: Option<&HeaderValue>,
        body: Option<Body>,
    ) -> anyhow::Result<Reply> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::USER_AGENT, "stress");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(client) = self.source.header()? {
            request = request.header("x-forwarded-for", client);
        }
        let content = match body {
            Some((media_type, text)) => {
                request = request.header(header::CONTENT_TYPE, media_type);
                Full::from(text)
            }
            None => Full::default(),
        };
        let request = request
            .body(content)
            .with_context(|| format!("{url} cannot be asked"))?;
        let exchange = async {
            let response = match self.client.request(request).await {
                Ok(response) => response,
                Err(error) if error.is_connect() => return Reply::NotSent,
                Err(_) => return Reply::Lost,
            };
            let (parts, body) = response.into_parts();
            match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
                Ok(body) => Reply::Answer {
                    status: parts.status,
                    body: body.to_bytes(),
                },
                Err(_) => Reply::Lost,
            }
        };
        Ok(tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or(Reply::TimedOut))
    }
}
