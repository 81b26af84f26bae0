//! The flags of a test server.

use std::{fs, path::PathBuf};

use anonymous_domains_test_faults::Rules;
use anyhow::Context as _;
use clap::Args;

/// For tests of clients. On the command line only: a server for real clients is not to become a test
/// server by a variable or a line in a file.
#[derive(Args, Debug)]
pub struct TestArguments {
    /// TOML file with rules for errors, delays, lost answers and old keys, to test clients; requests
    /// may ask for them too, in the header Test-Fault. Needs --i-know-this-is-a-test-server
    /// [default: none]
    #[arg(long, value_name = "FILE", requires = "i_know_this_is_a_test_server")]
    test_faults: Option<PathBuf>,

    /// Says that no real client uses this server, for --test-faults
    #[arg(long)]
    i_know_this_is_a_test_server: bool,
}

impl TestArguments {
    /// The rules of a test server; `None` for any other.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has a wrong rule.
    pub fn rules(&self) -> anyhow::Result<Option<Rules>> {
        let Some(file) = &self.test_faults else {
            return Ok(None);
        };
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        let rules = Rules::read(&text).with_context(|| shown.to_string())?;
        Ok(Some(rules))
    }
}
