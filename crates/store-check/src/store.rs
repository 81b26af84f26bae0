//! The host's key-value store, as the server uses it.

/// What a host gives to a component.
pub trait Host {
    /// Its store.
    type Store: Store;

    /// Opens the bucket `default`. Each call makes a handle of its own.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn open(&self) -> Result<Self::Store, StoreError>;

    /// A random number.
    fn random(&self) -> u64;

    /// A random number that stays the same for an instance's life.
    fn instance(&self) -> u64;
}

/// A handle on the host's key-value store.
///
/// The same operations, in the same order, as the server's own `Store` makes them.
pub trait Store {
    /// A compare-and-swap that has read its row and may be swapped once.
    type Cas;

    /// The value of a key, `None` where there is none.
    ///
    /// # Errors
    /// The store's.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a value whatever is there.
    ///
    /// # Errors
    /// The store's.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a key.
    ///
    /// # Errors
    /// The store's.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds to a number, and gives the sum.
    ///
    /// # Errors
    /// The store's.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// Begins a compare-and-swap: reads the row.
    ///
    /// # Errors
    /// The store's.
    fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError>;

    /// Writes `value` if the row is still what [`begin`](Self::begin) read.
    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Swapped<Self::Cas>;
}

/// What the host said of a swap.
#[derive(Debug)]
pub enum Swapped<Cas> {
    /// That it was done.
    Won,
    /// That the row was changed. Here is the handle that it returned, and what that read.
    Failed(Cas, Option<Vec<u8>>),
    /// An error, of the swap or of reading the row again.
    Unknown(StoreError),
}

impl<Cas> Swapped<Cas> {
    /// Whether the host said that it was done.
    pub fn won(&self) -> bool {
        matches!(self, Self::Won)
    }

    /// What it said, in words.
    pub fn said(&self) -> String {
        match self {
            Self::Won => "success".into(),
            Self::Failed(..) => "\"failed\"".into(),
            Self::Unknown(error) => format!("an error ({error})"),
        }
    }
}

/// The store did not do as it was asked, and said why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);
