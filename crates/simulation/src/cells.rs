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
    /// The last write's own number: Cosmos DB's etag, and what Redis's WATCH notices.
    write: u64,
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

/// A write's number, which no other has, and when it is, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub number: u64,
    pub now_ms: i64,
}

/// How long a stale read may lag behind, in milliseconds.
const STALE_MS: i64 = 1000;

/// All cells of a store. A copy costs little until one of the two is written.
#[derive(Debug, Clone)]
pub struct Cells {
    behaviour: Behaviour,
    map: Rc<BTreeMap<Rc<str>, Cell>>,
    broken: bool,
    /// The sum of the cells' hashes.
    digest: u64,
}

impl Cells {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            map: Rc::default(),
            broken: false,
            digest: 0,
        }
    }

    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
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
    fn would_swap(&self, key: &str, seen: &Seen) -> bool {
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
        key: &Rc<str>,
        seen: &Seen,
        value: Rc<[u8]>,
        stamp: Stamp,
    ) -> Result<bool, HostError> {
        self.usable()?;
        let unchanged = self.would_swap(key, seen);
        if unchanged {
            let cell = self.map.get(key);
            let version = cell.and_then(|cell| cell.version).unwrap_or(0) + 1;
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
        if let Some(cell) = Rc::make_mut(&mut self.map).remove(key) {
            self.digest = self.digest.wrapping_sub(cell.hash);
        }
        Ok(())
    }

    /// What an increment reads before it writes.
    pub fn read_number(&mut self, key: &str) -> Result<Option<i64>, HostError> {
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

    /// What an increment writes, if its row is still what it read.
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
        let value = match self.behaviour {
            Behaviour::CosmosDb => Value::Counter(sum),
            Behaviour::Contract | Behaviour::SpinSqlite => {
                Value::Bytes(sum.to_le_bytes().as_slice().into())
            }
            _ => Value::Bytes(sum.to_string().into_bytes().into()),
        };
        let version = self.map.get(key).and_then(|cell| cell.version);
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
        let mut cell = Cell {
            value,
            write: stamp.number,
            version,
            hash: digest.value(),
            former: Some((None, until)),
        };
        self.digest = self.digest.wrapping_add(cell.hash);
        let map = Rc::make_mut(&mut self.map);
        match map.get_mut(key) {
            Some(before) => {
                self.digest = self.digest.wrapping_sub(before.hash);
                let former = before.value.bytes().cloned();
                cell.former = Some((former, until));
                *before = cell;
            }
            None => {
                map.insert(key.clone(), cell);
            }
        }
    }

    /// A hash of all that a later call could find out about the cells.
    pub fn digest(&self) -> u64 {
        self.digest ^ u64::from(self.broken)
    }
}
