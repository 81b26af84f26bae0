//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Besieges a gateway of its own with hostile clients, one attack after another, and shows what honest
/// clients notice.
///
/// The programs come from ANONYMOUS_DOMAINS_GATEWAY and ANONYMOUS_DOMAINS_COMPONENT. Their state is
/// in a directory that is removed at the end.
#[derive(Debug, Parser)]
#[command(name = "siege", version, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// Attacks by their names [default: all]
    #[arg(value_name = "ATTACK")]
    pub attacks: Vec<String>,

    /// Lists the attacks, and what limits them
    #[arg(long)]
    pub list: bool,

    /// How long honest clients ask, alone and then beside an attack
    #[arg(long, value_name = "S", default_value_t = 4.0)]
    #[arg(value_parser = seconds)]
    pub seconds: f64,

    /// How often both
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub turns: u32,

    /// Small attacks of half a second each, to see that all still works
    #[arg(long, conflicts_with_all = ["seconds", "turns", "write"])]
    pub quick: bool,

    /// Writes the results into a Markdown file, between <!-- begin siege --> and <!-- end siege -->
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 3600".to_owned()),
    }
}

const AFTER_HELP: &str = "\
Exit status:
  0  no honest client had an error, no answer was wrong, and the gateway lives
  1  something of that was not so, and is printed
  2  the command line is invalid
  3  the siege could not be held, such as when the gateway does not start

Examples:
  cargo xtask siege --list
  cargo xtask siege smuggling h2-rapid-reset --seconds 10
  cargo xtask siege --write docs/security.md";

#[cfg(test)]
mod tests {
    use anonymous_domains_testkit::assert_command;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_its_examples_are_true() {
        assert_command(Arguments::command(), &[("cargo xtask siege", "siege")]);
    }
}
