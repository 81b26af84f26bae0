//! Requests: what callers ask for, the instances of the server that serve them, and the outcomes.

use std::{rc::Rc, sync::LazyLock};

use anonymous_domains::{
    administration::{Administration, Precondition},
    authentication::Credentials,
    context::RequestContext,
    credential::cache::CredentialCache,
    deregistration,
    device_request::{Deregistration, Registration},
    domain::insertion,
    error::Error,
    journal::{Actor, Journal},
    registration,
    settings::Policy,
    tables::{
        Tables,
        domain_membership::{self, Machine},
    },
};
use anonymous_domains_protocol::{
    admin::DomainSettings,
    ids::{DomainName, MachineGuid},
    jwk::PublicKey,
    problem::ErrorName,
    response::RegisterResponse,
};

use crate::{
    environment::SimEnvironment,
    issuer::{self, Owner, SimIssuer},
    random::mix,
    runtime::Runtime,
    store::SimStore,
};

/// A request. Here domains and machines are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A machine joins, or repeats its registration.
    Join { machine: u8, domain: u8 },
    /// A machine leaves.
    Leave { machine: u8, domain: u8 },
    /// A machine asks whether it may leave.
    Preview { machine: u8, domain: u8 },
    /// An operator sets Max Membership.
    SetMaximum { domain: u8, maximum: Option<u64> },
    /// An operator deletes a domain.
    Delete { domain: u8 },
    /// An operator removes a machine.
    Remove { machine: u8, domain: u8 },
    /// An operator blocks a machine.
    Block { machine: u8, domain: u8 },
    /// An operator unblocks a machine.
    Unblock { machine: u8, domain: u8 },
    /// An operator sets Key Rollover Required.
    RequireRollover { domain: u8 },
    /// An operator lists the members, in pages of this size.
    List { domain: u8, page: usize },
}

impl Op {
    /// The domain that the request is about.
    pub fn domain(&self) -> u8 {
        match self {
            Self::Join { domain, .. }
            | Self::Leave { domain, .. }
            | Self::Preview { domain, .. }
            | Self::SetMaximum { domain, .. }
            | Self::Delete { domain }
            | Self::Remove { domain, .. }
            | Self::Block { domain, .. }
            | Self::Unblock { domain, .. }
            | Self::RequireRollover { domain }
            | Self::List { domain, .. } => *domain,
        }
    }

    /// The machine that the request is about.
    pub fn machine(&self) -> Option<u8> {
        match self {
            Self::Join { machine, .. }
            | Self::Leave { machine, .. }
            | Self::Preview { machine, .. }
            | Self::Remove { machine, .. }
            | Self::Block { machine, .. }
            | Self::Unblock { machine, .. } => Some(*machine),
            _ => None,
        }
    }

    /// Whether the request may end a machine's membership.
    pub fn may_remove(&self, machine: u8, domain: u8) -> bool {
        match self {
            Self::Leave {
                machine: m,
                domain: d,
            }
            | Self::Remove {
                machine: m,
                domain: d,
            }
            | Self::Block {
                machine: m,
                domain: d,
            } => (*m, *d) == (machine, domain),
            Self::Delete { domain: d } => *d == domain,
            _ => false,
        }
    }
}

/// The answer that a caller got.
#[derive(Debug, Clone)]
pub enum Outcome {
    Joined(Box<RegisterResponse>),
    Done,
    Listed(Vec<MachineGuid>),
    Refused(ErrorName),
    Unavailable(String),
    Fault(String),
}

impl Outcome {
    /// The outcome, for traces.
    pub fn show(&self) -> String {
        match self {
            Self::Joined(answer) => format!(
                "200, key version {}, {}",
                answer.key_version,
                if answer.new_member { "new" } else { "a member" }
            ),
            Self::Done => "done".to_owned(),
            Self::Listed(members) => format!("{} members", members.len()),
            Self::Refused(name) => format!("refused: {name:?}"),
            Self::Unavailable(why) => format!("503: {why}"),
            Self::Fault(why) => format!("500: {why}"),
        }
    }
}

/// The name of a domain.
pub fn domain_name(domain: u8) -> DomainName {
    let text = ["living-room", "attic", "cellar", "garage"][usize::from(domain) % 4];
    DomainName::parse(text).expect("the names are domain names")
}

/// The GUID of a machine. The order of GUIDs is not the order of the numbers.
pub fn machine_guid(machine: u8) -> MachineGuid {
    let number = mix(0xa11c_e000 + u64::from(machine)).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number);
    bytes[15] = machine;
    MachineGuid::from_bytes(bytes)
}

/// One public key for all machines, because nothing is encrypted.
static MACHINE_KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    // The base point of P-256 (FIPS 186-5).
    let jwk = r#"{"kty":"EC","crv":"P-256",
        "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
        "y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}"#;
    let jwk = serde_json::from_str(jwk).expect("it is JSON");
    PublicKey::from_jwk(&jwk).expect("it is a point of P-256")
});

/// Settings are always replaced.
struct Always;

impl Precondition for Always {
    fn holds(&self, _entity_tag: Option<&str>) -> bool {
        true
    }
}

fn policy() -> Policy {
    Policy {
        public_origin: None,
        public_path_prefix: String::new(),
        clock_tolerance_s: 300,
        auto_create_domains: true,
        machine_trust_anchors: None,
        tokens: None,
        max_domains: None,
        max_key_versions_per_day: u32::MAX,
    }
}

/// An instance of the server. Its requests share its caches.
pub struct Instance {
    rows: Tables<SimStore, SimEnvironment>,
    credential_cache: CredentialCache,
    issuer: SimIssuer,
}

impl Instance {
    /// An instance with empty caches.
    pub fn new(runtime: &Rc<Runtime>, owner: Owner, short_lived_certificates: bool) -> Rc<Self> {
        let limits = runtime.host.borrow().limits;
        let store = SimStore {
            runtime: runtime.clone(),
        };
        let env = SimEnvironment {
            runtime: runtime.clone(),
        };
        Rc::new(Self {
            rows: Tables::new(store, env, Some(owner.digest()), limits),
            credential_cache: CredentialCache::default(),
            issuer: SimIssuer {
                runtime: runtime.clone(),
                short_lived: short_lived_certificates,
                owner,
            },
        })
    }
}

/// Runs a request through the server's real code.
pub async fn run(op: Op, instance: Rc<Instance>) -> Outcome {
    let iat_ms = instance.issuer.runtime.now_ms();
    let result = serve(&op, &instance, iat_ms).await;
    if instance.issuer.owner == Owner::Wrong {
        return match result {
            // It may not even read the tables.
            Err(Error::Fault(why)) if why.contains("belongs to another") => {
                Outcome::Refused(ErrorName::Internal)
            }
            Err(Error::Unavailable(why)) => Outcome::Unavailable(why),
            _ => Outcome::Fault("the store belongs to another, and was used".to_owned()),
        };
    }
    match result {
        Ok(outcome) => outcome,
        Err(Error::Refused { name, .. }) => Outcome::Refused(name),
        Err(Error::RateLimited(_)) => Outcome::Refused(ErrorName::RateLimited),
        Err(Error::Fault(why)) if why == issuer::FAILURE => Outcome::Unavailable(why),
        Err(Error::Unavailable(why)) => Outcome::Unavailable(why),
        Err(Error::Fault(why)) => Outcome::Fault(why),
    }
}

async fn serve(op: &Op, instance: &Instance, iat_ms: i64) -> Result<Outcome, Error> {
    let policy = policy();
    let rows = &instance.rows;
    let journal = Journal::new(&rows.env, "simulated", Actor::Machine);
    let server = RequestContext {
        tables: rows,
        credential_cache: &instance.credential_cache,
        issuer: &instance.issuer,
        policy: &policy,
        credentials: Credentials::None,
        journal,
    };
    let administration = Administration {
        tables: rows,
        journal,
    };
    let domain = domain_name(op.domain());
    let by = |machine: u8| Machine {
        guid: machine_guid(machine),
        key_thumbprint: [machine; 32],
        iat_ms,
    };
    match *op {
        Op::Join { machine, .. } => {
            let request = Registration {
                server_url: format!("https://domains.example/flashaccess/domainserver/{domain}/"),
                domain,
                machine: by(machine),
                machine_key: MACHINE_KEY.clone(),
                current_domain: None,
                known_key_version: None,
            };
            let answer = registration::register(&server, &request).await?;
            let answer = serde_json::to_vec(&answer).and_then(|json| serde_json::from_slice(&json));
            let answer = answer.map_err(|error| Error::fault(format!("no answer: {error}")))?;
            return Ok(Outcome::Joined(Box::new(answer)));
        }
        Op::Leave { machine, .. } | Op::Preview { machine, .. } => {
            let request = Deregistration {
                domain,
                machine: by(machine),
                preview: matches!(op, Op::Preview { .. }),
            };
            deregistration::deregister(&server, &request).await?;
        }
        Op::SetMaximum { maximum, .. } => {
            let settings = DomainSettings {
                max_membership: maximum,
                ..DomainSettings::default()
            };
            administration
                .put_domain(&domain, &settings, &Always)
                .await?;
        }
        Op::Delete { .. } => administration.delete_domain(&domain).await?,
        Op::Remove { machine, .. } => {
            let guid = machine_guid(machine);
            administration.remove_member(&domain, guid).await?;
        }
        Op::Block { machine, .. } => administration.block(&domain, machine_guid(machine)).await?,
        Op::Unblock { machine, .. } => {
            let guid = machine_guid(machine);
            administration.unblock(&domain, guid).await?;
        }
        Op::RequireRollover { .. } => administration.require_rollover(&domain).await?,
        Op::List { page, .. } => {
            let Some(domain) = insertion::find(rows, &domain).await? else {
                return Ok(Outcome::Refused(ErrorName::UnknownDomain));
            };
            let mut listed = Vec::new();
            loop {
                let after = listed.last().copied();
                let found = domain_membership::members(rows, &domain, after, page).await?;
                listed.extend(found.iter().map(|(guid, _)| *guid));
                if found.len() < page {
                    return Ok(Outcome::Listed(listed));
                }
            }
        }
    }
    Ok(Outcome::Done)
}
