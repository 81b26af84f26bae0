//! Promises 2 and 5: the answers about each machine are those of a member, or of none, in some
//! order that keeps to the times: the history of each membership is linearizable (Herlihy and
//! Wing, 1990).
//!
//! A machine is a member or not. Going through the beginnings and ends of its operations, the check
//! keeps every state that the membership may be in, together with which of the operations under
//! way have been done in it. An operation that ended has been done; one without an answer may be
//! done at any time until nothing of it can be under way, or never. A history without any state
//! left is one that no server that keeps its promises can give.

use super::{DomainHistory, Promise, Verdict, Violation, removals};
use crate::clock::Moment;
use crate::history::{Operation, Outcome, Request};
use anonymous_domains_protocol::ids::MachineGuid;
use std::collections::BTreeSet;

/// With more operations under way than this nothing can be said.
const MAX_UNDER_WAY: usize = 12;
/// How many of the operations before the impossible one are shown.
const SHOWN_BEFORE: usize = 8;

/// What an operation asks of a membership, and does to it.
#[derive(Debug, Clone, Copy)]
struct Effect {
    /// The operation was answered, so it was done.
    must_happen: bool,
    /// What the machine must have been.
    from: Option<bool>,
    /// What it is afterwards.
    to: Option<bool>,
}

/// Whether the machine is a member, and which operations under way have been done.
type State = (bool, u16);

pub(super) fn check(domain: &DomainHistory<'_>, verdict: &mut Verdict) {
    let lists: Vec<_> = domain
        .operations
        .iter()
        .filter_map(|operation| match &operation.outcome {
            Outcome::Members(members) => Some((*operation, members)),
            _ => None,
        })
        .collect();
    for (list, members) in &lists {
        for guid in members.iter() {
            if !domain.machines.contains_key(guid) {
                verdict.violations.push(Violation::new(
                    Promise::Membership,
                    format!("{guid}, which never asked, is a member of {}", domain.name),
                    [*list],
                ));
            }
        }
    }
    for (guid, operations) in &domain.machines {
        verdict.memberships += 1;
        let looks = lists.iter().map(|(list, members)| {
            let listed = Some(members.contains(guid));
            let effect = Effect {
                must_happen: true,
                from: listed,
                to: listed,
            };
            (*list, effect)
        });
        let effects: Vec<_> = operations
            .iter()
            .filter_map(|operation| Some((*operation, effect(operation)?)))
            .chain(looks)
            .collect();
        match linearize(&effects) {
            Ok(()) => {}
            Err(Fault::TooMuchUnknown) => verdict.undecided += 1,
            Err(Fault::Impossible(at)) => {
                let violation = impossible(domain, *guid, &effects, at);
                verdict.violations.push(violation);
            }
        }
    }
}

fn effect(operation: &Operation) -> Option<Effect> {
    let answered = |to| {
        let from = removals::was_member(operation)?;
        Some(Effect {
            must_happen: true,
            from: Some(from),
            to,
        })
    };
    let lost = |from, to| {
        Some(Effect {
            must_happen: false,
            from,
            to: Some(to),
        })
    };
    match (&operation.request, &operation.outcome) {
        (Request::Register { .. }, Outcome::Unknown { .. }) => lost(None, true),
        (Request::Leave | Request::Remove, Outcome::Unknown { .. }) => lost(Some(true), false),
        (Request::Register { .. }, Outcome::Registered { .. }) => answered(Some(true)),
        (Request::Leave | Request::Remove, Outcome::Done) => answered(Some(false)),
        _ => answered(None),
    }
}

enum Fault {
    TooMuchUnknown,
    /// No order has this operation, by its place in the list.
    Impossible(usize),
}

fn linearize(effects: &[(&Operation, Effect)]) -> Result<(), Fault> {
    // Beginnings first: operations that touch at one moment are under way together.
    let mut events: Vec<(Moment, bool, usize)> = effects
        .iter()
        .enumerate()
        .flat_map(|(index, (operation, _))| {
            [
                (operation.start, false, index),
                (operation.until(), true, index),
            ]
        })
        .collect();
    events.sort_unstable();

    let mut places: [Option<usize>; MAX_UNDER_WAY] = [None; MAX_UNDER_WAY];
    let mut states = BTreeSet::from([(false, 0)]);
    for (_, is_end, index) in events {
        if !is_end {
            let free = places.iter_mut().find(|place| place.is_none());
            *free.ok_or(Fault::TooMuchUnknown)? = Some(index);
            continue;
        }
        let place = places
            .iter()
            .position(|place| *place == Some(index))
            .expect("what ends has begun");
        let bit = 1 << place;
        close(&mut states, &places, effects);
        if effects[index].1.must_happen {
            states.retain(|(_, done)| done & bit != 0);
        }
        states = states
            .into_iter()
            .map(|(member, done)| (member, done & !bit))
            .collect();
        places[place] = None;
        if states.is_empty() {
            return Err(Fault::Impossible(index));
        }
    }
    Ok(())
}

/// Adds every state that operations under way can lead to.
fn close(
    states: &mut BTreeSet<State>,
    places: &[Option<usize>; MAX_UNDER_WAY],
    effects: &[(&Operation, Effect)],
) {
    let mut new: Vec<State> = states.iter().copied().collect();
    while let Some((member, done)) = new.pop() {
        for (place, index) in places.iter().enumerate() {
            let Some(index) = *index else { continue };
            let (_, effect) = effects[index];
            let bit = 1 << place;
            if done & bit == 0 && effect.from.is_none_or(|from| from == member) {
                let state = (effect.to.unwrap_or(member), done | bit);
                if states.insert(state) {
                    new.push(state);
                }
            }
        }
    }
}

fn impossible(
    domain: &DomainHistory<'_>,
    guid: MachineGuid,
    effects: &[(&Operation, Effect)],
    at: usize,
) -> Violation {
    let (last, effect) = effects[at];
    let said = if effect.from == Some(true) {
        "was a member"
    } else {
        "was no member"
    };
    let mut shown: Vec<_> = effects
        .iter()
        .map(|(operation, _)| *operation)
        .filter(|operation| operation.start <= last.end && operation.number != last.number)
        .collect();
    shown.sort_by_key(|operation| operation.end);
    let skipped = shown.len().saturating_sub(SHOWN_BEFORE);
    Violation::new(
        Promise::Membership,
        format!(
            "#{} says that machine {guid} {said} of {}, which cannot be after what was answered \
             before",
            last.number, domain.name
        ),
        shown.into_iter().skip(skipped).chain([last]),
    )
}
