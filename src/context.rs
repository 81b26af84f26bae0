//! What every operation works with.

use std::borrow::Cow;

use anonymous_domains_protocol::problem::ErrorName;

use crate::{
    authentication::Credentials,
    credential::cache::CredentialCache,
    environment::Environment,
    error::Error,
    journal::Journal,
    settings::Policy,
    tables::{Tables, domain_server_info::Domain},
};

/// The tables, the domain CA and the settings, for one request.
#[derive(Debug)]
pub struct RequestContext<'a, S, E, I> {
    /// The three tables.
    pub tables: &'a Tables<S, E>,
    /// What the instance remembers of domains' keys.
    pub credential_cache: &'a CredentialCache,
    /// The domain CA.
    pub issuer: &'a I,
    /// What requests are held against.
    pub policy: &'a Policy,
    /// What the request brought to show who asks.
    pub credentials: Credentials<'a>,
    /// Where the request's events go.
    pub journal: Journal<'a, E>,
}

impl<S, E: Environment, I> RequestContext<'_, S, E, I> {
    /// Refuses a request without a valid token where the domain requires authentication. Where it
    /// does not, a token is not even looked at.
    ///
    /// # Errors
    /// `DOM_AUTHENTICATION_REQUIRED`.
    pub fn check_authentication(&self, domain: &Domain) -> Result<(), Error> {
        if !domain.info.authentication_required {
            return Ok(());
        }
        let refused =
            |why: Cow<'static, str>| Err(Error::refused(ErrorName::DomAuthenticationRequired, why));
        let token = match self.credentials {
            Credentials::Bearer(token) => token,
            Credentials::None => {
                return refused("the domain requires an authentication token".into());
            }
            Credentials::Unreadable => {
                return refused("Authorization is not one bearer token".into());
            }
        };
        let Some(tokens) = &self.policy.tokens else {
            return refused("this server was not told whose tokens are valid".into());
        };
        let namespace = domain.info.auth_namespace.as_deref();
        tokens
            .verify(token, namespace, self.tables.env.now_ms())
            .or_else(|why| refused(format!("the authentication token is not valid: {why}").into()))
    }
}
