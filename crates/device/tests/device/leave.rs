use anonymous_domains_client::CommandError as _;
use anonymous_domains_device::{Left, error::DeviceError, membership::Standing};
use anonymous_domains_protocol::problem::ErrorName;

use crate::{Setup, server::Mishap};

/// `deregister` and whether it was a preview, of each request.
fn previews(setup: &Setup) -> Vec<bool> {
    setup
        .server
        .requests()
        .iter()
        .filter(|(verb, _)| verb == "deregister")
        .map(|(_, payload)| payload["preview"].as_bool().unwrap())
        .collect()
}

fn assert_leaving(setup: &Setup) {
    let held = setup
        .device
        .state_directory()
        .membership(&setup.url)
        .unwrap()
        .unwrap();
    assert_eq!(held.standing, Standing::Leaving);
    assert!(held.credentials.is_empty());
}

#[test]
fn leaving_asks_first() {
    let setup = Setup::new(1);
    setup.join();
    assert_eq!(setup.device.leave(&setup.url, false).unwrap(), Left::Left);
    assert_eq!(previews(&setup), [true, false]);
    assert!(!setup.is_kept());
    assert!(setup.server.state().members.is_empty());
}

#[test]
fn a_preview_changes_nothing() {
    let setup = Setup::new(1);
    setup.join();
    assert_eq!(
        setup.device.leave(&setup.url, true).unwrap(),
        Left::MayLeave
    );
    assert_eq!(previews(&setup), [true]);
    assert_eq!(setup.verified(), [1]);
    assert_eq!(setup.server.state().members.len(), 1);
}

#[test]
fn a_refused_preview_keeps_everything() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.state().members.clear();
    let refused = setup.device.leave(&setup.url, false).unwrap_err();
    assert!(refused.is_refusal(ErrorName::DeregDenied));
    assert_eq!(previews(&setup), [true]);
    assert_eq!(setup.verified(), [1]);
    setup.device.forget(&setup.url).unwrap();
    assert!(!setup.is_kept());
}

#[test]
fn a_device_without_an_identity_has_nothing_to_leave() {
    let setup = Setup::new(1);
    let refused = setup.device.leave(&setup.url, false);
    assert!(matches!(refused, Err(DeviceError::Local(_))));
    assert!(setup.server.requests().is_empty());
}

#[test]
fn a_lost_second_request_is_finished_by_leaving_again() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.next([Mishap::None, Mishap::LostRequest]);
    let error = setup.device.leave(&setup.url, false).unwrap_err();
    assert!(matches!(error, DeviceError::LeaveUnfinished(_)), "{error}");
    assert!(error.to_string().ends_with("run leave again to finish."));
    assert_leaving(&setup);
    assert_eq!(setup.server.state().members.len(), 1);

    assert_eq!(setup.device.leave(&setup.url, false).unwrap(), Left::Left);
    assert_eq!(previews(&setup), [true, false, false]);
    assert!(!setup.is_kept());
    assert!(setup.server.state().members.is_empty());
}

#[test]
fn a_lost_second_answer_is_finished_by_leaving_again() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.next([Mishap::None, Mishap::LostAnswer]);
    assert!(setup.device.leave(&setup.url, false).is_err());
    assert_leaving(&setup);
    assert_eq!(
        setup.device.leave(&setup.url, false).unwrap(),
        Left::WasNoMember
    );
    assert!(!setup.is_kept());
}

#[test]
fn a_lost_second_answer_is_finished_by_the_retry() {
    let setup = Setup::new(3);
    setup.join();
    setup.server.next([Mishap::None, Mishap::LostAnswer]);
    assert_eq!(
        setup.device.leave(&setup.url, false).unwrap(),
        Left::WasNoMember
    );
    assert_eq!(previews(&setup), [true, false, false]);
    assert!(!setup.is_kept());
}

#[test]
fn a_refused_second_request_stays_unfinished() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.next([
        Mishap::None,
        Mishap::problem(ErrorName::DomAuthenticationRequired),
    ]);
    let error = setup.device.leave(&setup.url, false).unwrap_err();
    assert!(error.is_refusal(ErrorName::DomAuthenticationRequired));
    assert_leaving(&setup);
    assert_eq!(setup.device.leave(&setup.url, false).unwrap(), Left::Left);
}

#[test]
fn joining_again_ends_an_unfinished_leave() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.next([Mishap::None, Mishap::LostRequest]);
    assert!(setup.device.leave(&setup.url, false).is_err());
    assert_eq!(setup.join(), [1]);
    assert_eq!(setup.verified(), [1]);
    let requests = setup.server.requests();
    assert_eq!(requests.last().unwrap().1.get("currentDomain"), None);
}

#[test]
fn a_clock_behind_the_servers_does_not_keep_a_device_from_leaving() {
    let setup = Setup::new(1);
    setup.server.state().clock_ahead = 200;
    setup.join();
    assert_eq!(setup.device.leave(&setup.url, false).unwrap(), Left::Left);
}
