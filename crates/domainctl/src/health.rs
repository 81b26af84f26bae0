//! Whether a server can work.

use anonymous_domains_client::Client;
use anonymous_domains_protocol::response::Health;
use http::Request;

use crate::{advice::Subject, error::AdminError, server_url::ServerUrl};

/// Asks the server's `/healthz`, which needs no token.
///
/// # Errors
///
/// [`AdminError::Unreachable`] if it cannot be reached, or says that it cannot work: with what it
/// says. [`AdminError::UnusableAnswer`] if it is no domain server.
pub fn health(server: &ServerUrl, client: &Client) -> Result<Health, AdminError> {
    let about = |failure| AdminError::about(&Subject::Server, failure);
    let answer = client
        .send(|| Request::get(server.join("/healthz")?).body(None))
        .map_err(|error: http::Error| {
            AdminError::Usage(format!("The request cannot be made: {error}."))
        })?
        .map_err(about)?;
    answer.json().map_err(about)
}
