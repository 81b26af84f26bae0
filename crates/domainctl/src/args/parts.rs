//! Groups of arguments.

use anonymous_domains_domainctl::{Paging, SettingsChange};
use anonymous_domains_protocol::ids::{DomainName, MachineGuid};
use clap::Args;

/// One domain, or all.
#[derive(Args)]
pub struct Domains {
    /// The domain
    #[arg(value_parser = DomainName::parse, required_unless_present = "all")]
    #[arg(conflicts_with_all = ["all", "after"])]
    pub domain: Option<DomainName>,
    /// All domains
    #[arg(long)]
    pub all: bool,
    /// Only the domains after this one, as an interrupted command printed at its end
    #[arg(long, value_name = "DOMAIN", requires = "all")]
    pub after: Option<String>,
}

/// One machine in a domain.
#[derive(Args)]
pub struct Machine {
    /// The domain
    #[arg(value_parser = DomainName::parse)]
    pub domain: DomainName,
    /// The machine's GUID
    #[arg(value_name = "GUID", value_parser = MachineGuid::parse)]
    pub machine: MachineGuid,
}

/// The part of a list to print.
#[derive(Args)]
pub struct Part {
    /// List at most this many, instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Start after this, which an earlier list with --limit printed at its end
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

impl From<&Part> for Paging {
    fn from(part: &Part) -> Self {
        Self {
            limit: part.limit,
            after: part.after.clone(),
        }
    }
}

/// What to change of a domain's settings.
#[derive(Args)]
pub struct SettingsArguments {
    /// Whether devices need a token to join and to leave [new domains: false]
    #[arg(long, value_name = "BOOL")]
    authentication_required: Option<bool>,
    /// The namespace that tokens must have [new domains: any]
    #[arg(long, value_name = "NS", conflicts_with = "no_auth_namespace")]
    auth_namespace: Option<String>,
    /// Accept tokens of any namespace
    #[arg(long)]
    no_auth_namespace: bool,
    /// How many machines may be members; 0 admits none. Existing members stay [new domains: any
    /// number]
    #[arg(long, value_name = "N", conflicts_with = "no_maximum")]
    max_membership: Option<u64>,
    /// Allow any number of members
    #[arg(long)]
    no_maximum: bool,
}

impl From<&SettingsArguments> for SettingsChange {
    fn from(arguments: &SettingsArguments) -> Self {
        Self {
            authentication_required: arguments.authentication_required,
            auth_namespace: match &arguments.auth_namespace {
                Some(namespace) => Some(Some(namespace.clone())),
                None => arguments.no_auth_namespace.then_some(None),
            },
            max_membership: match arguments.max_membership {
                Some(maximum) => Some(Some(maximum)),
                None => arguments.no_maximum.then_some(None),
            },
        }
    }
}
