//! The checks after a run: everything is asked about once more, while nothing else happens.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};
use anonymous_domains_testkit::Guarantee;
use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::{
    caller::Caller,
    checker::Violation,
    history::{Operation, Outcome, Request},
    machine::{self, Machine},
};

/// How often a request without an answer is repeated.
const TRIES: usize = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// A machine, a domain that it had asked about, and whether it should be a member.
type Question = (Arc<DomainName>, Machine, bool);

/// Asks about every machine in every domain of the history. The answers go to the history; what is
/// already known to be wrong is returned.
///
/// # Errors
///
/// When a request cannot be built.
pub async fn run(
    caller: &Arc<Caller>,
    machines: &HashMap<MachineGuid, Machine>,
    concurrency: usize,
) -> anyhow::Result<Vec<Violation>> {
    let violations = Arc::new(Mutex::new(Vec::new()));
    let (domains, questions) = caller.history.read(|history| questions(history, machines));
    if caller.is_operator() {
        for domain in &domains {
            for request in [
                Request::Members,
                Request::Show,
                Request::Members,
                Request::Keys,
            ] {
                ask(caller, domain, None, request, &violations).await?;
            }
        }
    }
    let questions = Arc::new(Mutex::new(questions));
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency {
        let (caller, questions) = (Arc::clone(caller), Arc::clone(&questions));
        let violations = Arc::clone(&violations);
        tasks.spawn(async move {
            let next = || lock(&questions).pop();
            while let Some((domain, machine, should_be_member)) = next() {
                let machine = Some(&machine);
                let register = Request::Register { known: None };
                // A machine that is not a member only previews: a registration would make it one.
                let is_member = should_be_member
                    || ask(&caller, &domain, machine, Request::Preview, &violations).await?
                        == Outcome::Done;
                if is_member {
                    ask(&caller, &domain, machine, register, &violations).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.context("a task failed")??;
    }
    for domain in &domains {
        ask(caller, domain, None, Request::Describe, &violations).await?;
        if caller.is_operator() {
            fill_last_slot(caller, domain, &violations).await?;
        }
    }
    let mut violations = lock(&violations);
    Ok(std::mem::take(&mut violations))
}

/// Two machines join where there is room for one. One of them must be admitted: no membership slot
/// was lost.
async fn fill_last_slot(
    caller: &Arc<Caller>,
    domain: &Arc<DomainName>,
    violations: &Arc<Mutex<Vec<Violation>>>,
) -> anyhow::Result<()> {
    let mut members = None;
    for request in [Request::Members, Request::Show, Request::Members] {
        if let Outcome::Shown { members: shown, .. } =
            ask(caller, domain, None, request, violations).await?
        {
            members = Some(shown);
        }
    }
    let Some(members) = members else {
        return Ok(());
    };
    let request = Request::SetMaximum(Some(members + 1));
    ask(caller, domain, None, request, violations).await?;
    let two = machine::make_ec(2);
    let mut tasks = JoinSet::new();
    for machine in two {
        let (caller, domain) = (Arc::clone(caller), Arc::clone(domain));
        let violations = Arc::clone(violations);
        tasks.spawn(async move {
            let request = Request::Register { known: None };
            ask(&caller, &domain, Some(&machine), request, &violations).await
        });
    }
    let mut refused = 0;
    while let Some(task) = tasks.join_next().await {
        refused += usize::from(
            task.context("a task failed")?? == Outcome::Refused(ErrorName::DomLimitReached),
        );
    }
    // A lost request that is still running may take the slot. The checker notices if too many are
    // admitted.
    let now = caller.clock.now();
    let is_quiet = caller.history.read(|history| {
        !history
            .iter()
            .any(|operation| operation.domain == *domain && operation.until() > now)
    });
    if refused == 2 && is_quiet {
        lock(violations).push(Violation::new(
            Guarantee::Recovery,
            format!(
                "{domain} has {members} members and a maximum of {}, and admits nobody",
                members + 1
            ),
            [],
        ));
    }
    Ok(())
}

/// Asks until there is an answer.
async fn ask(
    caller: &Arc<Caller>,
    domain: &Arc<DomainName>,
    machine: Option<&Machine>,
    request: Request,
    violations: &Arc<Mutex<Vec<Violation>>>,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::NotSent;
    for number in 0..TRIES {
        let server = number % caller.servers();
        outcome = caller.ask(server, domain, machine, request.clone()).await?;
        if !matches!(outcome, Outcome::NotSent | Outcome::Unknown { .. }) {
            return Ok(outcome);
        }
        tokio::time::sleep(PAUSE).await;
    }
    lock(violations).push(Violation::new(
        Guarantee::Recovery,
        format!(
            "after the run, {} for {domain} was not answered in {TRIES} tries",
            request.name()
        ),
        [],
    ));
    Ok(outcome)
}

/// The domains, and a question for every machine and each domain that it had asked about. Whether it
/// should be a member follows from the last answer.
fn questions(
    history: &[Operation],
    machines: &HashMap<MachineGuid, Machine>,
) -> (Vec<Arc<DomainName>>, Vec<Question>) {
    let mut domains = BTreeMap::new();
    let mut memberships: BTreeMap<(&DomainName, MachineGuid), bool> = BTreeMap::new();
    for operation in history {
        domains.insert(operation.domain.as_str(), &operation.domain);
        let Some(guid) = operation.machine else {
            continue;
        };
        let is_member = memberships.entry((&operation.domain, guid)).or_default();
        match (&operation.request, &operation.outcome) {
            (_, Outcome::Registered { .. }) => *is_member = true,
            (Request::Register { .. } | Request::Preview, _) => {}
            (Request::Leave | Request::Remove, Outcome::NotSent) => {}
            (Request::Leave | Request::Remove, _) => *is_member = false,
            _ => {}
        }
    }
    let questions = memberships
        .into_iter()
        .filter_map(|((domain, guid), is_member)| {
            let domain = Arc::clone(domains.get(domain.as_str())?);
            Some((domain, machines.get(&guid)?.clone(), is_member))
        })
        .collect();
    (
        domains.values().map(|domain| Arc::clone(domain)).collect(),
        questions,
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
