//! The load: many tasks that send all kinds of requests at the same time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::{
    caller::Caller,
    history::{Outcome, Request},
    local_view::LocalView,
    machine::{self, Machine},
    random::Random,
};

/// How long a task waits when no server could be reached.
const NO_SERVER_WAIT: Duration = Duration::from_millis(20);
/// How often the creation of a domain is tried.
const CREATION_TRIES: u32 = 3000;

/// The parameters of a workload.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many machines there are.
    pub machines: usize,
    /// How many domains there are at a time. Half of the machines are in the first.
    pub domains: usize,
    /// How many requests run at a time.
    pub concurrency: usize,
    /// After how many key versions a domain is replaced by a new one.
    pub versions: u64,
    /// The prefix of the domains' names. No domain may have such a name yet.
    pub prefix: String,
    /// The seed for the choice of requests.
    pub seed: u64,
    /// How long each of those that send requests waits after each, on average.
    pub pause: Duration,
}

/// When a workload ends: at the first of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct End {
    /// After this time.
    pub after: Option<Duration>,
    /// After this many operations.
    pub operations: Option<usize>,
}

/// Machines and domains, and the requests that the machines send.
pub struct Workload {
    /// Sends the requests.
    pub caller: Arc<Caller>,
    plan: Plan,
    participants: Vec<Participant>,
    slots: Vec<Slot>,
    stop: AtomicBool,
    /// The server that gets no requests; none if there is no such number.
    spared: AtomicUsize,
    domains_replaced: AtomicUsize,
}

/// A machine, and the slot whose domain it joins and leaves. Its view is locked during a request: a
/// machine does one thing at a time.
struct Participant {
    machine: Machine,
    slot: usize,
    view: tokio::sync::Mutex<LocalView>,
}

/// A series of domains, one at a time.
struct Slot {
    current: Mutex<Current>,
    creation: tokio::sync::Mutex<()>,
    /// A machine that joins each domain when it is created, and stays.
    probe: Machine,
}

/// The current domain of a slot.
struct Current {
    domain: Arc<DomainName>,
    generation: usize,
    /// The newest version that any machine was given.
    newest: u64,
    /// The next domain, once its first key is being made.
    next: Option<Arc<DomainName>>,
}

impl Workload {
    /// Makes the machines and creates the domains.
    ///
    /// # Errors
    ///
    /// When no server creates the domains.
    pub async fn prepare(caller: Arc<Caller>, plan: Plan) -> anyhow::Result<Self> {
        let participants = machine::make(plan.machines)
            .into_iter()
            .enumerate()
            .map(|(index, machine)| Participant {
                machine,
                slot: if index % 2 == 0 {
                    0
                } else {
                    index / 2 % plan.domains
                },
                view: tokio::sync::Mutex::default(),
            })
            .collect();
        let slots = machine::make(plan.domains)
            .into_iter()
            .enumerate()
            .map(|(index, probe)| {
                Ok(Slot {
                    current: Mutex::new(Current {
                        domain: name(&plan.prefix, index, 0)?,
                        generation: 0,
                        newest: 0,
                        next: None,
                    }),
                    creation: tokio::sync::Mutex::default(),
                    probe,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let workload = Self {
            caller,
            plan,
            participants,
            slots,
            stop: AtomicBool::new(false),
            spared: AtomicUsize::new(usize::MAX),
            domains_replaced: AtomicUsize::new(0),
        };
        for slot in &workload.slots {
            workload.create(slot, &slot.domain()).await?;
        }
        Ok(workload)
    }

    /// All machines by their GUIDs.
    pub fn machines(&self) -> HashMap<MachineGuid, Machine> {
        let participants = self
            .participants
            .iter()
            .map(|participant| &participant.machine);
        participants
            .chain(self.slots.iter().map(|slot| &slot.probe))
            .map(|machine| (machine.guid, machine.clone()))
            .collect()
    }

    /// How many domains were replaced because they had too many key versions.
    pub fn domains_replaced(&self) -> usize {
        self.domains_replaced.load(Ordering::Relaxed)
    }

    /// Each slot's current domain, the next one if it is being created, and the machine that stays
    /// in them.
    pub fn probes(&self) -> Vec<(Arc<DomainName>, Machine)> {
        let mut probes = Vec::new();
        for slot in &self.slots {
            let current = slot.current();
            let domains = current.next.iter().chain([&current.domain]);
            probes.extend(domains.map(|domain| (Arc::clone(domain), slot.probe.clone())));
        }
        probes
    }

    /// Ends the workload: the requests that are running are the last.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Sends no more requests to one of the servers, or to each of them again.
    pub fn spare(&self, server: Option<usize>) {
        self.spared
            .store(server.unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    /// The server for a request, when `preferred` was chosen.
    fn not_spared(&self, preferred: usize) -> usize {
        let is_spared = preferred == self.spared.load(Ordering::Relaxed);
        (preferred + usize::from(is_spared)) % self.caller.servers()
    }

    /// Runs until `end`, or until it is stopped.
    ///
    /// # Errors
    ///
    /// When a request cannot be built.
    pub async fn run(self: &Arc<Self>, end: End) -> anyhow::Result<()> {
        let deadline = end.after.map(|time| Instant::now() + time);
        let begun = self.caller.history.len();
        let mut tasks = JoinSet::new();
        for number in 0..self.plan.concurrency {
            let workload = Arc::clone(self);
            let mut random = Random::new(self.plan.seed, number as u64);
            tasks.spawn(async move {
                let is_over = || {
                    workload.stop.load(Ordering::Relaxed)
                        || deadline.is_some_and(|deadline| Instant::now() >= deadline)
                        || end.operations.is_some_and(|operations| {
                            workload.caller.history.len() - begun >= operations
                        })
                };
                while !is_over() {
                    if workload.step(&mut random).await? == Outcome::NotSent {
                        tokio::time::sleep(NO_SERVER_WAIT).await;
                    }
                    random.pause_about(workload.plan.pause).await;
                }
                anyhow::Ok(())
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.context("a task of the workload failed")??;
        }
        Ok(())
    }

    /// One request.
    async fn step(&self, random: &mut Random) -> anyhow::Result<Outcome> {
        let server = self.not_spared(random.below(self.caller.servers()));
        let participant = &self.participants[random.below(self.participants.len())];
        let slot = &self.slots[participant.slot];
        if slot.current().newest >= self.plan.versions {
            self.replace_domain(participant.slot).await?;
        }
        let domain = slot.domain();
        // An operator does not wait for the machine's own request.
        if self.caller.is_operator() && random.percent(7) {
            let (machine, request) = self.operator_request(participant, random);
            return self.caller.ask(server, &domain, machine, request).await;
        }
        if random.percent(3) {
            let request = Request::Describe;
            return self.caller.ask(server, &domain, None, request).await;
        }
        let Ok(mut view) = participant.view.try_lock() else {
            tokio::task::yield_now().await;
            return Ok(Outcome::Done);
        };
        if view.domain.as_ref() != Some(&domain) {
            *view = LocalView {
                domain: Some(Arc::clone(&domain)),
                ..LocalView::default()
            };
        }
        let machine = Some(&participant.machine);
        let request = view.request(random);
        let leaves_in_two_phases = request == Request::Leave && random.percent(50);
        if leaves_in_two_phases {
            let preview = self
                .caller
                .ask(server, &domain, machine, Request::Preview)
                .await?;
            if preview != Outcome::Done {
                view.learn(&Request::Preview, &preview);
                return Ok(preview);
            }
        }
        let outcome = self
            .caller
            .ask(server, &domain, machine, request.clone())
            .await?;
        view.learn(&request, &outcome);
        if let Outcome::Registered { newest, .. } = outcome {
            let mut current = slot.current();
            if current.domain == domain {
                current.newest = current.newest.max(newest);
            }
        }
        Ok(outcome)
    }

    fn operator_request<'a>(
        &self,
        participant: &'a Participant,
        random: &mut Random,
    ) -> (Option<&'a Machine>, Request) {
        match random.below(100) {
            0..45 => (Some(&participant.machine), Request::Remove),
            45..55 => (None, Request::Rollover),
            55..60 => (None, Request::Members),
            60..65 => (None, Request::Show),
            65..80 => (None, Request::SetMaximum(None)),
            _ => {
                let fair_share = self.plan.machines.div_ceil(self.plan.domains);
                let maximum = random.below(fair_share.max(2)) as u64;
                (None, Request::SetMaximum(Some(maximum)))
            }
        }
    }

    /// Replaces a slot's domain by a new one, if it still has too many versions.
    async fn replace_domain(&self, index: usize) -> anyhow::Result<()> {
        let slot = &self.slots[index];
        let _opening = slot.creation.lock().await;
        let generation = {
            let current = slot.current();
            if current.newest < self.plan.versions {
                return Ok(());
            }
            current.generation + 1
        };
        let domain = name(&self.plan.prefix, index, generation)?;
        self.create(slot, &domain).await?;
        *slot.current() = Current {
            domain,
            generation,
            newest: 0,
            next: None,
        };
        self.domains_replaced.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Creates a domain, as an operator where there is one, and has the probe join.
    async fn create(&self, slot: &Slot, domain: &Arc<DomainName>) -> anyhow::Result<()> {
        if self.caller.is_operator() {
            let request = Request::SetMaximum(None);
            self.until_answered(domain, None, request).await?;
        }
        // If the process that makes a key is killed, a request that waited for the key makes it. So
        // a gateway is not killed again before there is an answer in this domain too.
        {
            let mut current = slot.current();
            current.next = (current.domain != *domain).then(|| Arc::clone(domain));
        }
        let request = Request::Register { known: None };
        self.until_answered(domain, Some(&slot.probe), request)
            .await
    }

    async fn until_answered(
        &self,
        domain: &Arc<DomainName>,
        machine: Option<&Machine>,
        request: Request,
    ) -> anyhow::Result<()> {
        for number in 0..CREATION_TRIES {
            let server = self.not_spared(number as usize % self.caller.servers());
            let outcome = self
                .caller
                .ask(server, domain, machine, request.clone())
                .await?;
            match outcome {
                Outcome::NotSent | Outcome::Unknown { .. } => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Outcome::Refused(error) => {
                    anyhow::bail!("{} for {domain} is refused: {error}", request.name());
                }
                Outcome::Wrong(why) => {
                    anyhow::bail!("{} for {domain} is answered wrongly: {why}", request.name());
                }
                _ => return Ok(()),
            }
        }
        anyhow::bail!("{} for {domain} is not answered", request.name())
    }
}

impl Slot {
    /// Never held across an await.
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn domain(&self) -> Arc<DomainName> {
        Arc::clone(&self.current().domain)
    }
}

fn name(prefix: &str, slot: usize, generation: usize) -> anyhow::Result<Arc<DomainName>> {
    let name = DomainName::parse(&format!("{prefix}-{slot}-{generation}"))?;
    Ok(Arc::new(name))
}
