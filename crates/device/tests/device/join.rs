use anonymous_domains_device::{JoinOptions, Left, error::DeviceError};
use anonymous_domains_protocol::{
    base64url,
    jwk::{KeyType, PrivateKey},
};
use serde_json::{Value, json};

use crate::{
    Setup,
    ca::{Ca, Flaw},
    device,
    server::State,
};

const UPDATE: JoinOptions = JoinOptions {
    key_type: None,
    update: true,
};

#[test]
fn two_devices_join_and_one_comes_back() {
    let setup = Setup::new(1);
    let other = tempfile::tempdir().unwrap();
    let other = device(&other, 1);
    assert_eq!(setup.join(), [1]);
    assert_eq!(setup.verified(), [1]);
    assert_eq!(setup.join(), [1]);
    let joined = other.join(&setup.url, JoinOptions::default()).unwrap();
    assert!(joined.new_member);
    assert_eq!(joined.membership.key_versions(), [1]);
    assert_eq!(
        setup.device.leave(&setup.url, true).unwrap(),
        Left::MayLeave
    );
    assert_eq!(setup.verified(), [1]);
    assert_eq!(setup.device.leave(&setup.url, false).unwrap(), Left::Left);
    assert!(!setup.is_kept());
    assert_eq!(setup.join(), [1, 2]);
    assert_eq!(setup.verified(), [1, 2]);
}

#[test]
fn an_rsa_machine_joins_too_and_keeps_its_kind() {
    let setup = Setup::new(1);
    let with = |key_type| {
        let options = JoinOptions {
            key_type,
            update: false,
        };
        setup.device.join(&setup.url, options)
    };
    assert!(with(Some(KeyType::Rsa2048)).is_ok());
    assert_eq!(setup.verified(), [1]);
    assert!(with(Some(KeyType::Rsa2048)).is_ok());
    assert!(with(None).is_ok());
    let refused = with(Some(KeyType::EcP256));
    assert!(matches!(refused, Err(DeviceError::Usage(_))));
}

#[test]
fn the_current_domain_is_told_and_all_versions_are_asked_for() {
    let setup = Setup::new(1);
    setup.join();
    setup.join();
    let requests = setup.server.requests();
    assert_eq!(requests[0].1.get("currentDomain"), None);
    assert_eq!(requests[1].1["currentDomain"], "living-room");
    assert_eq!(requests[1].1.get("knownKeyVersion"), None);
}

#[test]
fn an_update_asks_for_new_versions_alone() {
    let setup = Setup::new(1);
    let update = || setup.device.join(&setup.url, UPDATE).unwrap();
    assert_eq!(update().membership.key_versions(), [1]);
    assert_eq!(update().membership.key_versions(), [1]);
    setup.server.state().rollover = true;
    assert_eq!(update().membership.key_versions(), [1, 2]);
    assert_eq!(setup.verified(), [1, 2]);
    let known: Vec<_> = setup
        .server
        .requests()
        .iter()
        .map(|(_, payload)| payload["knownKeyVersion"].clone())
        .collect();
    assert_eq!(known, [json!(null), json!(1), json!(1)]);
}

#[test]
fn an_update_of_a_domain_that_was_created_again_takes_everything() {
    let setup = Setup::new(1);
    setup.join();
    setup.server.state().rollover = true;
    assert_eq!(setup.join(), [1, 2]);
    {
        let mut state = setup.server.state();
        state.members.clear();
        state.keys.clear();
        state.rollover = true;
        state.clock_ahead = 60;
    }
    let before = private_keys(&setup);
    let joined = setup.device.join(&setup.url, UPDATE).unwrap();
    assert!(
        joined.new_member,
        "the first of the two requests made it one"
    );
    assert_eq!(joined.membership.key_versions(), [1]);
    assert_ne!(private_keys(&setup)[0], before[0]);
    assert_eq!(setup.verified(), [1]);
}

#[test]
fn an_update_of_a_domain_that_was_created_again_within_a_second_takes_everything() {
    let setup = Setup::new(1);
    setup.join();
    {
        let mut state = setup.server.state();
        state.members.clear();
        state.keys.clear();
        state.rollover = true;
    }
    let before = private_keys(&setup);
    let joined = setup.device.join(&setup.url, UPDATE).unwrap();
    assert_eq!(joined.membership.key_versions(), [1]);
    assert_ne!(private_keys(&setup), before);
}

#[test]
fn later_versions_are_kept_when_the_server_has_an_older_state() {
    for options in [JoinOptions::default(), UPDATE] {
        let setup = Setup::new(1);
        let other = tempfile::tempdir().unwrap();
        let other = device(&other, 1);
        let join = || setup.device.join(&setup.url, options).unwrap();
        for _ in 0..4 {
            setup.server.state().rollover = true;
            join();
        }
        let keys = private_keys(&setup);
        setup.server.state().keys.truncate(1);
        let joined = join();
        assert_eq!(joined.membership.key_versions(), [1, 2, 3, 4]);
        assert_eq!(joined.warnings.len(), 3, "{:?}", joined.warnings);
        let warning = "version 2: kept, although the server no longer has it";
        assert_eq!(joined.warnings[0], warning);
        assert_eq!(private_keys(&setup), keys);
        assert_eq!(setup.verified(), [1, 2, 3, 4]);

        // What the server makes again takes the place of what it had.
        for newest in 2..=4 {
            setup.server.state().rollover = true;
            if newest == 3 {
                // The device does not ask between this one and the next.
                other.join(&setup.url, JoinOptions::default()).unwrap();
                continue;
            }
            assert_eq!(join().membership.key_versions(), [1, 2, 3, 4]);
            let now = private_keys(&setup);
            for (version, (now, before)) in (1..).zip(now.iter().zip(&keys)) {
                let is_made_again = version > 1 && version <= newest;
                assert_eq!(now != before, is_made_again, "{version} of {newest}");
            }
        }
        assert_eq!(setup.verified(), [1, 2, 3, 4]);
    }
}

fn private_keys(setup: &Setup) -> Vec<String> {
    let held = setup
        .device
        .state_directory()
        .membership(&setup.url)
        .unwrap();
    let keys = held.unwrap().credentials;
    keys.iter()
        .map(|held| held.private_key.to_string())
        .collect()
}

#[test]
fn the_first_ca_stays_trusted_and_another_can_be_trusted() {
    let mut setup = Setup::new(1);
    setup.join();
    let before = private_keys(&setup);
    let certificate = {
        let mut state = setup.server.state();
        state.ca = Ca::new();
        state.keys.clear();
        state.rollover = true;
        state.ca.certificate.clone()
    };
    let refused = setup.device.join(&setup.url, JoinOptions::default());
    assert!(matches!(refused, Err(DeviceError::Untrusted(_))));
    assert_eq!(private_keys(&setup), before);

    setup.device = device(&setup.directory, 1).trusting(vec![certificate]);
    assert_eq!(setup.join(), [1]);
    setup.restarted(1);
    assert_eq!(setup.verified(), [1]);
    assert_eq!(setup.join(), [1]);
}

#[test]
fn between_two_cas_both_are_trusted_at_the_first_join() {
    let setup = Setup::new(1);
    setup.join();
    {
        let mut state = setup.server.state();
        state.ca = Ca::new();
        state.rollover = true;
    }
    setup.device.forget(&setup.url).unwrap();
    assert_eq!(setup.join(), [1, 2]);
    assert_eq!(setup.verified(), [1, 2]);
    // And they stay so.
    setup.server.state().rollover = true;
    assert_eq!(setup.join(), [1, 2, 3]);
}

#[test]
fn a_ca_that_is_not_trusted_is_refused_at_the_first_join_and_by_verify() {
    let mut setup = Setup::new(1);
    let other = Ca::new().certificate;
    setup.device = device(&setup.directory, 1).trusting(vec![other.clone()]);
    let refused = setup.device.join(&setup.url, JoinOptions::default());
    assert!(matches!(refused, Err(DeviceError::Untrusted(_))));
    assert!(!setup.is_kept());

    setup.restarted(1);
    setup.join();
    setup.device = device(&setup.directory, 1).trusting(vec![other]);
    let verification = setup.device.verify(None).unwrap().remove(0);
    assert!(verification.faults[0].contains("does not end at the domain CA"));
}

#[test]
fn certificates_that_depart_from_the_profile_are_refused() {
    for (flaw, expected) in [
        (Flaw::IsCa, "basic constraints"),
        (Flaw::NoKeyUsage, "key usage"),
        (Flaw::MaySignCertificates, "key usage"),
        (Flaw::OtherName, "subject"),
        (Flaw::OtherSan, "subject alternative name"),
        (Flaw::OtherVersionInSan, "subject alternative name"),
    ] {
        let setup = Setup::new(1);
        setup.server.state().flaw = Some(flaw);
        let Err(DeviceError::Untrusted(why)) =
            setup.device.join(&setup.url, JoinOptions::default())
        else {
            panic!("{flaw:?}");
        };
        let expected = format!("the certificate's {expected} does not match the protocol.");
        assert!(why.ends_with(&expected), "{flaw:?}: {why}");
        assert!(!setup.is_kept());
    }
}

#[test]
fn an_expired_certificate_is_kept_with_a_warning_and_found_by_verify() {
    let setup = Setup::new(1);
    setup.server.state().flaw = Some(Flaw::Expired);
    let joined = setup
        .device
        .join(&setup.url, JoinOptions::default())
        .unwrap();
    assert!(
        joined.warnings[0].contains("expired at"),
        "{:?}",
        joined.warnings
    );
    let verification = setup.device.verify(None).unwrap().remove(0);
    assert_eq!(verification.faults, joined.warnings);
}

#[test]
fn answers_that_do_not_hold_together_are_refused() {
    type Tamper = fn(&mut Value, &mut Value);
    let tampers: [(&str, Tamper); 13] = [
        ("another domain", |answer, _| {
            answer["domain"] = "other".into()
        }),
        ("another machine", |answer, _| {
            answer["machineGuid"] = "0d4f3a52-6f0e-4a8e-9d6a-2f1d1c2b3a4f".into();
        }),
        ("another newest version", |answer, _| {
            answer["keyVersion"] = 2.into()
        }),
        ("version 0", |answer, _| {
            answer["keyVersion"] = 0.into();
            answer["credentials"][0]["keyVersion"] = 0.into();
        }),
        ("nothing", |answer, keys| {
            answer["credentials"] = json!([]);
            keys["keys"] = json!([]);
        }),
        ("no private key", |_, keys| keys["keys"] = json!([])),
        ("another private key", |_, keys| {
            let jwk = PrivateKey::generate(KeyType::EcP256).to_jwk();
            let jwk: Value = serde_json::from_str(&jwk).unwrap();
            for name in ["x", "y", "d"] {
                keys["keys"][0][name] = jwk[name].clone();
            }
        }),
        ("half another private key", |_, keys| {
            keys["keys"][0]["d"] = base64url::encode(&[1; 32]).into();
        }),
        ("another kid", |_, keys| {
            keys["keys"][0]["kid"] = "living-room/2".into()
        }),
        ("another kid in both", |answer, keys| {
            answer["credentials"][0]["kid"] = "other/1".into();
            keys["keys"][0]["kid"] = "other/1".into();
        }),
        ("another chain", |_, keys| {
            keys["keys"][0]["x5c"] = json!([])
        }),
        ("another date", |answer, _| {
            answer["credentials"][0]["notAfter"] = "2099-01-01T00:00:00Z".into();
        }),
        ("no CA in the chain", |answer, _| {
            let leaf = answer["credentials"][0]["x5c"][0].clone();
            answer["credentials"][0]["x5c"] = json!([leaf]);
        }),
    ];
    for (name, tamper) in tampers {
        let setup = Setup::new(1);
        setup.server.state().tamper = Some(tamper);
        let refused = setup.device.join(&setup.url, JoinOptions::default());
        assert!(matches!(refused, Err(DeviceError::Untrusted(_))), "{name}");
        assert!(!setup.is_kept(), "{name}");
    }
}

#[test]
fn a_chain_without_its_ca_is_accepted_where_the_ca_is_trusted() {
    let mut setup = Setup::new(1);
    let certificate = {
        let mut state: std::sync::MutexGuard<'_, State> = setup.server.state();
        state.tamper = Some(|answer, _| {
            let leaf = answer["credentials"][0]["x5c"][0].clone();
            answer["credentials"][0]["x5c"] = json!([leaf]);
        });
        state.ca.certificate.clone()
    };
    setup.device = device(&setup.directory, 1).trusting(vec![certificate]);
    assert_eq!(setup.join(), [1]);
    assert_eq!(setup.verified(), [1]);
}

#[test]
fn a_private_key_may_repeat_its_credentials_chain() {
    let setup = Setup::new(1);
    setup.server.state().tamper = Some(|answer, keys| {
        keys["keys"][0]["x5c"] = answer["credentials"][0]["x5c"].clone();
    });
    assert_eq!(setup.join(), [1]);
}

#[test]
fn verify_finds_a_key_that_was_swapped() {
    let setup = Setup::new(1);
    setup.join();
    let mut held = setup
        .device
        .state_directory()
        .membership(&setup.url)
        .unwrap()
        .unwrap();
    held.credentials[0].private_key = PrivateKey::generate(KeyType::EcP256).to_pkcs8_pem();
    setup
        .device
        .state_directory()
        .save(&setup.url, &held)
        .unwrap();
    let verification = setup.device.verify(None).unwrap().remove(0);
    assert_eq!(
        verification.faults,
        ["version 1: the private key does not fit the certificate"]
    );
}
