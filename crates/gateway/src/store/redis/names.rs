//! The names of the keys in the Redis.

/// What the name of every key in the Redis begins with.
pub const PREFIX: &str = "anonymous-domains-gateway:";

/// The key that holds a row.
pub(super) fn row(key: &str) -> String {
    format!("{PREFIX}row:{key}")
}

/// The key that says which secrets the store belongs to.
pub(super) fn claim() -> String {
    format!("{PREFIX}store")
}

/// The key that holds the set of all secrets that gateways of the store have had.
pub(super) fn claimed_keys() -> String {
    format!("{PREFIX}store-keys")
}
