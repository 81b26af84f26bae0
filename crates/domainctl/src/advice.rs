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
    /// One domain.
    Domain(DomainName),
    /// One machine in a domain.
    Machine(DomainName, MachineGuid),
}

impl Subject {
    fn domain(&self) -> &str {
        match self {
            Self::Server => "the domain",
            Self::Domain(domain) | Self::Machine(domain, _) => domain.as_str(),
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
            Subject::Server | Subject::Domain(_) => {
                "The server has no operator's interface. Its setting admin_token may be missing or shorter than 32 characters, another setting may be unusable (see /healthz), or this is not the URL of a domain server.".to_owned()
            }
        },
        ErrorName::UnknownDomain => format!(
            "There is no domain {domain} on this server. Names are case-sensitive: see domain list; domain set creates a new one."
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
    fn every_error_has_its_sentence_and_keeps_its_name() {
        let domain = DomainName::parse("living-room").unwrap();
        let machine = MachineGuid::random();
        for subject in [
            Subject::Server,
            Subject::Domain(domain.clone()),
            Subject::Machine(domain, machine),
        ] {
            for error in ErrorName::ALL {
                let text = sentence(&subject, &Problem::new(*error, "the detail"));
                assert!(text.ends_with(&format!("({error}: the detail)")), "{text}");
            }
        }
    }
}
