//! The server's refusals as sentences that say what happened and what to do.

use anonymous_domains_client::refusal;
use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::{ErrorName, Problem},
};

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The server as a whole.
    Server,
    /// The domain CA's certificates.
    Ca,
    /// One domain.
    Domain(DomainName),
    /// One machine in a domain.
    Machine(DomainName, MachineGuid),
    /// The export of a domain.
    Export(DomainName),
    /// The import of a domain.
    Import(DomainName),
}

impl Subject {
    fn domain(&self) -> &str {
        match self {
            Self::Server | Self::Ca => "the domain",
            Self::Domain(domain)
            | Self::Machine(domain, _)
            | Self::Export(domain)
            | Self::Import(domain) => domain.as_str(),
        }
    }
}

/// The sentences for a refusal. The server's own detail follows, if it has any.
pub fn sentence(subject: &Subject, problem: &Problem) -> String {
    refusal(problem, |error| advice(subject, error))
}

fn advice(subject: &Subject, error: ErrorName) -> String {
    let domain = subject.domain();
    match error {
        ErrorName::AdminAuthenticationRequired => {
            "The server does not accept this admin token. Use the server's setting admin_token, which a gateway keeps in the file admin-token of its state directory.".to_owned()
        }
        ErrorName::AdminForbidden => {
            "This admin token only allows to read. Use one of the server's setting admin_token.".to_owned()
        }
        ErrorName::NotFound => match subject {
            Subject::Machine(domain, machine) => format!(
                "{domain} has no member {machine}. See member list; if no other command works either, the server has no admin_token."
            ),
            Subject::Ca => {
                "There is no CA certificate at this URL. It may be the one of a gateway's --internal-listen, which has the operator's interface alone: use the URL of --listen, to which devices go. Or it is not the URL of a domain server.".to_owned()
            }
            Subject::Server | Subject::Domain(_) | Subject::Export(_) | Subject::Import(_) => {
                "The server has no operator's interface at this URL. With a gateway's --internal-listen it is only there. Or the setting admin_token is missing or shorter than 32 characters, another setting is unusable (see /healthz), or this is not the URL of a domain server: give --server without /admin/v1.".to_owned()
            }
        },
        ErrorName::UnknownDomain => format!(
            "There is no domain {domain} on this server. Names are case-sensitive: see domain list; domain set creates a new one."
        ),
        ErrorName::PreconditionFailed if matches!(subject, Subject::Export(_)) => format!(
            "{domain} was changed during every attempt to export it. Try again when fewer machines leave it."
        ),
        ErrorName::PreconditionFailed if matches!(subject, Subject::Import(_)) => format!(
            "{domain} was not imported. With --replace, the domain that is there is deleted first. What was imported before it is there: run this again to go on."
        ),
        ErrorName::InvalidRequest if matches!(subject, Subject::Import(_)) => format!(
            "{domain} was not imported, because the server did not accept what the file says of it. Nobody can use the domain now: import it from another file with --replace, or delete it."
        ),
        ErrorName::PreconditionFailed => format!(
            "Someone else changed {domain} at the same moment, and nothing was overwritten. Look at it with domain show and run this again, or add --force to overwrite it."
        ),
        ErrorName::InvalidDomainName => {
            format!("The server does not accept {domain} as a domain's name.")
        }
        ErrorName::InvalidRequest => {
            "The server did not accept the request. Check the values, and also --after if you used it: its value is printed at the end of an earlier list.".to_owned()
        }
        ErrorName::MethodNotAllowed | ErrorName::UnsupportedMediaType => {
            "The server does not accept this program's request. Check that the versions of both match.".to_owned()
        }
        ErrorName::PayloadTooLarge => "The server found the request too large.".to_owned(),
        ErrorName::Internal => {
            "The server failed. Its log has the reason; try again later.".to_owned()
        }
        ErrorName::RateLimited => {
            "The server accepts no more requests from here at the moment. Try again later.".to_owned()
        }
        ErrorName::StoreUnavailable => {
            "The server cannot reach its store. Look at its log and at /healthz, and try again later; the change may or may not have happened.".to_owned()
        }
        ErrorName::DomAuthenticationRequired
        | ErrorName::DomLimitReached
        | ErrorName::DomRegDenied
        | ErrorName::DeregDenied
        | ErrorName::InvalidSignature
        | ErrorName::RequestExpired
        | ErrorName::MachineKeyMismatch
        | ErrorName::MachineNotTrusted
        | ErrorName::RequestReplayed => {
            "The server answered as if a device had asked. Check --server.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_ca_certificate_may_be_an_internal_listener() {
        let problem = Problem::new(ErrorName::NotFound, "there is nothing at this path");
        let text = sentence(&Subject::Ca, &problem);
        assert!(text.contains("use the URL of --listen"), "{text}");
    }

    #[test]
    fn every_error_has_its_sentence_and_keeps_its_name() {
        let domain = DomainName::parse("living-room").unwrap();
        let machine = MachineGuid::random();
        for subject in [
            Subject::Server,
            Subject::Ca,
            Subject::Domain(domain.clone()),
            Subject::Machine(domain.clone(), machine),
            Subject::Export(domain.clone()),
            Subject::Import(domain),
        ] {
            for error in ErrorName::ALL {
                let text = sentence(&subject, &Problem::new(*error, "the detail"));
                assert!(text.ends_with(&format!("({error}: the detail)")), "{text}");
            }
        }
    }
}
