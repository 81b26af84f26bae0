//! The server's refusals as sentences that say what happened and what to do.

use anonymous_domains_client::refusal;
use anonymous_domains_protocol::{
    ids::DomainName,
    problem::{ErrorName, Problem},
};

/// The sentences for a refusal. The server's own detail follows, if it has any.
pub fn sentence(domain: &DomainName, problem: &Problem) -> String {
    refusal(problem, |error| advice(domain, error))
}

fn advice(domain: &DomainName, error: ErrorName) -> String {
    match error {
        ErrorName::DomAuthenticationRequired => format!(
            "{domain} requires a valid token. Get one from the operator, and pass it with --token-file."
        ),
        ErrorName::DomLimitReached => format!(
            "{domain} already has its maximum of devices. Let another device leave first, or ask the operator to raise the maximum."
        ),
        ErrorName::DomRegDenied => format!(
            "{domain} does not accept this device: it is blocked there. Ask the operator."
        ),
        ErrorName::DeregDenied => format!(
            "This device is not a member of {domain}, or not with this key, so it cannot leave. To delete credentials that it may still hold, use leave --forget."
        ),
        ErrorName::InvalidDomainName => format!(
            "The server does not accept {domain} as a domain's name. Check the URL."
        ),
        ErrorName::InvalidRequest | ErrorName::InvalidSignature | ErrorName::UnsupportedMediaType => {
            "The server did not accept this program's request. Check that the URL is the domain server's own address, and that the versions of both match.".to_owned()
        }
        ErrorName::RequestExpired => {
            "The server's clock and this device's differ too much. Set this device's clock and try again.".to_owned()
        }
        ErrorName::MachineKeyMismatch => format!(
            "{domain} knows this device's GUID with another key. If the state directory was restored or copied, use the one that joined; otherwise ask the operator to remove the machine."
        ),
        ErrorName::MachineNotTrusted => {
            "The server requires a certificate from a manufacturer that it trusts, and this device has none.".to_owned()
        }
        ErrorName::UnknownDomain => format!(
            "There is no domain {domain} on this server, and the server does not create domains by itself. Check the URL, or ask the operator."
        ),
        ErrorName::NotFound | ErrorName::MethodNotAllowed => {
            "There is no domain server at this URL. It should look like https://example.org/flashaccess/domainserver/living-room/".to_owned()
        }
        ErrorName::RequestReplayed => format!(
            "To the server, this request is from before the device joined {domain}: this device's clock is behind. Set it, or try again in a few minutes."
        ),
        ErrorName::PayloadTooLarge => {
            "The server found the request too large.".to_owned()
        }
        ErrorName::Internal => {
            "The server failed. Try again later; the reason is in the server's log.".to_owned()
        }
        ErrorName::RateLimited => {
            "A limit of the server has been reached. Try again later, or ask the operator.".to_owned()
        }
        ErrorName::StoreUnavailable => {
            "The server cannot reach its store. Try again later.".to_owned()
        }
        ErrorName::AdminAuthenticationRequired
        | ErrorName::AdminForbidden
        | ErrorName::PreconditionFailed => {
            "The server answered as if an operator had asked. Check the URL.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_sentence_and_keeps_its_name() {
        let domain = DomainName::parse("living-room").unwrap();
        for error in ErrorName::ALL {
            let text = sentence(&domain, &Problem::new(*error, "the detail"));
            assert!(text.ends_with(&format!("({error}: the detail)")), "{text}");
        }
    }
}
