use anonymous_domains_client::CommandError as _;
use anonymous_domains_device::{JoinOptions, error::DeviceError};
use anonymous_domains_protocol::problem::ErrorName;

use crate::{Setup, server::Mishap};

fn join(setup: &Setup) -> Result<Vec<u64>, DeviceError> {
    let joined = setup.device.join(&setup.url, JoinOptions::default())?;
    Ok(joined.membership.key_versions())
}

fn answer(status: u16) -> Mishap {
    Mishap::Answer(status, "Retry-After: soon", "<html>no</html>".to_owned())
}

#[test]
fn what_may_pass_is_tried_again() {
    for mishap in [
        Mishap::LostRequest,
        Mishap::LostAnswer,
        Mishap::problem(ErrorName::StoreUnavailable),
        answer(502),
        answer(503),
        answer(504),
    ] {
        let setup = Setup::new(3);
        setup.server.next([mishap.clone(), mishap]);
        assert_eq!(join(&setup).unwrap(), [1]);
        assert_eq!(setup.server.requests().len(), 3);
    }
}

#[test]
fn attempts_are_bounded() {
    let setup = Setup::new(3);
    setup.server.next(vec![Mishap::LostRequest; 3]);
    let error = join(&setup).unwrap_err();
    assert!(matches!(error, DeviceError::Unreachable(_)), "{error}");
    assert_eq!(setup.server.requests().len(), 3);

    let unavailable = Mishap::problem(ErrorName::StoreUnavailable);
    setup.server.next(vec![unavailable; 3]);
    let error = join(&setup).unwrap_err();
    assert!(error.is_refusal(ErrorName::StoreUnavailable), "{error}");
}

#[test]
fn refusals_are_final() {
    for error in ErrorName::ALL {
        if *error == ErrorName::StoreUnavailable {
            continue;
        }
        let setup = Setup::new(3);
        setup.server.next([Mishap::problem(*error)]);
        let refused = join(&setup).unwrap_err();
        assert!(refused.is_refusal(*error));
        assert_eq!(setup.server.requests().len(), 1, "{error}");
        assert!(!setup.is_kept());
    }
}

#[test]
fn what_is_no_domain_server_is_told_apart() {
    for (mishap, expected) in [
        (answer(200), "does not answer as a domain server does"),
        (answer(404), "(HTTP 404)"),
        (answer(500), "(HTTP 500)"),
        (
            Mishap::Answer(308, "Location: https://other/x", String::new()),
            "redirects to https://other/x",
        ),
    ] {
        let setup = Setup::new(3);
        setup.server.next([mishap]);
        let error = join(&setup).unwrap_err();
        assert!(matches!(error, DeviceError::UnusableAnswer(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(setup.server.requests().len(), 1);
    }
}
