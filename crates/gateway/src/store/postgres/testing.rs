//! Real PostgreSQL servers for a test.

use anonymous_domains_testkit::{Authentication, PostgresServer};

use super::{Address, CONNECTIONS, PostgresStore};
use crate::store::{
    shared::{Credentials, SharedStore as _},
    testing::DEADLINE,
};

/// A server with more settings, `name=value`.
pub(crate) fn server(options: &[&str]) -> PostgresServer {
    PostgresServer::start(Authentication::Trust, options).expect("a PostgreSQL server")
}

/// The address of a URL.
pub(crate) fn address(url: &str) -> Address {
    Address::new(url, Credentials::default()).expect("an address")
}

/// A store at a URL, with its table.
pub(crate) async fn store(url: &str) -> PostgresStore {
    let store = PostgresStore::connect(address(url), CONNECTIONS, DEADLINE)
        .await
        .expect("a store");
    store.prepare().await.expect("a table");
    store
}
