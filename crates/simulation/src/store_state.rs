//! The state of a store, and the effect of each call on it: atomic and without faults.

use std::{collections::BTreeMap, rc::Rc};

use crate::{random::Digest, store_model::StoreModel};

/// The text of a host's error.
pub type HostError = &'static str;

/// The result of the read that begins a compare-and-swap.
pub type Begun = (Seen, Option<Rc<[u8]>>);

/// A row, with what the host keeps beside its value.
#[derive(Debug, Clone)]
struct Row {
    value: Value,
    /// The number of the last write. This is Cosmos DB's etag, and what Redis's WATCH compares.
    write: u64,
    /// DynamoDB's version attribute.
    version: Option<u64>,
    /// A hash of the key and of all that a later call can observe of the row.
    hash: u64,
    /// The value before the last write, and until when a stale read may return it.
    former: Option<(Option<Rc<[u8]>>, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Bytes(Rc<[u8]>),
    /// A number that Cosmos DB's increment made. It cannot be read as a value.
    Counter(i64),
}

impl Value {
    fn bytes(&self) -> Option<&Rc<[u8]>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Counter(_) => None,
        }
    }
}

/// What a compare-and-swap compares its row with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Missing,
    Bytes(Rc<[u8]>),
    Write(u64),
    Version(u64),
}

impl Seen {
    pub fn digest(&self, digest: &mut Digest) {
        match self {
            Self::Missing => digest.number(0),
            Self::Bytes(bytes) => digest.bytes(bytes),
            Self::Write(number) | Self::Version(number) => digest.number(*number),
        }
    }
}

/// A write's unique number, and its time in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub number: u64,
    pub now_ms: i64,
}

/// How long a stale read may return the value before a write, in milliseconds.
const STALE_MS: i64 = 1000;

/// The rows of a store. Clones share them until one is written.
#[derive(Debug, Clone)]
pub struct StoreState {
    model: StoreModel,
    rows: Rc<BTreeMap<Rc<str>, Row>>,
    broken: bool,
    /// The sum of the rows' hashes.
    digest: u64,
}

impl StoreState {
    pub fn new(model: StoreModel) -> Self {
        Self {
            model,
            rows: Rc::default(),
            broken: false,
            digest: 0,
        }
    }

    pub fn model(&self) -> StoreModel {
        self.model
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn usable(&self) -> Result<(), HostError> {
        if self.broken {
            return Err("the store's mutex is poisoned");
        }
        Ok(())
    }

    pub fn get(&self, key: &str) -> Result<Option<Rc<[u8]>>, HostError> {
        self.usable()?;
        match self.rows.get(key).map(|row| &row.value) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.clone())),
            Some(Value::Counter(_)) => Err("the item cannot be decoded"),
        }
    }

    /// The result of a stale read, if the row was written recently.
    pub fn get_stale(&self, key: &str, now_ms: i64) -> Option<Option<Rc<[u8]>>> {
        let (bytes, until) = self.rows.get(key)?.former.as_ref()?;
        (now_ms < *until).then(|| bytes.clone())
    }

    pub fn begin(&self, key: &str) -> Result<Begun, HostError> {
        let value = self.get(key)?;
        let seen = match (&value, self.rows.get(key)) {
            (Some(bytes), Some(row)) => match (self.model, row.version) {
                (StoreModel::SpinSqlite, _) => Seen::Bytes(bytes.clone()),
                (StoreModel::DynamoDb | StoreModel::DynamoDbStale, Some(version)) => {
                    Seen::Version(version)
                }
                (StoreModel::DynamoDb | StoreModel::DynamoDbStale, None) => {
                    Seen::Bytes(bytes.clone())
                }
                _ => Seen::Write(row.write),
            },
            _ => Seen::Missing,
        };
        Ok((seen, value))
    }

    /// Whether a swap would write.
    fn would_swap(&self, key: &str, seen: &Seen) -> bool {
        match (seen, self.rows.get(key)) {
            (Seen::Missing, None) => true,
            (Seen::Missing, Some(_)) => self.model == StoreModel::SpinSqlite,
            (_, None) => false,
            (Seen::Bytes(old), Some(row)) => row.value.bytes() == Some(old),
            (Seen::Write(write), Some(row)) => row.write == *write,
            (Seen::Version(version), Some(row)) => row.version == Some(*version),
        }
    }

    /// Swaps, and says whether that wrote.
    pub fn swap(
        &mut self,
        key: &Rc<str>,
        seen: &Seen,
        value: Rc<[u8]>,
        stamp: Stamp,
    ) -> Result<bool, HostError> {
        self.usable()?;
        let unchanged = self.would_swap(key, seen);
        if unchanged {
            let row = self.rows.get(key);
            let version = row.and_then(|row| row.version).unwrap_or(0) + 1;
            self.write(key, Value::Bytes(value), Some(version), stamp);
        }
        Ok(unchanged)
    }

    pub fn set(&mut self, key: &Rc<str>, value: Rc<[u8]>, stamp: Stamp) -> Result<(), HostError> {
        self.usable()?;
        self.write(key, Value::Bytes(value), None, stamp);
        Ok(())
    }

    pub fn delete(&mut self, key: &str) -> Result<(), HostError> {
        self.usable()?;
        if let Some(row) = Rc::make_mut(&mut self.rows).remove(key) {
            self.digest = self.digest.wrapping_sub(row.hash);
        }
        Ok(())
    }

    /// The read of an increment.
    pub fn read_number(&mut self, key: &str) -> Result<Option<i64>, HostError> {
        self.usable()?;
        let number = match self.rows.get(key).map(|row| &row.value) {
            None => None,
            Some(Value::Counter(number)) => Some(*number),
            Some(Value::Bytes(bytes)) => Some(match self.model {
                StoreModel::Contract | StoreModel::SpinSqlite => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(&**bytes) {
                        i64::from_le_bytes(bytes)
                    } else {
                        self.broken = self.model == StoreModel::SpinSqlite;
                        return Err("the value is not eight bytes");
                    }
                }
                StoreModel::SpinRedis | StoreModel::DynamoDb | StoreModel::DynamoDbStale => {
                    let text = std::str::from_utf8(bytes).map_err(|_| "not an integer")?;
                    text.parse().map_err(|_| "not an integer")?
                }
                StoreModel::CosmosDb => return Err("the value is not a number"),
            }),
        };
        Ok(number)
    }

    /// The write of an increment. It fails if the row is not what was read.
    pub fn write_number(
        &mut self,
        key: &Rc<str>,
        sum: i64,
        read: Option<i64>,
        stamp: Stamp,
    ) -> Result<(), HostError> {
        if self.read_number(key)? != read {
            return Err("the condition of the transaction failed");
        }
        let value = match self.model {
            StoreModel::CosmosDb => Value::Counter(sum),
            StoreModel::Contract | StoreModel::SpinSqlite => {
                Value::Bytes(sum.to_le_bytes().as_slice().into())
            }
            _ => Value::Bytes(sum.to_string().into_bytes().into()),
        };
        let version = self.rows.get(key).and_then(|row| row.version);
        self.write(key, value, version, stamp);
        Ok(())
    }

    fn write(&mut self, key: &Rc<str>, value: Value, version: Option<u64>, stamp: Stamp) {
        let mut digest = Digest::default();
        digest.bytes(key.as_bytes());
        match &value {
            Value::Bytes(bytes) => digest.bytes(bytes),
            Value::Counter(number) => digest.number(*number as u64),
        }
        digest.number(version.map_or(0, |version| version + 1));
        digest.number(stamp.number);
        let until = stamp.now_ms + STALE_MS;
        let mut row = Row {
            value,
            write: stamp.number,
            version,
            hash: digest.value(),
            former: Some((None, until)),
        };
        self.digest = self.digest.wrapping_add(row.hash);
        let rows = Rc::make_mut(&mut self.rows);
        match rows.get_mut(key) {
            Some(before) => {
                self.digest = self.digest.wrapping_sub(before.hash);
                let former = before.value.bytes().cloned();
                row.former = Some((former, until));
                *before = row;
            }
            None => {
                rows.insert(key.clone(), row);
            }
        }
    }

    /// A hash of all that later calls can observe.
    pub fn digest(&self) -> u64 {
        self.digest ^ u64::from(self.broken)
    }
}
