//! The operator's side of anonymous domains.
//!
//! An [`Admin`] calls one server's `/admin/v1`. It [lists](Admin::domains) domains and their members
//! page by page, and changes them so that two operators do not undo each other's work.
//!
//! [`cells`] are several servers, each with domains of its own. [`transfer`] moves domains from one server to another, and [`check`] reads a whole store.
//!
//! Each module uses only modules before it: `audit`, `advice`, `error`, `pages`, `server_url`, `settings`,
//! `admin`, `cells`, `health`, `rotation`, `check`, `transfer`; and in the command `args`,
//! `certificate`, `table`, `report`, `progress`, `rotate`, `checks`, `transfers`, `servers`.
//!
//! ```no_run
//! use anonymous_domains_client::{Client, ClientOptions, Token};
//! use anonymous_domains_domainctl::{Admin, ServerUrl, SettingsChange};
//! use anonymous_domains_protocol::ids::DomainName;
//!
//! let token = Token::parse("the server's admin token, without spaces".replace(' ', "-").as_str())?;
//! let client = Client::new(ClientOptions { token: Some(token), ..ClientOptions::default() });
//! let admin = Admin::new(ServerUrl::parse("https://domains.example")?, client);
//! let room = DomainName::parse("living-room")?;
//! let change = SettingsChange { max_membership: Some(Some(7)), ..SettingsChange::default() };
//! admin.set(&room, &change, false)?;
//! for member in admin.members(&room, Default::default()) {
//!     println!("{}", member?.machine_guid);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod advice;
pub mod audit;
pub mod cells;
pub mod check;
pub mod error;
pub mod transfer;

mod admin;
mod health;
mod pages;
mod rotation;
mod server_url;
mod settings;

pub use admin::{Admin, Tagged};
pub use health::health;
pub use pages::{List, Pages, Paging};
pub use rotation::ResealProgress;
pub use server_url::{InvalidServerUrl, ServerUrl};
pub use settings::{SetOutcome, SettingsChange};
