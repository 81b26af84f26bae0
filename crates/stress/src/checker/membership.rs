//! Guarantees 2 and 5: the history of each membership is linearizable (Herlihy and Wing, 1990).
//! There is an order of the operations that agrees with their times, and in which every answer is
//! right.
//!
//! A machine is a member or it is not. The check goes through the starts and ends of its operations
//! and keeps every state that the membership may be in, together with which of the pending
//! operations have taken effect in that state. An operation that was answered has taken effect by
//! its end. One without an answer may take effect at any time until its deadline, or never. When no
//! state is left, no correct server can have given these answers.

use std::collections::BTreeSet;

use anonymous_domains_protocol::ids::MachineGuid;
use anonymous_domains_testkit::Guarantee;

use super::{DomainHistory, Verdict, Violation, removals};
use crate::{
    clock::Moment,
    history::{Operation, Outcome, Request},
};

/// With more pending operations than this the check does not decide.
const MAX_PENDING: usize = 12;
/// How many of the operations before the impossible one are shown.
const SHOWN_BEFORE: usize = 8;

/// What an operation requires of a membership, and does to it.
#[derive(Debug, Clone, Copy)]
struct Effect {
    /// The operation was answered, so it took effect.
    must_happen: bool,
    /// Whether the machine must have been a member before.
    from: Option<bool>,
    /// Whether it is a member afterwards.
    to: Option<bool>,
}

/// Whether the machine is a member, and which pending operations have taken effect.
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
                    Guarantee::Membership,
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
            Err(Fault::Undecided) => verdict.undecided += 1,
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
    Undecided,
    /// No order has this operation, given by its index.
    Impossible(usize),
}

fn linearize(effects: &[(&Operation, Effect)]) -> Result<(), Fault> {
    // Starts come first: an operation that starts when another ends runs together with it.
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

    let mut slots: [Option<usize>; MAX_PENDING] = [None; MAX_PENDING];
    let mut states = BTreeSet::from([(false, 0)]);
    for (_, is_end, index) in events {
        if !is_end {
            let free = slots.iter_mut().find(|slot| slot.is_none());
            *free.ok_or(Fault::Undecided)? = Some(index);
            continue;
        }
        let slot = slots
            .iter()
            .position(|slot| *slot == Some(index))
            .expect("an operation that ends has started");
        let bit = 1 << slot;
        add_reachable(&mut states, &slots, effects);
        if effects[index].1.must_happen {
            states.retain(|(_, done)| done & bit != 0);
        }
        states = states
            .into_iter()
            .map(|(member, done)| (member, done & !bit))
            .collect();
        slots[slot] = None;
        if states.is_empty() {
            return Err(Fault::Impossible(index));
        }
    }
    Ok(())
}

/// Adds every state that pending operations can lead to.
fn add_reachable(
    states: &mut BTreeSet<State>,
    slots: &[Option<usize>; MAX_PENDING],
    effects: &[(&Operation, Effect)],
) {
    let mut new: Vec<State> = states.iter().copied().collect();
    while let Some((member, done)) = new.pop() {
        for (slot, index) in slots.iter().enumerate() {
            let Some(index) = *index else { continue };
            let (_, effect) = effects[index];
            let bit = 1 << slot;
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
        Guarantee::Membership,
        format!(
            "#{} says that machine {guid} {said} of {}, which contradicts earlier \
             answers",
            last.number, domain.name
        ),
        shown.into_iter().skip(skipped).chain([last]),
    )
}
