//! A device's side of anonymous domains.
//!
//! A [`Device`] has a [`Home`](home::Home), the directory with its identity and the domains it is
//! in, and a [`Client`](client::Client) that talks to domain servers. It can
//! [`join`](Device::join) a domain, [`leave`](Device::leave) it in two phases, and
//! [`verify`](Device::verify) what it holds without asking anyone.
//!
//! ```no_run
//! use anonymous_domains_device::client::Client;
//! use anonymous_domains_device::domain_url::DomainUrl;
//! use anonymous_domains_device::home::Home;
//! use anonymous_domains_device::{Device, JoinOptions};
//!
//! let device = Device::new(Home::new("/var/lib/player"), Client::new(Default::default()));
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
pub mod home;
pub mod membership;

mod device;

pub use device::{Device, JoinOptions, Joined, Left, Verification};
