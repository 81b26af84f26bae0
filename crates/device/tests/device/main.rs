//! The device against a small domain server in this process: joining, leaving in two phases,
//! retrying, certificate paths, and the command line.

mod ca;
mod certificate;
mod command;
mod join;
mod leave;
mod retry;
mod server;

use std::time::Duration;

use anonymous_domains_device::{
    Device,
    client::{Client, ClientOptions, RetryPolicy},
    domain_url::DomainUrl,
    state_directory::StateDirectory,
};
use server::Server;
use tempfile::TempDir;

/// A device in a directory of its own, and the URL of `living-room` at a server.
struct Setup {
    server: Server,
    directory: TempDir,
    device: Device,
    url: DomainUrl,
}

impl Setup {
    /// A device that tries each request `attempts` times, without waiting in between.
    fn new(attempts: u32) -> Self {
        let server = Server::start();
        let directory = tempfile::tempdir().unwrap();
        Self {
            device: device(&directory, attempts),
            url: DomainUrl::parse(&server.url("living-room")).unwrap(),
            directory,
            server,
        }
    }

    /// The same device with other numbers of attempts, as if the program was started again.
    fn restarted(&mut self, attempts: u32) {
        self.device = device(&self.directory, attempts);
    }

    fn join(&self) -> Vec<u64> {
        let joined = self.device.join(&self.url, Default::default()).unwrap();
        joined.membership.key_versions()
    }

    /// The stored versions, all of which must verify.
    fn verified(&self) -> Vec<u64> {
        let verifications = self.device.verify(Some(&self.url)).unwrap();
        assert_eq!(verifications[0].faults, [""; 0]);
        verifications[0].membership.key_versions()
    }

    fn is_kept(&self) -> bool {
        self.device
            .state_directory()
            .membership(&self.url)
            .unwrap()
            .is_some()
    }
}

fn device(directory: &TempDir, attempts: u32) -> Device {
    let client = Client::new(ClientOptions {
        retry: RetryPolicy {
            attempts,
            base_delay: Duration::ZERO,
            max_delay: Duration::ZERO,
        },
        ..ClientOptions::default()
    });
    Device::new(StateDirectory::new(directory.path()), client)
}
