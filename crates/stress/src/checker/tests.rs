//! Histories made by hand: each check must find its own kind of violation, and nothing else.

mod builder;

use std::sync::Arc;

use anonymous_domains_protocol::problem::ErrorName;
use anonymous_domains_testkit::Guarantee;
use builder::{DENIED, HistoryBuilder, JOIN, LIMIT, keys, lost, members, registered};

use super::Rule;
use crate::history::{KeySeen, Outcome, Request};

#[test]
fn a_life_as_it_should_be() {
    HistoryBuilder::new()
        .add(1, JOIN, (0, 1), registered(true, 1))
        .add(1, JOIN, (2, 3), registered(false, 1))
        .add(2, JOIN, (2, 4), registered(true, 1))
        .add(1, Request::Preview, (5, 6), Outcome::Done)
        .add(1, Request::Leave, (7, 8), Outcome::Done)
        .add(1, Request::Preview, (9, 10), DENIED)
        .add(2, JOIN, (11, 12), registered(false, 2))
        .add(0, Request::Members, (13, 14), members(&[2]))
        .assert_valid();
}

#[test]
fn a_lost_member_is_seen() {
    let joined = || HistoryBuilder::new().add(1, JOIN, (0, 1), registered(true, 1));
    for history in [
        joined().add(1, Request::Preview, (2, 3), DENIED),
        joined().add(1, JOIN, (2, 3), registered(true, 1)),
        joined().add(1, JOIN, (2, 3), LIMIT),
        joined().add(0, Request::Members, (2, 3), members(&[])),
        // The leave started after the read had ended.
        joined()
            .add(1, Request::Preview, (2, 3), DENIED)
            .add(1, Request::Leave, (4, 5), lost(100)),
        // The lost leave can have no more effect after the machine registered again.
        joined()
            .add(1, Request::Leave, (2, 3), lost(10))
            .add(1, JOIN, (11, 12), registered(false, 1))
            .add(1, Request::Preview, (13, 14), Outcome::Done)
            .add(1, Request::Preview, (15, 16), DENIED),
    ] {
        assert_eq!(history.violated(), [Guarantee::Membership]);
    }
}

#[test]
fn a_member_that_never_joined_is_seen() {
    for history in [
        HistoryBuilder::new().add(1, JOIN, (0, 1), registered(false, 1)),
        HistoryBuilder::new().add(1, Request::Preview, (0, 1), Outcome::Done),
        HistoryBuilder::new().add(0, Request::Members, (0, 1), members(&[7])),
        // A refused registration made the machine a member.
        HistoryBuilder::new().add(1, JOIN, (0, 1), LIMIT).add(
            0,
            Request::Members,
            (2, 3),
            members(&[1]),
        ),
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(1, Request::Leave, (2, 3), Outcome::Done)
            .add(1, Request::Preview, (4, 5), Outcome::Done),
    ] {
        assert_eq!(history.violated(), [Guarantee::Membership]);
    }
}

#[test]
fn one_membership_ends_once() {
    let history = HistoryBuilder::new()
        .add(1, JOIN, (0, 1), registered(true, 1))
        .add(1, Request::Leave, (2, 5), Outcome::Done)
        .add(1, Request::Remove, (3, 6), Outcome::Done);
    assert_eq!(history.violated(), [Guarantee::Membership]);
}

#[test]
fn lost_answers_may_mean_both() {
    let joined = || HistoryBuilder::new().add(1, JOIN, (0, 1), registered(true, 1));
    joined()
        .add(1, Request::Leave, (2, 3), lost(100))
        .add(1, JOIN, (4, 5), registered(false, 1))
        .add(1, Request::Preview, (6, 7), DENIED)
        .assert_valid();
    joined()
        .add(1, Request::Leave, (2, 3), lost(100))
        .add(1, JOIN, (4, 5), registered(true, 2))
        .add(1, Request::Preview, (6, 7), Outcome::Done)
        .assert_valid();
    HistoryBuilder::new()
        .add(1, JOIN, (0, 1), lost(100))
        .add(1, JOIN, (2, 3), registered(false, 1))
        .assert_valid();
    // One lost leave removes a machine only once.
    let history = joined()
        .add(1, Request::Leave, (2, 3), lost(100))
        .add(1, JOIN, (4, 5), registered(true, 2))
        .add(1, JOIN, (6, 7), registered(true, 3));
    assert_eq!(history.violated(), [Guarantee::Membership]);
}

#[test]
fn what_is_under_way_together_may_be_in_any_order() {
    HistoryBuilder::new()
        .add(1, JOIN, (0, 1), registered(true, 1))
        .add(1, JOIN, (2, 10), registered(true, 2))
        .add(1, Request::Remove, (3, 9), Outcome::Done)
        .add(0, Request::Members, (4, 8), members(&[]))
        .add(1, Request::Preview, (11, 12), Outcome::Done)
        .assert_valid();
}

#[test]
fn two_keys_for_one_version_are_seen() {
    let other: Arc<[KeySeen]> = [KeySeen { version: 1, key: 7 }].into();
    let second = |keys| Outcome::Registered {
        new_member: true,
        newest: 1,
        keys,
    };
    let history = HistoryBuilder::new()
        .add(1, JOIN, (0, 5), registered(true, 1))
        .add(2, JOIN, (0, 5), second(Arc::clone(&other)));
    assert_eq!(history.violated(), [Guarantee::KeyVersions]);
    let history = HistoryBuilder::new()
        .add(1, JOIN, (0, 5), registered(true, 1))
        .add(0, Request::Keys, (6, 7), Outcome::Keys(other));
    assert_eq!(history.violated(), [Guarantee::KeyVersions]);
    let described = Outcome::Described(Some(KeySeen { version: 1, key: 7 }));
    let history = HistoryBuilder::new()
        .add(1, JOIN, (0, 5), registered(true, 1))
        .add(0, Request::Describe, (6, 7), described);
    assert_eq!(history.violated(), [Guarantee::KeyVersions]);
}

#[test]
fn one_key_for_two_versions_is_seen() {
    let keys = [1, 2].map(|version| KeySeen { version, key: 7 });
    let outcome = Outcome::Registered {
        new_member: false,
        newest: 2,
        keys: keys.into(),
    };
    let history = HistoryBuilder::new()
        .add(1, JOIN, (0, 1), registered(true, 1))
        .add(1, Request::Rollover, (2, 3), Outcome::Done)
        .add(1, JOIN, (4, 5), outcome);
    assert!(history.violated().contains(&Guarantee::KeyVersions));
}

#[test]
fn a_gap_is_seen() {
    let gap: Arc<[KeySeen]> = keys(3).iter().copied().filter(|k| k.version != 2).collect();
    let outcome = |keys, newest| Outcome::Registered {
        new_member: true,
        newest,
        keys,
    };
    let causes = || {
        HistoryBuilder::new()
            .add(0, Request::Rollover, (0, 90), lost(90))
            .add(0, Request::Rollover, (0, 90), lost(90))
    };
    let known = Request::Register { known: Some(1) };
    for history in [
        causes().add(1, JOIN, (0, 1), outcome(Arc::clone(&gap), 3)),
        causes().add(0, Request::Keys, (0, 1), Outcome::Keys(gap)),
        // Not the versions that were asked for, or not all of them.
        causes().add(1, known.clone(), (0, 1), registered(true, 2)),
        causes().add(1, JOIN, (0, 1), outcome(keys(1), 2)),
        causes().add(1, JOIN, (0, 1), outcome(keys(0), 0)),
    ] {
        assert_eq!(history.violated(), [Guarantee::KeyVersions]);
    }
    let above_1: Arc<[KeySeen]> = keys(2)[1..].into();
    causes()
        .add(1, known, (0, 1), outcome(above_1, 2))
        .assert_valid();
}

#[test]
fn a_version_that_was_forgotten_is_seen() {
    let history = || {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(0, Request::Rollover, (2, 3), Outcome::Done)
            .add(1, JOIN, (4, 5), registered(false, 2))
    };
    let none = Outcome::Refused(ErrorName::UnknownDomain);
    let old = Outcome::Described(Some(keys(1)[0]));
    for outcome in [Outcome::Described(None), old, none] {
        let history = history().add(0, Request::Describe, (6, 7), outcome);
        assert_eq!(history.violated(), [Guarantee::KeyVersions]);
    }
    let shown = Outcome::Shown {
        members: 1,
        newest: Some(1),
    };
    // A concurrent answer may be older.
    history()
        .add(0, Request::Show, (4, 7), shown.clone())
        .assert_valid();
    let history = history().add(0, Request::Show, (6, 7), shown);
    assert_eq!(history.violated(), [Guarantee::KeyVersions]);
}

#[test]
fn a_registration_after_a_departure_without_a_newer_key_is_seen() {
    let joined = || {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(2, JOIN, (2, 3), registered(true, 1))
    };
    for (who, what) in [
        (1, Request::Leave),
        (1, Request::Remove),
        (0, Request::Rollover),
    ] {
        let history = || joined().add(who, what.clone(), (4, 5), Outcome::Done);
        let late = history().add(2, JOIN, (6, 7), registered(false, 1));
        assert_eq!(late.violated(), [Guarantee::Rollover], "{what:?}");
        history()
            .add(2, JOIN, (6, 7), registered(false, 2))
            .assert_valid();
        // Sent before the departure was answered.
        history()
            .add(2, JOIN, (4, 7), registered(false, 1))
            .assert_valid();
    }
}

#[test]
fn a_departure_whose_answer_was_lost_counts_when_it_shows() {
    let left = || {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(2, JOIN, (2, 3), registered(true, 1))
            .add(1, Request::Leave, (4, 5), lost(6))
    };
    // Whether it left is unknown.
    left()
        .add(2, JOIN, (7, 8), registered(false, 1))
        .assert_valid();
    let history =
        left()
            .add(1, Request::Preview, (7, 8), DENIED)
            .add(2, JOIN, (9, 10), registered(false, 1));
    assert_eq!(history.violated(), [Guarantee::Rollover]);
}

#[test]
fn a_departure_without_an_answer_may_be_finished_by_a_later_request() {
    let left = || {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(1, Request::Leave, (2, 3), lost(4))
            .add(1, Request::Preview, (5, 6), Outcome::Done)
    };
    left()
        .add(1, JOIN, (7, 8), registered(true, 2))
        .assert_valid();
    // A request that was answered since has finished it.
    let history = left()
        .add(1, JOIN, (7, 8), registered(false, 1))
        .add(1, Request::Preview, (9, 10), Outcome::Done)
        .add(1, Request::Preview, (11, 12), DENIED);
    assert_eq!(history.violated(), [Guarantee::Membership]);
}

#[test]
fn a_key_without_a_cause_is_seen() {
    let history = || HistoryBuilder::new().add(1, JOIN, (0, 1), registered(true, 1));
    let two = history().add(2, JOIN, (2, 3), registered(true, 2));
    assert_eq!(two.violated(), [Guarantee::SingleFlight]);
    // A departure may cause two keys, one before it and one after.
    history()
        .add(1, Request::Leave, (2, 3), Outcome::Done)
        .add(2, JOIN, (4, 5), registered(true, 3))
        .assert_valid();
    let four = history().add(1, Request::Leave, (2, 3), Outcome::Done).add(
        2,
        JOIN,
        (4, 5),
        registered(true, 4),
    );
    assert_eq!(four.violated(), [Guarantee::SingleFlight]);
}

#[test]
fn more_members_than_the_maximum_are_seen() {
    let maximum =
        |number| HistoryBuilder::new().add(0, Request::SetMaximum(number), (0, 1), Outcome::Done);
    let join = |history: HistoryBuilder, number: u8, times| {
        let newest = 1;
        history.add(number, JOIN, times, registered(true, newest))
    };
    // One after another, and all at once.
    for times in [[(2, 3), (4, 5), (6, 7)], [(2, 20), (3, 21), (4, 22)]] {
        let full = join(join(maximum(Some(2)), 1, times[0]), 2, times[1]);
        full.assert_valid();
        assert_eq!(join(full, 3, times[2]).violated(), [Guarantee::Maximum]);
        let mut all = maximum(None);
        for (number, times) in (1..).zip(times) {
            all = join(all, number, times);
        }
        all.assert_valid();
    }
}

#[test]
fn a_maximum_counts_from_its_answer_on() {
    let three = || {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(2, JOIN, (2, 3), registered(true, 1))
            .add(3, JOIN, (4, 5), registered(true, 1))
    };
    let set = |history: HistoryBuilder, times| {
        history.add(0, Request::SetMaximum(Some(2)), times, Outcome::Done)
    };
    // Existing members stay.
    set(three(), (6, 7)).assert_valid();
    let late = set(three(), (6, 7)).add(4, JOIN, (8, 9), registered(true, 1));
    assert_eq!(late.violated(), [Guarantee::Maximum]);
    set(three(), (6, 9))
        .add(4, JOIN, (8, 10), registered(true, 1))
        .assert_valid();
    // A lost request to lift the maximum may have taken effect.
    set(three(), (6, 7))
        .add(0, Request::SetMaximum(None), (8, 9), lost(20))
        .add(4, JOIN, (10, 11), registered(true, 1))
        .assert_valid();
    // A member may have left.
    set(three(), (6, 7))
        .add(1, Request::Remove, (8, 9), lost(100))
        .add(2, Request::Remove, (8, 9), lost(100))
        .add(4, JOIN, (10, 11), registered(true, 2))
        .assert_valid();
}

#[test]
fn a_wrong_count_is_seen() {
    let count = |members: u64| Outcome::Shown {
        members,
        newest: Some(1),
    };
    let history = |number| {
        HistoryBuilder::new()
            .add(1, JOIN, (0, 1), registered(true, 1))
            .add(0, Request::Members, (2, 3), members(&[1]))
            .add(0, Request::Show, (4, 5), count(number))
            .add(0, Request::Members, (6, 7), members(&[1]))
    };
    history(1).assert_valid();
    assert_eq!(history(2).violated(), [Guarantee::Recovery]);
    // A machine may have joined and left.
    history(2)
        .add(2, JOIN, (3, 4), lost(5))
        .add(2, Request::Remove, (3, 5), lost(6))
        .assert_valid();
}

#[test]
fn answers_that_nobody_may_get_are_seen() {
    for (request, outcome) in [
        (JOIN, Outcome::Wrong("it is for another machine".to_owned())),
        (JOIN, Outcome::Refused(ErrorName::RequestReplayed)),
        (Request::RegisterExpired, registered(true, 1)),
        (Request::RegisterElsewhere, registered(true, 1)),
        (Request::LeaveExpired, Outcome::Done),
        (Request::LeaveExpired, DENIED),
        (Request::Remove, DENIED),
    ] {
        let history = HistoryBuilder::new().add(1, request, (0, 1), outcome);
        assert_eq!(history.broken_rules(), [Rule::Protocol]);
    }
    HistoryBuilder::new()
        .add(1, JOIN, (0, 1), Outcome::NotSent)
        .add(1, JOIN, (2, 3), lost(9))
        .assert_valid();
}
