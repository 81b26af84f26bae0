//! What was asked, when, and what came back: the only input of the checker.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anonymous_domains_protocol::{
    ids::{DomainName, MachineGuid},
    problem::ErrorName,
};

use crate::clock::Moment;

/// Identifies a domain key without revealing it: the first bytes of a SHA-256 of its public key.
pub type KeyPrint = u64;

/// A version of a domain's key, as an answer gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySeen {
    /// The version.
    pub version: u64,
    /// Which key it was. A private key that came with it belongs to it.
    pub key: KeyPrint,
}

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Join, or fetch the credentials above `known` again.
    Register {
        /// `knownKeyVersion`.
        known: Option<u64>,
    },
    /// Leave.
    Leave,
    /// Ask whether one may leave.
    Preview,
    /// Join with a very old `iat`, which must be refused.
    RegisterExpired,
    /// Join while belonging to another domain, which must be refused.
    RegisterElsewhere,
    /// Leave with a very old `iat`, which must be refused.
    LeaveExpired,
    /// Describe the domain.
    Describe,
    /// An operator removes a machine.
    Remove,
    /// An operator sets the maximum, or lifts it.
    SetMaximum(Option<u64>),
    /// An operator requires a rollover.
    Rollover,
    /// An operator lists the members.
    Members,
    /// An operator reads the domain.
    Show,
    /// An operator lists the keys.
    Keys,
}

impl Request {
    /// Its name in a report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Leave => "leave",
            Self::Preview => "preview",
            Self::RegisterExpired => "register, expired",
            Self::RegisterElsewhere => "register, elsewhere",
            Self::LeaveExpired => "leave, expired",
            Self::Describe => "describe",
            Self::Remove => "remove",
            Self::SetMaximum(_) => "set maximum",
            Self::Rollover => "require rollover",
            Self::Members => "list members",
            Self::Show => "show domain",
            Self::Keys => "list keys",
        }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The machine is a member, and was given these keys.
    Registered {
        /// Whether this request made it one.
        new_member: bool,
        /// `keyVersion`.
        newest: u64,
        /// The credentials that were given.
        keys: Arc<[KeySeen]>,
    },
    /// It was done; for a preview, it would be possible.
    Done,
    /// The domain's newest key, if it has one.
    Described(Option<KeySeen>),
    /// The members.
    Members(Arc<BTreeSet<MachineGuid>>),
    /// What an operator sees of the domain.
    Shown {
        /// `memberCount`.
        members: u64,
        /// `keyVersion`.
        newest: Option<u64>,
    },
    /// All versions.
    Keys(Arc<[KeySeen]>),
    /// The server refused it.
    Refused(ErrorName),
    /// Whether it was done is unknown. If it was, then before `until`.
    Unknown {
        /// What came instead of an answer.
        why: Lost,
        /// From when on it can have no more effect.
        until: Moment,
    },
    /// It never reached a server.
    NotSent,
    /// The server granted it, and the answer is wrong.
    Wrong(String),
}

/// What comes instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The connection ended.
    Connection,
    /// Nothing came within the timeout.
    TimedOut,
    /// The server failed, and said which of the protocol's errors it was.
    Failed(ErrorName),
    /// An HTTP status without an error of the protocol, as from a proxy.
    Status(u16),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection lost"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "HTTP {status}"),
        }
    }
}

impl Outcome {
    /// A short name for a table. Outcomes with the same name are counted together.
    pub fn name(&self) -> String {
        match self {
            Self::Registered {
                new_member: true, ..
            } => "new member".to_owned(),
            Self::Registered { .. } => "member already".to_owned(),
            Self::Done | Self::Described(_) | Self::Members(_) => "done".to_owned(),
            Self::Shown { .. } | Self::Keys(_) => "done".to_owned(),
            Self::Refused(error) => error.as_str().to_owned(),
            Self::Unknown { why, .. } => format!("unknown: {why}"),
            Self::NotSent => "not sent".to_owned(),
            Self::Wrong(_) => "WRONG".to_owned(),
        }
    }
}

/// A request and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number, in the order in which requests ended.
    pub number: u64,
    /// The domain.
    pub domain: Arc<DomainName>,
    /// The machine, for a request that has one.
    pub machine: Option<MachineGuid>,
    /// What was asked.
    pub request: Request,
    /// Which of the servers was asked.
    pub server: usize,
    /// Just before it was sent.
    pub start: Moment,
    /// When the answer arrived, or the caller gave up.
    pub end: Moment,
    /// Its outcome.
    pub outcome: Outcome,
}

impl Operation {
    /// How long the caller waited.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end - self.start)
    }

    /// The last moment at which it can have taken effect.
    pub fn until(&self) -> Moment {
        match self.outcome {
            Outcome::Unknown { until, .. } => until.max(self.end),
            _ => self.end,
        }
    }

    /// Whether it may have taken effect.
    pub fn may_have_been_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_) | Outcome::NotSent)
    }

    /// Whether it was answered that it is done.
    pub fn is_done(&self) -> bool {
        self.may_have_been_done() && !matches!(self.outcome, Outcome::Unknown { .. })
    }

    /// The newest version that its answer names.
    pub fn newest(&self) -> Option<u64> {
        match &self.outcome {
            Outcome::Registered { newest, .. } => Some(*newest),
            Outcome::Described(key) => key.map(|key| key.version),
            Outcome::Shown { newest, .. } => *newest,
            Outcome::Keys(keys) => keys.last().map(|key| key.version),
            _ => None,
        }
    }

    /// The keys that its answer names.
    pub fn keys(&self) -> &[KeySeen] {
        match &self.outcome {
            Outcome::Registered { keys, .. } | Outcome::Keys(keys) => keys,
            Outcome::Described(key) => key.as_slice(),
            _ => &[],
        }
    }
}

impl fmt::Display for Operation {
    /// One line for a person: what was asked, by whom, when, and the outcome.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.number, self.request.name())?;
        match self.request {
            Request::Register { known: Some(known) } => write!(f, " (knows {known})")?,
            Request::SetMaximum(Some(maximum)) => write!(f, " {maximum}")?,
            Request::SetMaximum(None) => write!(f, " none")?,
            _ => {}
        }
        if let Some(machine) = self.machine {
            write!(f, ", machine {machine}")?;
        }
        let seconds = |moment: Moment| moment as f64 / 1e9;
        write!(
            f,
            ", domain {}, server {}, from {:.6} to {:.6} s: {}",
            self.domain,
            self.server,
            seconds(self.start),
            seconds(self.end),
            self.outcome.name()
        )?;
        if let Outcome::Members(members) = &self.outcome {
            write!(f, ", {} members", members.len())?;
        }
        if let Some(newest) = self.newest() {
            write!(f, ", newest version {newest}")?;
        }
        Ok(())
    }
}

/// All operations of a run, in the order in which they ended.
#[derive(Debug, Default)]
pub struct History(Mutex<Vec<Operation>>);

impl History {
    /// Adds an operation, whose number is given here.
    pub fn add(&self, mut operation: Operation) {
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        operation.number = operations.len() as u64;
        operations.push(operation);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads them. Nothing can be added in the meantime.
    pub fn read<T>(&self, read: impl FnOnce(&[Operation]) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes them all out.
    pub fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
