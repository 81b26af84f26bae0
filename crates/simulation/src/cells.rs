//! What a store holds, and what each call does to it, in one instant and without faults.

use std::{collections::BTreeMap, rc::Rc};

use crate::{behaviour::Behaviour, random::Digest};

/// The text of an error that a host gives.
pub type HostError = &'static str;

/// What the start of a compare-and-swap saw, and the value.
pub type Begun = (Seen, Option<Rc<[u8]>>);

/// A value and what a host knows of it.
#[derive(Debug, Clone)]
pub struct Cell {
    pub value: Value,
    /// Changes with every write: Cosmos DB's etag, and what Redis's WATCH notices.
    pub write: u64,
    /// DynamoDB's version attribute.
    version: Option<u64>,
    /// A hash of the key and all that a later call could find out about the cell.
    hash: u64,
    /// What the cell was before, and until when a stale read may give that.
    former: Option<(Option<Rc<[u8]>>, i64)>,
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bytes(Rc<[u8]>),
    /// A number of Cosmos DB's, which is no value to a reader.
    Counter(i64),
}

impl Value {
    pub fn bytes(&self) -> Option<&Rc<[u8]>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Counter(_) => None,
        }
    }
}

/// What a compare-and-swap remembers of its row.
#[derive(Debug, Clone)]
pub enum Seen {
    Missing,
    Bytes(Rc<[u8]>),
    Write(u64),
    Version(u64),
}

/// How long a stale read may lag behind, in milliseconds.
const STALE_MS: i64 = 1000;

/// All cells of a store.
#[derive(Debug, Clone)]
pub struct Cells {
    behaviour: Behaviour,
    map: BTreeMap<Rc<str>, Cell>,
    writes: u64,
    broken: bool,
    /// The sum of the cells' hashes.
    digest: u64,
}

impl Cells {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            map: BTreeMap::new(),
            writes: 0,
            broken: false,
            digest: 0,
        }
    }

    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// How many writes there have been.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    fn usable(&self) -> Result<(), HostError> {
        if self.broken {
            return Err("the store's mutex is poisoned");
        }
        Ok(())
    }

    pub fn get(&self, key: &str) -> Result<Option<Rc<[u8]>>, HostError> {
        self.usable()?;
        match self.map.get(key).map(|cell| &cell.value) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.clone())),
            Some(Value::Counter(_)) => Err("the item cannot be decoded"),
        }
    }

    /// What a read that lags behind gives, if it lags.
    pub fn get_stale(&self, key: &str, now_ms: i64) -> Option<Option<Rc<[u8]>>> {
        let (bytes, until) = self.map.get(key)?.former.as_ref()?;
        (now_ms < *until).then(|| bytes.clone())
    }

    pub fn begin(&self, key: &str) -> Result<Begun, HostError> {
        let value = self.get(key)?;
        let seen = match (&value, self.map.get(key)) {
            (Some(bytes), Some(cell)) => match (self.behaviour, cell.version) {
                (Behaviour::SpinSqlite, _) => Seen::Bytes(bytes.clone()),
                (Behaviour::DynamoDb | Behaviour::DynamoDbStale, Some(version)) => {
                    Seen::Version(version)
                }
                (Behaviour::DynamoDb | Behaviour::DynamoDbStale, None) => {
                    Seen::Bytes(bytes.clone())
                }
                _ => Seen::Write(cell.write),
            },
            _ => Seen::Missing,
        };
        Ok((seen, value))
    }

    /// Whether a swap would write.
    pub fn would_swap(&self, key: &str, seen: &Seen) -> bool {
        match (seen, self.map.get(key)) {
            (Seen::Missing, None) => true,
            (Seen::Missing, Some(_)) => self.behaviour == Behaviour::SpinSqlite,
            (_, None) => false,
            (Seen::Bytes(old), Some(cell)) => cell.value.bytes() == Some(old),
            (Seen::Write(write), Some(cell)) => cell.write == *write,
            (Seen::Version(version), Some(cell)) => cell.version == Some(*version),
        }
    }

    /// Whether the swap wrote.
    pub fn swap(
        &mut self,
        key: &str,
        seen: &Seen,
        value: &[u8],
        now_ms: i64,
    ) -> Result<bool, HostError> {
        self.usable()?;
        let unchanged = self.would_swap(key, seen);
        if unchanged {
            let cell = self.map.get(key);
            let version = cell.and_then(|cell| cell.version).unwrap_or(0) + 1;
            self.write(key, Value::Bytes(value.into()), Some(version), now_ms);
        }
        Ok(unchanged)
    }

    pub fn set(&mut self, key: &str, value: &[u8], now_ms: i64) -> Result<(), HostError> {
        self.usable()?;
        self.write(key, Value::Bytes(value.into()), None, now_ms);
        Ok(())
    }

    pub fn delete(&mut self, key: &str) -> Result<(), HostError> {
        self.usable()?;
        if let Some(cell) = self.map.remove(key) {
            self.digest = self.digest.wrapping_sub(cell.hash);
        }
        self.writes += 1;
        Ok(())
    }

    /// The first half of an increment: what it read. For most hosts nothing else happens yet.
    pub fn begin_increment(&mut self, key: &str) -> Result<Option<i64>, HostError> {
        self.usable()?;
        let number = match self.map.get(key).map(|cell| &cell.value) {
            None => None,
            Some(Value::Counter(number)) => Some(*number),
            Some(Value::Bytes(bytes)) => Some(match self.behaviour {
                Behaviour::Contract | Behaviour::SpinSqlite => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(&**bytes) {
                        i64::from_le_bytes(bytes)
                    } else {
                        self.broken = self.behaviour == Behaviour::SpinSqlite;
                        return Err("the value is not eight bytes");
                    }
                }
                Behaviour::SpinRedis | Behaviour::DynamoDb | Behaviour::DynamoDbStale => {
                    let text = std::str::from_utf8(bytes).map_err(|_| "not an integer")?;
                    text.parse().map_err(|_| "not an integer")?
                }
                Behaviour::CosmosDb => return Err("the value is not a number"),
            }),
        };
        Ok(number)
    }

    /// The second half of an increment: writes the sum.
    pub fn finish_increment(
        &mut self,
        key: &str,
        sum: i64,
        read: Option<i64>,
        now_ms: i64,
    ) -> Result<i64, HostError> {
        if self.begin_increment(key)? != read {
            return Err("the condition of the transaction failed");
        }
        let value = match self.behaviour {
            Behaviour::CosmosDb => Value::Counter(sum),
            Behaviour::Contract | Behaviour::SpinSqlite => {
                Value::Bytes(sum.to_le_bytes().as_slice().into())
            }
            _ => Value::Bytes(sum.to_string().into_bytes().into()),
        };
        let version = self.map.get(key).and_then(|cell| cell.version);
        self.write(key, value, version, now_ms);
        Ok(sum)
    }

    fn write(&mut self, key: &str, value: Value, version: Option<u64>, now_ms: i64) {
        self.writes += 1;
        let mut digest = Digest::default();
        digest.bytes(key.as_bytes());
        match &value {
            Value::Bytes(bytes) => digest.bytes(bytes),
            Value::Counter(number) => digest.number(*number as u64),
        }
        digest.number(version.map_or(0, |version| version + 1));
        let mut cell = Cell {
            value,
            write: self.writes,
            version,
            hash: digest.value(),
            former: Some((None, now_ms + STALE_MS)),
        };
        self.digest = self.digest.wrapping_add(cell.hash);
        match self.map.get_mut(key) {
            Some(before) => {
                self.digest = self.digest.wrapping_sub(before.hash);
                let former = before.value.bytes().cloned();
                cell.former = Some((former, now_ms + STALE_MS));
                *before = cell;
            }
            None => {
                self.map.insert(key.into(), cell);
            }
        }
    }

    /// A hash of all that a later call could find out about the cells.
    pub fn digest(&self) -> u64 {
        self.digest ^ u64::from(self.broken)
    }
}
