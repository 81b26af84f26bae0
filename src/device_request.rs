//! From the bytes of a device's request to a request that can be believed.

use anonymous_domains_protocol::{
    ids::DomainName,
    jwk::PublicKey,
    problem::ErrorName,
    request::{DeregisterRequest, RegisterRequest, RequestError, SignedRequest, VerifiedRequest},
};

use crate::{
    error::Error,
    settings::{Policy, origin},
    tables::domain_membership::Machine,
};

/// A registration whose signature, freshness and, where required, certificate were checked.
#[derive(Debug)]
pub struct Registration {
    /// The domain of the path.
    pub domain: DomainName,
    /// The domain server URL, for certificates.
    pub server_url: String,
    /// Who asks.
    pub machine: Machine,
    /// The machine's key, to which the credentials are encrypted.
    pub machine_key: PublicKey,
    /// The domain that the machine says it belongs to.
    pub current_domain: Option<String>,
    /// Only credentials above this version are wanted.
    pub known_key_version: Option<u64>,
}

/// A de-registration whose signature, freshness and, where required, certificate were checked.
#[derive(Debug)]
pub struct Deregistration {
    /// The domain of the path.
    pub domain: DomainName,
    /// Who asks.
    pub machine: Machine,
    /// Whether the machine only asks.
    pub preview: bool,
}

/// What a device's request is held against.
#[derive(Debug)]
pub struct Received<'a> {
    /// The domain of the path.
    pub domain: DomainName,
    /// The URL that the request came to, absolute, without `public_path_prefix`.
    pub url: &'a http::Uri,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// The settings.
    pub policy: &'a Policy,
}

impl Received<'_> {
    /// Opens a request to join.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `INVALID_SIGNATURE`, `REQUEST_EXPIRED`, `MACHINE_NOT_TRUSTED`.
    pub fn open_registration(self, body: &[u8]) -> Result<Registration, Error> {
        let request = self.verify(body)?;
        let payload = RegisterRequest::from_payload(request.payload()).map_err(refusal)?;
        Ok(Registration {
            server_url: self.server_url()?,
            machine: self.check_machine(&request, payload.machine_guid, payload.iat_ms)?,
            machine_key: request.machine_key().clone(),
            current_domain: payload.current_domain,
            known_key_version: payload.known_key_version,
            domain: self.domain,
        })
    }

    /// Opens a request to leave.
    ///
    /// # Errors
    /// Those of [`open_registration`](Self::open_registration).
    pub fn open_deregistration(self, body: &[u8]) -> Result<Deregistration, Error> {
        let request = self.verify(body)?;
        let payload = DeregisterRequest::from_payload(request.payload()).map_err(refusal)?;
        Ok(Deregistration {
            machine: self.check_machine(&request, payload.machine_guid, payload.iat_ms)?,
            preview: payload.preview,
            domain: self.domain,
        })
    }

    fn verify(&self, body: &[u8]) -> Result<VerifiedRequest, Error> {
        let request = SignedRequest::parse(body).map_err(refusal)?;
        self.check_url(request.url())?;
        request.verify().map_err(refusal)
    }

    /// The request must have been made for where it came to.
    fn check_url(&self, signed: &str) -> Result<(), Error> {
        let invalid = |why: &'static str| Error::refused(ErrorName::InvalidRequest, why);
        let signed: http::Uri = signed
            .parse()
            .map_err(|_| invalid("url is not an absolute HTTP URL"))?;
        let origin =
            origin::of_url(&signed).ok_or_else(|| invalid("url is not an absolute HTTP URL"))?;
        let prefix = self.policy.public_path_prefix.as_str();
        if signed.path().strip_prefix(prefix) != Some(self.url.path()) {
            return Err(invalid("the path of url is not the path of the request"));
        }
        match &self.policy.public_origin {
            Some(ours) if *ours != origin => Err(invalid("the origin of url is not this server's")),
            _ => Ok(()),
        }
    }

    fn check_machine(
        &self,
        request: &VerifiedRequest,
        guid: anonymous_domains_protocol::ids::MachineGuid,
        iat_ms: i64,
    ) -> Result<Machine, Error> {
        let tolerance_ms = 1000 * i64::from(self.policy.clock_tolerance_s);
        if iat_ms.abs_diff(self.now_ms) > tolerance_ms.unsigned_abs() {
            return Err(Error::refused(
                ErrorName::RequestExpired,
                "iat is too far from the server's clock",
            ));
        }
        if let Some(anchors) = &self.policy.machine_trust_anchors {
            anchors.check(request.x5c(), guid, self.now_ms.div_euclid(1000))?;
        }
        Ok(Machine {
            guid,
            key_thumbprint: request.machine_key().thumbprint(),
            iat_ms,
        })
    }

    /// `{origin}{prefix}/flashaccess/domainserver/{domain}/`.
    fn server_url(&self) -> Result<String, Error> {
        let origin = match &self.policy.public_origin {
            Some(origin) => origin.clone(),
            None => origin::of_url(self.url).ok_or_else(|| {
                Error::refused(
                    ErrorName::InvalidRequest,
                    "the request does not say which server it is for",
                )
            })?,
        };
        Ok(format!(
            "{origin}{}/flashaccess/domainserver/{}/",
            self.policy.public_path_prefix, self.domain
        ))
    }
}

fn refusal(error: RequestError) -> Error {
    match error {
        RequestError::Invalid(detail) => Error::refused(ErrorName::InvalidRequest, detail),
        RequestError::InvalidSignature => Error::refused(
            ErrorName::InvalidSignature,
            "the signature is not the machine key's over this request",
        ),
    }
}
