//! The command line.

mod parts;

use std::path::PathBuf;

use anonymous_domains_domainctl::ServerUrl;
use anonymous_domains_manual::{Manual, examples};
use anonymous_domains_protocol::ids::DomainName;
use clap::{Args, Parser, Subcommand};
pub use parts::{Domains, Machine, Part, SettingsArguments};

const AFTER_HELP: &str = "\
Exit codes:
  0  success
  1  the server refused, or check found something wrong
  2  the command line, or a file that it names, is wrong; or the command was not confirmed
  3  the server could not be reached, cannot work, or did not answer like a domain server

Several servers, each with domains of its own, are named by several --server:

  domainctl --server https://cell-1.example --server https://cell-2.example domain list

Then domain list, check and health ask all of them. A command about one domain finds the server that
has it: all must answer, and no other may have it. Other commands are for one server.

Environment:
  DOMAINCTL_SERVER      same as --server; several with spaces between them
  DOMAINCTL_TOKEN       the admin token itself, instead of --token-file
  DOMAINCTL_TOKEN_FILE  same as --token-file, if DOMAINCTL_TOKEN is not set

Examples:
  domainctl --token-file state/admin-token domain list
  domainctl --server https://domains.example --token-file admin-token domain list
  DOMAINCTL_TOKEN_FILE=admin-token domainctl domain set living-room --max-membership 5";

/// Administers a domain server: its domains, their members and their keys
///
/// Uses the server's /admin/v1, which requires an admin token.
#[derive(Parser)]
#[command(name = "domainctl", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(mut_subcommand("completions", Manual::examples_of("domainctl")))]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// The server's URL; may be repeated
    #[arg(
        long = "server",
        global = true,
        value_name = "URL",
        env = "DOMAINCTL_SERVER",
        hide_env = true,
        value_delimiter = ' '
    )]
    #[arg(default_value = "http://127.0.0.1:3000", value_parser = ServerUrl::parse)]
    pub servers: Vec<ServerUrl>,

    /// A file with the server's admin token
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Trust these CA certificates (PEM) for https, instead of the public ones
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        visible_alias = "tls-ca-file"
    )]
    pub ca_file: Option<PathBuf>,

    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Domains: list, show, create, change and delete them
    #[command(after_help = examples![
        "domainctl domain list",
        "domainctl domain show living-room",
        "domainctl domain set living-room --max-membership 5"
    ])]
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Members: list, remove and block them
    #[command(after_help = examples![
        "domainctl member list living-room",
        "domainctl member block living-room 1601d547-aa97-4429-a699-fa6b0d991983"
    ])]
    #[command(subcommand)]
    Member(MemberCommand),
    /// Show the versions of a domain's key, never a private one
    #[command(after_help = examples![
        "domainctl keys living-room",
        "domainctl keys living-room --json | jq -r '.keys[-1].kid'"
    ])]
    Keys {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
    },
    /// Have a new key made for the domain at the next registration
    #[command(after_help = examples!["domainctl rollover living-room"])]
    Rollover {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
    },
    /// Write domains to standard output, for import into another store
    ///
    /// The export has the domains' settings, keys, members and blocked machines as lines of JSON.
    /// Private keys are in it as the store has them: sealed, so that they open only in a server with
    /// the same key_encryption_key. Keep the file like the store.
    ///
    /// Machines may join and leave meanwhile. Who joins a domain during its export may be missing;
    /// where a member has left, the other server makes a new key for the domain.
    #[command(after_help = examples![
        "domainctl export > domains.jsonl",
        "domainctl export living-room kitchen > two.jsonl"
    ])]
    Export(ExportArguments),
    /// Import domains that were exported from another store
    ///
    /// Nothing is imported from a file that was cut off or changed, and no domain that is there
    /// already. Nobody can use a domain before all of it is imported. After an interruption, run the
    /// same command again: it goes on where it stopped.
    #[command(after_help = examples![
        "domainctl import domains.jsonl",
        "domainctl import domains.jsonl living-room --replace"
    ])]
    Import(ImportArguments),
    /// The keys under which the server seals domain keys in its store
    #[command(after_help = examples!["domainctl key-encryption-key reseal"])]
    #[command(subcommand)]
    KeyEncryptionKey(KeyEncryptionKeyCommand),
    /// The domain CA, which signs the certificates
    #[command(after_help = examples![
        "domainctl ca show",
        "domainctl ca reissue --all"
    ])]
    #[command(subcommand)]
    Ca(CaCommand),
    /// Check an audit log of a gateway; needs no server
    #[command(after_help = examples!["domainctl audit verify audit.log"])]
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check the store: read all of it, and print what is wrong
    ///
    /// One finding a line, and exit code 1 if something is wrong. Every row must be there and
    /// readable, private keys must open and fit their certificates, certificates must chain to a
    /// configured CA, and the members must be as many as were counted.
    #[command(after_help = examples![
        "domainctl check",
        "domainctl check --mend",
        "domainctl check --json | jq .findings"
    ])]
    Check {
        /// Finish what was left unfinished, and count members again where the number is wrong; no key
        /// and no member is ever deleted
        #[arg(long)]
        mend: bool,
    },
    /// Ask once whether the server can work; needs no token
    #[command(after_help = examples![
        "domainctl health",
        "domainctl health --server https://domains.example --json"
    ])]
    Health,
    /// What this command says of itself
    #[command(flatten)]
    Manual(Manual),
}

/// What to export.
#[derive(Args)]
pub struct ExportArguments {
    /// The domains [default: all]
    #[arg(value_name = "DOMAIN", value_parser = DomainName::parse)]
    pub domains: Vec<DomainName>,
}

/// What to import.
#[derive(Args)]
pub struct ImportArguments {
    /// The file that export wrote
    pub file: PathBuf,
    /// The domains [default: all in the file]
    #[arg(value_name = "DOMAIN", value_parser = DomainName::parse)]
    pub domains: Vec<DomainName>,
    /// Delete a domain that is there first, with its members and keys, unless it was imported from the
    /// same file
    #[arg(long)]
    pub replace: bool,
}

/// What to do with audit logs.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Say whether the chain of a log is whole, where it breaks, and how far it reaches
    ///
    /// Prints the number and the hash of the last record. Note them elsewhere: what was cut off at
    /// the end later shows only with --expect-seq or --expect-hash. The exit code is 1 if the chain
    /// breaks.
    #[command(after_help = examples![
        "domainctl audit verify audit.log.2 audit.log.1 audit.log",
        "domainctl audit verify audit.log --expect-seq 1200 --expect-hash \"$(cat noted)\""
    ])]
    Verify {
        /// The log's files, the oldest first
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The number of a record that must be there
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        expect_seq: Option<u64>,
        /// The SHA-256 of that record's line; without --expect-seq, of any record's
        #[arg(long, value_name = "HASH")]
        expect_hash: Option<String>,
    },
}

/// What to do with domains.
#[derive(Subcommand)]
pub enum DomainCommand {
    /// List the domains by name
    #[command(after_help = examples![
        "domainctl domain list",
        "domainctl domain list --limit 100 --after kitchen",
        "domainctl domain list --json | jq -r '.domains[].domain'"
    ])]
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Show a domain
    #[command(after_help = examples![
        "domainctl domain show living-room",
        "domainctl domain show living-room --json | jq .memberCount"
    ])]
    Show {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
    },
    /// Create a domain, or change the given settings
    ///
    /// Nothing is written if someone else changes the domain at the same moment.
    #[command(after_help = examples![
        "domainctl domain set living-room --max-membership 5",
        "domainctl domain set living-room --authentication-required true --auth-namespace home"
    ])]
    Set {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
        #[command(flatten)]
        settings: SettingsArguments,
        /// Write even if someone else changes the domain at the same moment
        #[arg(long)]
        force: bool,
    },
    /// Delete a domain with its members and keys; devices keep their credentials
    #[command(after_help = examples![
        "domainctl domain delete living-room",
        "domainctl domain delete living-room --yes"
    ])]
    Delete {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with members.
#[derive(Subcommand)]
pub enum MemberCommand {
    /// List a domain's members
    #[command(after_help = examples![
        "domainctl member list living-room",
        "domainctl member list living-room --blocked"
    ])]
    List {
        /// The domain
        #[arg(value_parser = DomainName::parse)]
        domain: DomainName,
        /// List the blocked machines instead
        #[arg(long)]
        blocked: bool,
        #[command(flatten)]
        part: Part,
    },
    /// Remove a member; the domain gets a new key, and the machine may join again
    #[command(after_help = examples![
        "domainctl member remove living-room 1601d547-aa97-4429-a699-fa6b0d991983"
    ])]
    Remove(Machine),
    /// Block a machine: remove it if it is a member, and refuse it from then on
    #[command(after_help = examples![
        "domainctl member block living-room 1601d547-aa97-4429-a699-fa6b0d991983"
    ])]
    Block(Machine),
    /// Let a blocked machine join again
    #[command(after_help = examples![
        "domainctl member unblock living-room 1601d547-aa97-4429-a699-fa6b0d991983"
    ])]
    Unblock(Machine),
}

impl MemberCommand {
    /// The domain that it is about.
    pub fn domain(&self) -> &DomainName {
        match self {
            Self::List { domain, .. } => domain,
            Self::Remove(machine) | Self::Block(machine) | Self::Unblock(machine) => {
                &machine.domain
            }
        }
    }
}

/// What to do with the key-encryption keys.
#[derive(Subcommand)]
pub enum KeyEncryptionKeyCommand {
    /// Seal all domain keys under the first key of the server's key_encryption_key
    ///
    /// When it has succeeded, the server no longer needs its other key-encryption keys. One that was
    /// interrupted goes on where it stopped.
    #[command(after_help = examples!["domainctl key-encryption-key reseal"])]
    Reseal,
}

/// What to do with the domain CA.
#[derive(Subcommand)]
pub enum CaCommand {
    /// Show its certificates, and that of the CA that is announced to replace it
    #[command(after_help = examples![
        "domainctl ca show",
        "domainctl ca show --json | jq -r '.certificates[].notAfter'"
    ])]
    Show,
    /// Have the certificates of domains signed again by the current domain CA
    #[command(after_help = examples![
        "domainctl ca reissue living-room",
        "domainctl ca reissue --all"
    ])]
    Reissue(Domains),
}

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Arguments::command(), &[]);
    }
}
