//! What takes several requests: whether another instance sees a write, and whether it survives a
//! restart.
//!
//! A run is one row. The first request creates it, and each further one checks that the row is not
//! older than its *token* says, changes it by a swap, and gives a new token. The row also notes what was
//! seen, so that the last response of a run has all of it.
//!
//! The row remains after the run, about 60 bytes: nothing tells which request is the last one.

use std::{fmt, str::FromStr};

use crate::{
    check::PREFIX,
    finding::{Check, Finding},
    report::{Outcome, Seen},
    store::{Host, Store, StoreError},
};

/// How often a request tries to change the row of a run, which others may change, too.
const ATTEMPTS: usize = 5;

/// What a request knows of a run: which one it is, and how often its row was written at least.
///
/// As a text, 16 hexadecimal digits, a full stop and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    id: u64,
    writes: u64,
}

impl Token {
    fn key(self) -> String {
        format!("{PREFIX}run:{:016x}", self.id)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.id, self.writes)
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (id, writes) = text.split_once('.')?;
            let token = Self {
                id: u64::from_str_radix(id, 16).ok()?,
                writes: writes.parse().ok()?,
            };
            // The only form, too.
            (token.to_string() == text).then_some(token)
        };
        parse().ok_or_else(|| "the token is not one of this program".into())
    }
}

/// The row of a run. As text, the fields with spaces between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// How often it was written.
    writes: u64,
    /// Whether another instance than the one that wrote it has seen it.
    other: bool,
    /// Whether it was there after a restart.
    restart: bool,
    /// The instance that wrote it last.
    instance: u64,
    /// Random, so that no two requests write the same.
    nonce: u64,
}

impl Row {
    fn to_text(self) -> String {
        let Self {
            writes,
            other,
            restart,
            instance,
            nonce,
        } = self;
        format!("{writes} {other} {restart} {instance:x} {nonce:x}")
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(bytes).ok()?.split(' ');
        let row = Self {
            writes: fields.next()?.parse().ok()?,
            other: fields.next()?.parse().ok()?,
            restart: fields.next()?.parse().ok()?,
            instance: u64::from_str_radix(fields.next()?, 16).ok()?,
            nonce: u64::from_str_radix(fields.next()?, 16).ok()?,
        };
        fields.next().is_none().then_some(row)
    }
}

/// What a request saw of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Whether other instances see writes, and whether they survive.
    pub outcomes: [Outcome; 2],
    /// For the next request; `None` where the run cannot go on.
    pub token: Option<Token>,
}

impl Progress {
    fn new(instances: Result<Seen, StoreError>, restart: Seen, token: Option<Token>) -> Self {
        let outcomes = [
            Outcome::new(Check::Instances, instances),
            Outcome::new(Check::Restart, Ok(restart)),
        ];
        Self { outcomes, token }
    }

    fn failed(error: StoreError) -> Self {
        Self::new(Err(error), Finding::RestartUntested.into(), None)
    }
}

/// Begins a run.
pub fn begin(host: &impl Host) -> Progress {
    let id = host.random();
    let token = Token { id, writes: 1 };
    let row = Row {
        writes: 1,
        other: false,
        restart: false,
        instance: host.instance(),
        nonce: host.random(),
    };
    let written = host
        .open()
        .and_then(|store| store.set(&token.key(), row.to_text().as_bytes()));
    match written {
        Ok(()) => Progress::new(
            Ok(Finding::InstancesUntested.into()),
            Finding::RestartUntested.into(),
            Some(token),
        ),
        Err(error) => Progress::failed(error),
    }
}

/// Goes on with a run. `restarted` says that the host was killed and started again.
pub fn go_on(host: &impl Host, token: Token, restarted: bool) -> Progress {
    match step(host, token, restarted) {
        Ok(progress) => progress,
        Err(error) => Progress::failed(error),
    }
}

fn step(host: &impl Host, token: Token, restarted: bool) -> Result<Progress, StoreError> {
    let store = host.open()?;
    let key = token.key();
    let fresh = |bytes: Option<Vec<u8>>| {
        let row = bytes.and_then(|bytes| Row::from_bytes(&bytes));
        row.filter(|row| row.writes >= token.writes)
    };
    let mut attempt = 1;
    loop {
        // A plain read first: that of a swap may be stronger.
        let plain = store.get(&key)?;
        let (cas, read) = store.begin(&key)?;
        let (Some(_), Some(row)) = (fresh(plain), fresh(read)) else {
            return Ok(lost(token, restarted));
        };
        let is_other = row.instance != host.instance();
        let new = Row {
            writes: row.writes + 1,
            other: row.other || is_other && !restarted,
            restart: row.restart || is_other && restarted,
            instance: host.instance(),
            nonce: host.random(),
        };
        let swapped = store.swap(cas, new.to_text().as_bytes());
        let now = store.get(&key)?.and_then(|bytes| Row::from_bytes(&bytes));
        // A swap may have written whatever it said.
        let was_written = swapped.won() || now == Some(new);
        // Where others were always faster, what was seen is true all the same, and only not noted.
        if was_written || attempt == ATTEMPTS {
            let writes = if was_written { new.writes } else { row.writes };
            return Ok(seen(Token { writes, ..token }, new, is_other));
        }
        attempt += 1;
    }
}

/// The row is missing or older than what an earlier response said.
fn lost(token: Token, restarted: bool) -> Progress {
    let writes = token.writes;
    let what = format!("the row of this run is missing, or older than its write number {writes}");
    let (instances, restart) = if restarted {
        let restart = Seen::new(Finding::RestartLost, what);
        (Finding::InstancesUntested.into(), restart)
    } else {
        let instances = Seen::new(Finding::InstancesStale, what);
        (instances, Finding::RestartUntested.into())
    };
    Progress::new(Ok(instances), restart, None)
}

/// The row was as it should be, and is to be `row`.
fn seen(token: Token, row: Row, is_other: bool) -> Progress {
    // Why this request tested nothing.
    let what = if is_other {
        ""
    } else {
        "the instance that wrote last answered this request, too"
    };
    let instances = if row.other {
        Finding::InstancesFresh.into()
    } else {
        Seen::new(Finding::InstancesUntested, what)
    };
    let restart = if row.restart {
        Finding::RestartKept.into()
    } else {
        Seen::new(Finding::RestartUntested, what)
    };
    Progress::new(Ok(instances), restart, Some(token))
}
