//! Requests to a domain server: one POST at a time, with safe retries.

use anonymous_domains_client::Failure;
use anonymous_domains_protocol::request;
use http::{Request, header};
use serde::de::DeserializeOwned;

use crate::{domain_url::DomainUrl, error::DeviceError};

pub use anonymous_domains_client::{ClientOptions, InvalidToken, Notice, RetryPolicy, Token};

/// Sends a device's requests.
pub struct Client(anonymous_domains_client::Client);

impl Client {
    /// A client. If the options have no user agent, it is `domain-device`.
    pub fn new(mut options: ClientOptions) -> Self {
        if options.user_agent.is_empty() {
            options.user_agent = concat!("domain-device/", env!("CARGO_PKG_VERSION")).to_owned();
        }
        Self(anonymous_domains_client::Client::new(options))
    }

    /// Posts a request to `url` until it is answered; `body` is called for each attempt, so that
    /// the request is never older than the attempt.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Refused`], [`DeviceError::Unreachable`], [`DeviceError::UnusableAnswer`], or
    /// what `body` fails with.
    pub fn post<T: DeserializeOwned>(
        &self,
        domain: &DomainUrl,
        url: &str,
        body: impl Fn() -> Result<String, DeviceError>,
    ) -> Result<T, DeviceError> {
        let answer = self.0.send(|| {
            Request::post(url)
                .header(header::CONTENT_TYPE, request::MEDIA_TYPE)
                .body(Some(body()?))
                .map_err(|error| DeviceError::Usage(format!("{url} cannot be asked: {error}.")))
        })?;
        answer
            .and_then(|answer| answer.json())
            .map_err(|failure| match failure {
                Failure::Refused { problem, .. } => DeviceError::Refused {
                    domain: domain.domain().clone(),
                    problem,
                },
                Failure::Unreachable(text) => DeviceError::Unreachable(text),
                Failure::UnusableAnswer(text) => DeviceError::UnusableAnswer(text),
            })
    }
}
