//! Why a server could not be reached.

use std::io;

/// Whether a retry may succeed: after errors of the network, but not of TLS or this program.
pub fn may_pass(error: &ureq::Error) -> bool {
    match error {
        // rustls reports a certificate that is not trusted as invalid data.
        ureq::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BodyStalled
        | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Whether the request may have reached the server.
pub fn may_have_arrived(error: &ureq::Error) -> bool {
    !is_refused(error) && !matches!(error, ureq::Error::HostNotFound)
}

/// Whether nothing listens.
fn is_refused(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        error => matches!(error, ureq::Error::ConnectionFailed),
    }
}

/// The cause and what to do, for people.
pub fn cause(error: &ureq::Error) -> String {
    let text = match error {
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    // What TLS found is in the text alone.
    let advice = match error {
        error if is_refused(error) => {
            return "nothing listens there. Is the server running, and is this its port?"
                .to_owned();
        }
        ureq::Error::HostNotFound => {
            return "there is no host with that name. Check the URL.".to_owned();
        }
        ureq::Error::Timeout(_) => return format!("there was no answer in time ({text})."),
        ureq::Error::Protocol(_) => " Is this its port, or does it expect https://?",
        _ if text.contains("InvalidContentType") => " Is this its port, or does it expect http://?",
        _ if text.contains("UnknownIssuer") => {
            " If it has a CA of its own, name that CA's certificate with --tls-ca-file."
        }
        _ if text.contains("CaUsedAsEndEntity") => {
            " The server has a CA's certificate as its own: it needs one without CA:TRUE."
        }
        _ if text.starts_with("failed to lookup") => " Check the URL.",
        _ => "",
    };
    format!("{text}.{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_connection_nothing_arrived() {
        let io = |kind| ureq::Error::Io(io::Error::from(kind));
        for error in [
            io(io::ErrorKind::ConnectionRefused),
            ureq::Error::ConnectionFailed,
            ureq::Error::HostNotFound,
        ] {
            assert!(!may_have_arrived(&error), "{error}");
        }
        assert!(may_have_arrived(&io(io::ErrorKind::ConnectionReset)));
        assert!(may_have_arrived(&ureq::Error::BodyStalled));
    }

    #[test]
    fn a_cause_says_what_to_do() {
        let io = |kind, text: &str| ureq::Error::Io(io::Error::new(kind, text.to_owned()));
        for (error, told) in [
            (
                io(io::ErrorKind::ConnectionRefused, "no"),
                "is this its port?",
            ),
            (ureq::Error::ConnectionFailed, "is this its port?"),
            (ureq::Error::HostNotFound, "Check the URL."),
            (
                io(io::ErrorKind::Other, "failed to lookup x"),
                "Check the URL.",
            ),
            (
                io(io::ErrorKind::InvalidData, "type InvalidContentType"),
                "http://?",
            ),
            (
                io(io::ErrorKind::InvalidData, "UnknownIssuer"),
                "--tls-ca-file.",
            ),
            (
                io(io::ErrorKind::InvalidData, "(CaUsedAsEndEntity)"),
                "without CA:TRUE.",
            ),
            (io(io::ErrorKind::Other, "broken pipe"), "broken pipe."),
        ] {
            let text = cause(&error);
            assert!(text.ends_with(told), "{text}");
        }
    }
}
