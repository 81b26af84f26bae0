//! The calls that a request makes to its store, and their answers.

use std::rc::Rc;

use crate::{
    random::Digest,
    store_state::{HostError, Seen},
};

/// A value in a store.
pub type Bytes = Rc<[u8]>;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Get(Rc<str>),
    Set(Rc<str>, Bytes),
    Delete(Rc<str>),
    Begin(Rc<str>),
    Swap(Rc<str>, Seen, Bytes),
    /// An increment on a store that does it in one call.
    Increment(Rc<str>, i64),
    /// The read of an increment, on a store that reads and writes in two calls.
    ReadNumber(Rc<str>),
    /// The write of an increment. It fails if the row is not what was read.
    WriteNumber {
        key: Rc<str>,
        sum: i64,
        read: Option<i64>,
    },
}

/// The kind of a call decides which faults it may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Swap,
}

impl Call {
    pub fn key(&self) -> &Rc<str> {
        match self {
            Self::Get(key)
            | Self::Set(key, _)
            | Self::Delete(key)
            | Self::Begin(key)
            | Self::Swap(key, ..)
            | Self::Increment(key, _)
            | Self::ReadNumber(key)
            | Self::WriteNumber { key, .. } => key,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Get(_) | Self::Begin(_) | Self::ReadNumber(_) => Kind::Read,
            Self::Swap(..) => Kind::Swap,
            _ => Kind::Write,
        }
    }

    /// The call and its answer, for traces.
    pub fn show(&self, answer: &Answer) -> String {
        let (what, value) = match self {
            Self::Get(_) => ("get", None),
            Self::Set(_, value) => ("set", Some(value)),
            Self::Delete(_) => ("delete", None),
            Self::Begin(_) => ("begin", None),
            Self::Swap(_, _, value) => ("swap", Some(value)),
            Self::Increment(..) => ("increment", None),
            Self::ReadNumber(_) => ("increment reads", None),
            Self::WriteNumber { .. } => ("increment writes", None),
        };
        let value = value.map(|value| format!(" to {}", show(Some(value))));
        let answer = match answer {
            Answer::Start | Answer::Awake => "nothing".to_owned(),
            Answer::Value(value) | Answer::Begun(_, value) => show(value.as_ref()),
            Answer::Done => "done".to_owned(),
            Answer::Swapped(true) => "WON".to_owned(),
            Answer::Swapped(false) => "FAILED".to_owned(),
            Answer::Number(number) => format!("{number:?}"),
            Answer::Error(why) => format!("ERROR {why}"),
        };
        let key = short(self.key());
        format!("{what} {key}{}: {answer}", value.unwrap_or_default())
    }
}

/// A value, for traces.
fn show(value: Option<&Bytes>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(bytes) if bytes.len() <= 8 => format!("{bytes:02x?}"),
        Some(bytes) => {
            let revisions = usize::from(bytes[1]);
            format!("{} bytes, {revisions} revisions", bytes.len())
        }
    }
}

/// A key, for traces. Keys are long; their last digits tell them apart.
pub fn short(key: &str) -> String {
    let key = key.strip_prefix("anonymous-domains:").unwrap_or(key);
    match key.rsplit_once(':') {
        Some((table, id)) => format!("{table}:{}", &id[id.len().saturating_sub(4)..]),
        None => key.to_owned(),
    }
}

/// What a request is resumed with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It starts.
    Start,
    /// It has slept.
    Awake,
    Value(Option<Bytes>),
    Begun(Seen, Option<Bytes>),
    Done,
    /// Whether a swap reports that it wrote.
    Swapped(bool),
    Number(Option<i64>),
    Error(HostError),
}

impl Answer {
    /// A hash of the answer.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::default();
        match self {
            Self::Start => digest.number(1),
            Self::Awake => digest.number(2),
            Self::Value(None) => digest.number(3),
            Self::Value(Some(value)) => digest.bytes(value),
            Self::Begun(seen, value) => {
                seen.digest(&mut digest);
                match value {
                    None => digest.number(4),
                    Some(value) => digest.bytes(value),
                }
            }
            Self::Done => digest.number(5),
            Self::Swapped(won) => digest.number(6 + u64::from(*won)),
            Self::Number(None) => digest.number(8),
            Self::Number(Some(number)) => digest.number(9 + *number as u64),
            Self::Error(why) => digest.bytes(why.as_bytes()),
        }
        digest.value()
    }
}
