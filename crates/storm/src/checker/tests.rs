//! Histories made by hand: each of the checks must see what it is for, and nothing else.

mod story;

use super::Promise;
use crate::history::{KeySeen, Outcome, Request};
use anonymous_domains_protocol::problem::ErrorName;
use std::sync::Arc;
use story::{DENIED, JOIN, LIMIT, Story, keys, lost, members, registered};

#[test]
fn a_life_as_it_should_be() {
    Story::new()
        .tell(1, JOIN, (0, 1), registered(true, 1))
        .tell(1, JOIN, (2, 3), registered(false, 1))
        .tell(2, JOIN, (2, 4), registered(true, 1))
        .tell(1, Request::Preview, (5, 6), Outcome::Done)
        .tell(1, Request::Leave, (7, 8), Outcome::Done)
        .tell(1, Request::Preview, (9, 10), DENIED)
        .tell(2, JOIN, (11, 12), registered(false, 2))
        .tell(0, Request::Members, (13, 14), members(&[2]))
        .holds();
}

#[test]
fn a_lost_member_is_seen() {
    let joined = || Story::new().tell(1, JOIN, (0, 1), registered(true, 1));
    for story in [
        joined().tell(1, Request::Preview, (2, 3), DENIED),
        joined().tell(1, JOIN, (2, 3), registered(true, 1)),
        joined().tell(1, JOIN, (2, 3), LIMIT),
        joined().tell(0, Request::Members, (2, 3), members(&[])),
        // The leave began after the look had ended.
        joined().tell(1, Request::Preview, (2, 3), DENIED).tell(
            1,
            Request::Leave,
            (4, 5),
            lost(100),
        ),
        // What was under way ended before the machine joined again.
        joined()
            .tell(1, Request::Leave, (2, 3), lost(10))
            .tell(1, JOIN, (11, 12), registered(false, 1))
            .tell(1, Request::Preview, (13, 14), DENIED),
    ] {
        assert_eq!(story.broken(), [Promise::Membership]);
    }
}

#[test]
fn a_member_that_never_joined_is_seen() {
    for story in [
        Story::new().tell(1, JOIN, (0, 1), registered(false, 1)),
        Story::new().tell(1, Request::Preview, (0, 1), Outcome::Done),
        Story::new().tell(0, Request::Members, (0, 1), members(&[7])),
        // A refused registration made it one.
        Story::new()
            .tell(1, JOIN, (0, 1), LIMIT)
            .tell(0, Request::Members, (2, 3), members(&[1])),
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(1, Request::Leave, (2, 3), Outcome::Done)
            .tell(1, Request::Preview, (4, 5), Outcome::Done),
    ] {
        assert_eq!(story.broken(), [Promise::Membership]);
    }
}

#[test]
fn one_membership_ends_once() {
    let story = Story::new()
        .tell(1, JOIN, (0, 1), registered(true, 1))
        .tell(1, Request::Leave, (2, 5), Outcome::Done)
        .tell(1, Request::Remove, (3, 6), Outcome::Done);
    assert_eq!(story.broken(), [Promise::Membership]);
}

#[test]
fn lost_answers_may_mean_both() {
    let joined = || Story::new().tell(1, JOIN, (0, 1), registered(true, 1));
    joined()
        .tell(1, Request::Leave, (2, 3), lost(100))
        .tell(1, JOIN, (4, 5), registered(false, 1))
        .tell(1, Request::Preview, (6, 7), DENIED)
        .holds();
    joined()
        .tell(1, Request::Leave, (2, 3), lost(100))
        .tell(1, JOIN, (4, 5), registered(true, 2))
        .tell(1, Request::Preview, (6, 7), Outcome::Done)
        .holds();
    Story::new()
        .tell(1, JOIN, (0, 1), lost(100))
        .tell(1, JOIN, (2, 3), registered(false, 1))
        .holds();
    // One lost leave takes a machine out once.
    let story = joined()
        .tell(1, Request::Leave, (2, 3), lost(100))
        .tell(1, JOIN, (4, 5), registered(true, 2))
        .tell(1, JOIN, (6, 7), registered(true, 3));
    assert_eq!(story.broken(), [Promise::Membership]);
}

#[test]
fn what_is_under_way_together_may_be_in_any_order() {
    Story::new()
        .tell(1, JOIN, (0, 1), registered(true, 1))
        .tell(1, JOIN, (2, 10), registered(true, 2))
        .tell(1, Request::Remove, (3, 9), Outcome::Done)
        .tell(0, Request::Members, (4, 8), members(&[]))
        .tell(1, Request::Preview, (11, 12), Outcome::Done)
        .holds();
}

#[test]
fn two_keys_for_one_version_are_seen() {
    let other: Arc<[KeySeen]> = [KeySeen { version: 1, key: 7 }].into();
    let second = |keys| Outcome::Registered {
        new_member: true,
        newest: 1,
        keys,
    };
    let story = Story::new()
        .tell(1, JOIN, (0, 5), registered(true, 1))
        .tell(2, JOIN, (0, 5), second(Arc::clone(&other)));
    assert_eq!(story.broken(), [Promise::Versions]);
    let story = Story::new()
        .tell(1, JOIN, (0, 5), registered(true, 1))
        .tell(0, Request::Keys, (6, 7), Outcome::Keys(other));
    assert_eq!(story.broken(), [Promise::Versions]);
    let described = Outcome::Described(Some(KeySeen { version: 1, key: 7 }));
    let story = Story::new()
        .tell(1, JOIN, (0, 5), registered(true, 1))
        .tell(0, Request::Describe, (6, 7), described);
    assert_eq!(story.broken(), [Promise::Versions]);
}

#[test]
fn one_key_for_two_versions_is_seen() {
    let keys = [1, 2].map(|version| KeySeen { version, key: 7 });
    let outcome = Outcome::Registered {
        new_member: false,
        newest: 2,
        keys: keys.into(),
    };
    let story = Story::new()
        .tell(1, JOIN, (0, 1), registered(true, 1))
        .tell(1, Request::Rollover, (2, 3), Outcome::Done)
        .tell(1, JOIN, (4, 5), outcome);
    assert!(story.broken().contains(&Promise::Versions));
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
        Story::new()
            .tell(0, Request::Rollover, (0, 90), lost(90))
            .tell(0, Request::Rollover, (0, 90), lost(90))
    };
    let known = Request::Register { known: Some(1) };
    for story in [
        causes().tell(1, JOIN, (0, 1), outcome(Arc::clone(&gap), 3)),
        causes().tell(0, Request::Keys, (0, 1), Outcome::Keys(gap)),
        // Not what was asked for, or not to the end.
        causes().tell(1, known.clone(), (0, 1), registered(true, 2)),
        causes().tell(1, JOIN, (0, 1), outcome(keys(1), 2)),
        causes().tell(1, JOIN, (0, 1), outcome(keys(0), 0)),
    ] {
        assert_eq!(story.broken(), [Promise::Versions]);
    }
    let above_1: Arc<[KeySeen]> = keys(2)[1..].into();
    causes().tell(1, known, (0, 1), outcome(above_1, 2)).holds();
}

#[test]
fn a_version_that_was_forgotten_is_seen() {
    let story = || {
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(0, Request::Rollover, (2, 3), Outcome::Done)
            .tell(1, JOIN, (4, 5), registered(false, 2))
    };
    let none = Outcome::Refused(ErrorName::UnknownDomain);
    let old = Outcome::Described(Some(keys(1)[0]));
    for outcome in [Outcome::Described(None), old, none] {
        let story = story().tell(0, Request::Describe, (6, 7), outcome);
        assert_eq!(story.broken(), [Promise::Versions]);
    }
    let shown = Outcome::Shown {
        members: 1,
        newest: Some(1),
    };
    // Under way together, it may be older.
    story()
        .tell(0, Request::Show, (4, 7), shown.clone())
        .holds();
    let story = story().tell(0, Request::Show, (6, 7), shown);
    assert_eq!(story.broken(), [Promise::Versions]);
}

#[test]
fn a_registration_after_a_departure_without_a_newer_key_is_seen() {
    let joined = || {
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(2, JOIN, (2, 3), registered(true, 1))
    };
    for (who, what) in [
        (1, Request::Leave),
        (1, Request::Remove),
        (0, Request::Rollover),
    ] {
        let story = || joined().tell(who, what.clone(), (4, 5), Outcome::Done);
        let late = story().tell(2, JOIN, (6, 7), registered(false, 1));
        assert_eq!(late.broken(), [Promise::Rollover], "{what:?}");
        story().tell(2, JOIN, (6, 7), registered(false, 2)).holds();
        // Sent before the departure was answered.
        story().tell(2, JOIN, (4, 7), registered(false, 1)).holds();
    }
}

#[test]
fn a_departure_whose_answer_was_lost_counts_when_it_shows() {
    let left = || {
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(2, JOIN, (2, 3), registered(true, 1))
            .tell(1, Request::Leave, (4, 5), lost(6))
    };
    // Nobody knows whether it left.
    left().tell(2, JOIN, (7, 8), registered(false, 1)).holds();
    let story = left().tell(1, Request::Preview, (7, 8), DENIED).tell(
        2,
        JOIN,
        (9, 10),
        registered(false, 1),
    );
    assert_eq!(story.broken(), [Promise::Rollover]);
}

#[test]
fn a_key_without_a_cause_is_seen() {
    let story = || Story::new().tell(1, JOIN, (0, 1), registered(true, 1));
    let two = story().tell(2, JOIN, (2, 3), registered(true, 2));
    assert_eq!(two.broken(), [Promise::SingleFlight]);
    // A departure counts before and after.
    story()
        .tell(1, Request::Leave, (2, 3), Outcome::Done)
        .tell(2, JOIN, (4, 5), registered(true, 3))
        .holds();
    let four = story().tell(1, Request::Leave, (2, 3), Outcome::Done).tell(
        2,
        JOIN,
        (4, 5),
        registered(true, 4),
    );
    assert_eq!(four.broken(), [Promise::SingleFlight]);
}

#[test]
fn more_members_than_the_maximum_are_seen() {
    let maximum = |number| Story::new().tell(0, Request::SetMaximum(number), (0, 1), Outcome::Done);
    let join = |story: Story, number: u8, times| {
        let newest = 1;
        story.tell(number, JOIN, times, registered(true, newest))
    };
    // One after the other, and all at once.
    for times in [[(2, 3), (4, 5), (6, 7)], [(2, 20), (3, 21), (4, 22)]] {
        let full = join(join(maximum(Some(2)), 1, times[0]), 2, times[1]);
        full.holds();
        assert_eq!(join(full, 3, times[2]).broken(), [Promise::Maximum]);
        let mut all = maximum(None);
        for (number, times) in (1..).zip(times) {
            all = join(all, number, times);
        }
        all.holds();
    }
}

#[test]
fn a_maximum_counts_from_its_answer_on() {
    let three = || {
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(2, JOIN, (2, 3), registered(true, 1))
            .tell(3, JOIN, (4, 5), registered(true, 1))
    };
    let set =
        |story: Story, times| story.tell(0, Request::SetMaximum(Some(2)), times, Outcome::Done);
    // Those who are in stay.
    set(three(), (6, 7)).holds();
    let late = set(three(), (6, 7)).tell(4, JOIN, (8, 9), registered(true, 1));
    assert_eq!(late.broken(), [Promise::Maximum]);
    set(three(), (6, 9))
        .tell(4, JOIN, (8, 10), registered(true, 1))
        .holds();
    // A lost lifting may have happened.
    set(three(), (6, 7))
        .tell(0, Request::SetMaximum(None), (8, 9), lost(20))
        .tell(4, JOIN, (10, 11), registered(true, 1))
        .holds();
    // Somebody may have gone.
    set(three(), (6, 7))
        .tell(1, Request::Remove, (8, 9), lost(100))
        .tell(2, Request::Remove, (8, 9), lost(100))
        .tell(4, JOIN, (10, 11), registered(true, 2))
        .holds();
}

#[test]
fn a_wrong_count_is_seen() {
    let count = |members: u64| Outcome::Shown {
        members,
        newest: Some(1),
    };
    let story = |number| {
        Story::new()
            .tell(1, JOIN, (0, 1), registered(true, 1))
            .tell(0, Request::Members, (2, 3), members(&[1]))
            .tell(0, Request::Show, (4, 5), count(number))
            .tell(0, Request::Members, (6, 7), members(&[1]))
    };
    story(1).holds();
    assert_eq!(story(2).broken(), [Promise::Recovery]);
    // Somebody may have come and gone.
    story(2)
        .tell(2, JOIN, (3, 4), lost(5))
        .tell(2, Request::Remove, (3, 5), lost(6))
        .holds();
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
        let story = Story::new().tell(1, request, (0, 1), outcome);
        assert_eq!(story.broken(), [Promise::Protocol]);
    }
    Story::new()
        .tell(1, JOIN, (0, 1), Outcome::NotSent)
        .tell(1, JOIN, (2, 3), lost(9))
        .holds();
}
