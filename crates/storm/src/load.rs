//! The storm itself: many tasks that ask for all kinds of things at once.

use crate::caller::Caller;
use crate::history::{Outcome, Request};
use crate::machine::{self, Machine};
use crate::random::Random;
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use anyhow::Context as _;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a task waits when no server was there.
const NO_SERVER_WAIT: Duration = Duration::from_millis(20);
/// How often the making of a domain is tried.
const OPENING_TRIES: u32 = 300;

/// What kind of storm it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many machines there are.
    pub machines: usize,
    /// How many domains they are in at a time; half of the machines are in the first.
    pub domains: usize,
    /// How many requests are under way at a time.
    pub concurrency: usize,
    /// With how many key versions a domain is left for a new one.
    pub versions: u64,
    /// What the domains' names begin with; no domain may have such a name yet.
    pub prefix: String,
    /// Draws the requests.
    pub seed: u64,
}

/// When a storm ends: with the first of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct End {
    /// After this time.
    pub after: Option<Duration>,
    /// After so many operations.
    pub operations: Option<usize>,
}

/// A storm.
pub struct Storm {
    /// Asks the servers.
    pub caller: Arc<Caller>,
    plan: Plan,
    residents: Vec<Resident>,
    places: Vec<Place>,
    stop: AtomicBool,
    domains_left: AtomicUsize,
}

/// A machine, and the place whose domain it is in or stays out of. Held while it asks: a machine
/// does one thing at a time.
struct Resident {
    machine: Machine,
    place: usize,
    standing: tokio::sync::Mutex<Standing>,
}

/// What a machine believes of itself.
#[derive(Default)]
struct Standing {
    domain: Option<Arc<DomainName>>,
    is_member: bool,
    newest: u64,
}

/// Where one domain follows another.
struct Place {
    current: Mutex<Current>,
    opening: tokio::sync::Mutex<()>,
    /// A machine that joined at the domain's beginning and stays.
    witness: Machine,
}

/// A place's domain at the moment.
struct Current {
    domain: Arc<DomainName>,
    generation: usize,
    /// The newest version that anybody was given.
    newest: u64,
    /// The domain that follows, once its first key is being made.
    next: Option<Arc<DomainName>>,
}

impl Storm {
    /// Makes the machines and the domains.
    ///
    /// # Errors
    ///
    /// When no server makes them.
    pub async fn prepare(caller: Arc<Caller>, plan: Plan) -> anyhow::Result<Self> {
        let residents = machine::make(plan.machines)
            .into_iter()
            .enumerate()
            .map(|(index, machine)| Resident {
                machine,
                place: if index % 2 == 0 {
                    0
                } else {
                    index / 2 % plan.domains
                },
                standing: tokio::sync::Mutex::default(),
            })
            .collect();
        let places = machine::make(plan.domains)
            .into_iter()
            .enumerate()
            .map(|(index, witness)| {
                Ok(Place {
                    current: Mutex::new(Current {
                        domain: name(&plan.prefix, index, 0)?,
                        generation: 0,
                        newest: 0,
                        next: None,
                    }),
                    opening: tokio::sync::Mutex::default(),
                    witness,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let storm = Self {
            caller,
            plan,
            residents,
            places,
            stop: AtomicBool::new(false),
            domains_left: AtomicUsize::new(0),
        };
        for place in &storm.places {
            storm.open(place, &place.domain()).await?;
        }
        Ok(storm)
    }

    /// All machines by their GUIDs.
    pub fn machines(&self) -> HashMap<MachineGuid, Machine> {
        let residents = self.residents.iter().map(|resident| &resident.machine);
        residents
            .chain(self.places.iter().map(|place| &place.witness))
            .map(|machine| (machine.guid, machine.clone()))
            .collect()
    }

    /// How many domains were left for others because they had so many versions.
    pub fn domains_left(&self) -> usize {
        self.domains_left.load(Ordering::Relaxed)
    }

    /// Each place's present domain, the one that follows if that is about to be, and the machine
    /// that stays in them.
    pub fn witnesses(&self) -> Vec<(Arc<DomainName>, Machine)> {
        let mut witnesses = Vec::new();
        for place in &self.places {
            let current = place.current();
            let domains = current.next.iter().chain([&current.domain]);
            witnesses.extend(domains.map(|domain| (Arc::clone(domain), place.witness.clone())));
        }
        witnesses
    }

    /// Lets the storm end: the requests under way are the last.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Storms until `end`, or until it is stopped.
    ///
    /// # Errors
    ///
    /// When a request cannot be put together.
    pub async fn run(self: &Arc<Self>, end: End) -> anyhow::Result<()> {
        let deadline = end.after.map(|time| Instant::now() + time);
        let begun = self.caller.history.len();
        let mut tasks = JoinSet::new();
        for number in 0..self.plan.concurrency {
            let storm = Arc::clone(self);
            let mut random = Random::new(self.plan.seed, number as u64);
            tasks.spawn(async move {
                let is_over = || {
                    storm.stop.load(Ordering::Relaxed)
                        || deadline.is_some_and(|deadline| Instant::now() >= deadline)
                        || end.operations.is_some_and(|operations| {
                            storm.caller.history.len() - begun >= operations
                        })
                };
                while !is_over() {
                    if storm.step(&mut random).await? == Outcome::NotSent {
                        tokio::time::sleep(NO_SERVER_WAIT).await;
                    }
                }
                anyhow::Ok(())
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.context("a task of the storm failed")??;
        }
        Ok(())
    }

    /// One request.
    async fn step(&self, random: &mut Random) -> anyhow::Result<Outcome> {
        let server = random.below(self.caller.servers());
        let resident = &self.residents[random.below(self.residents.len())];
        let place = &self.places[resident.place];
        if place.current().newest >= self.plan.versions {
            self.move_on(resident.place).await?;
        }
        let domain = place.domain();
        // An operator does not wait for the machine to be done with what it does.
        if self.caller.is_operator() && random.percent(7) {
            let (machine, request) = self.operators_request(resident, random);
            return self.caller.ask(server, &domain, machine, request).await;
        }
        if random.percent(3) {
            let request = Request::Describe;
            return self.caller.ask(server, &domain, None, request).await;
        }
        let Ok(mut standing) = resident.standing.try_lock() else {
            tokio::task::yield_now().await;
            return Ok(Outcome::Done);
        };
        if standing.domain.as_ref() != Some(&domain) {
            *standing = Standing {
                domain: Some(Arc::clone(&domain)),
                ..Standing::default()
            };
        }
        let machine = Some(&resident.machine);
        let request = standing.request(random);
        let leaves_in_two_phases = request == Request::Leave && random.percent(50);
        if leaves_in_two_phases {
            let preview = self
                .caller
                .ask(server, &domain, machine, Request::Preview)
                .await?;
            if preview != Outcome::Done {
                standing.learn(&Request::Preview, &preview);
                return Ok(preview);
            }
        }
        let outcome = self
            .caller
            .ask(server, &domain, machine, request.clone())
            .await?;
        standing.learn(&request, &outcome);
        if let Outcome::Registered { newest, .. } = outcome {
            let mut current = place.current();
            if current.domain == domain {
                current.newest = current.newest.max(newest);
            }
        }
        Ok(outcome)
    }

    fn operators_request<'a>(
        &self,
        resident: &'a Resident,
        random: &mut Random,
    ) -> (Option<&'a Machine>, Request) {
        match random.below(100) {
            0..45 => (Some(&resident.machine), Request::Remove),
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

    /// Leaves a place's domain, if it still has many versions, for a new one.
    async fn move_on(&self, index: usize) -> anyhow::Result<()> {
        let place = &self.places[index];
        let _opening = place.opening.lock().await;
        let generation = {
            let current = place.current();
            if current.newest < self.plan.versions {
                return Ok(());
            }
            current.generation + 1
        };
        let domain = name(&self.plan.prefix, index, generation)?;
        self.open(place, &domain).await?;
        *place.current() = Current {
            domain,
            generation,
            newest: 0,
            next: None,
        };
        self.domains_left.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a domain, by an operator where there is one, and has the witness join.
    async fn open(&self, place: &Place, domain: &Arc<DomainName>) -> anyhow::Result<()> {
        if self.caller.is_operator() {
            let request = Request::SetMaximum(None);
            self.until_answered(domain, None, request).await?;
        }
        // A key whose maker is killed is made by one that waited for it, so the gateway is not
        // killed again before there is an answer in this domain too.
        {
            let mut current = place.current();
            current.next = (current.domain != *domain).then(|| Arc::clone(domain));
        }
        let request = Request::Register { known: None };
        self.until_answered(domain, Some(&place.witness), request)
            .await
    }

    async fn until_answered(
        &self,
        domain: &Arc<DomainName>,
        machine: Option<&Machine>,
        request: Request,
    ) -> anyhow::Result<()> {
        for number in 0..OPENING_TRIES {
            let server = number as usize % self.caller.servers();
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

impl Place {
    /// Never held while anything is waited for.
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn domain(&self) -> Arc<DomainName> {
        Arc::clone(&self.current().domain)
    }
}

impl Standing {
    /// What the machine does next.
    fn request(&self, random: &mut Random) -> Request {
        match (self.is_member, random.below(100)) {
            (_, 0..2) => Request::RegisterExpired,
            (_, 2..4) => Request::RegisterElsewhere,
            (_, 4..6) => Request::LeaveExpired,
            (_, 6..14) => Request::Preview,
            (true, 14..44) => Request::Leave,
            (false, 14..18) => Request::Leave,
            (true, 44..72) if self.newest > 0 => Request::Register {
                known: Some(self.newest),
            },
            _ => Request::Register { known: None },
        }
    }

    fn learn(&mut self, request: &Request, outcome: &Outcome) {
        match (request, outcome) {
            (_, Outcome::Registered { newest, .. }) => {
                self.is_member = true;
                self.newest = *newest;
            }
            (Request::Leave, Outcome::Done) => self.is_member = false,
            (Request::Leave | Request::Preview, Outcome::Refused(_)) => self.is_member = false,
            _ => {}
        }
    }
}

fn name(prefix: &str, place: usize, generation: usize) -> anyhow::Result<Arc<DomainName>> {
    let name = DomainName::parse(&format!("{prefix}-{place}-{generation}"))?;
    Ok(Arc::new(name))
}
