//! The device's side of anonymous domains.
//!
//! A [`Device`] has a [`StateDirectory`](state_directory::StateDirectory), which holds its identity
//! and its domains, and a [`Client`](client::Client) that talks to domain servers. It can
//! [`join`](Device::join) a domain, [`leave`](Device::leave) it in two phases, and
//! [`verify`](Device::verify) its credentials offline.
//!
//! Each module uses only modules before it: `advice`, `error`, `domain_url`, `client`, `membership`,
//! `state_directory`, `certificate`, `credentials`, `device`; and in the command `args`, `report`.
//!
//! ```no_run
//! use anonymous_domains_device::client::Client;
//! use anonymous_domains_device::domain_url::DomainUrl;
//! use anonymous_domains_device::state_directory::StateDirectory;
//! use anonymous_domains_device::{Device, JoinOptions};
//!
//! let state = StateDirectory::new("/var/lib/player");
//! let device = Device::new(state, Client::new(Default::default()));
//! let url = DomainUrl::parse("https://example.org/flashaccess/domainserver/living-room/")?;
//! let joined = device.join(&url, JoinOptions::default())?;
//! println!("key versions {:?}", joined.membership.key_versions());
//! # Ok::<(), anonymous_domains_device::error::DeviceError>(())
//! ```

#![forbid(unsafe_code)]

pub mod advice;
pub mod certificate;
pub mod client;
pub mod credentials;
pub mod domain_url;
pub mod error;
pub mod membership;
pub mod state_directory;

mod device;

pub use device::{Device, JoinOptions, Joined, Left, Verification};
