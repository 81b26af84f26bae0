//! Whether a command line is consistent, and the examples in its help are true.

use clap::{Command, error::ErrorKind};

/// The line before the examples.
const HEADING: &str = "Examples:";

/// Panics where the definition of a command line is not consistent, or the examples of its help are not
/// true, and says what is wrong.
///
/// Each of `shorthands` is how an example may begin, and what that stands for: `cargo xtask siege` for
/// `siege`.
#[track_caller]
pub fn assert_command(command: Command, shorthands: &[(&str, &str)]) {
    command.clone().debug_assert();
    let amiss = examples_amiss(&command, shorthands);
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
}

/// What is wrong with the examples of a command and of its subcommands, but for hidden ones and `help`:
/// every `--help` must end with `Examples:` and lines for a shell, each of which calls that command, or
/// one below it, in a way that it takes.
fn examples_amiss(command: &Command, shorthands: &[(&str, &str)]) -> Vec<String> {
    let mut amiss = Vec::new();
    let path = vec![command.get_name()];
    walk(command, &path, &mut |command_there, path| {
        let at = path.join(" ");
        let help = command_there
            .get_after_long_help()
            .or(command_there.get_after_help())
            .map(ToString::to_string);
        match help.as_deref().and_then(lines) {
            None => amiss.push(format!("{at}: --help does not end with {HEADING:?}")),
            Some(lines) => {
                let told = lines.iter().filter_map(|line| {
                    let why = line_amiss(command, path, line, shorthands)?;
                    Some(format!("{at}: {line}: {why}"))
                });
                amiss.extend(told);
            }
        }
    });
    amiss
}

fn walk<'a>(
    command: &'a Command,
    path: &[&'a str],
    visit: &mut impl FnMut(&'a Command, &[&'a str]),
) {
    visit(command, path);
    for subcommand in command.get_subcommands() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            walk(
                subcommand,
                &[path, &[subcommand.get_name()]].concat(),
                visit,
            );
        }
    }
}

/// The lines after the heading, which end the help.
fn lines(help: &str) -> Option<Vec<&str>> {
    let mut lines = help.trim_end().lines().skip_while(|line| *line != HEADING);
    lines.next()?;
    let lines: Option<Vec<_>> = lines.map(|line| line.strip_prefix("  ")).collect();
    lines.filter(|lines| !lines.is_empty())
}

/// Why a line is no example of the command at `path` below `root`.
fn line_amiss(
    root: &Command,
    path: &[&str],
    line: &str,
    shorthands: &[(&str, &str)],
) -> Option<String> {
    let Some(words) = shlex::split(line) else {
        return Some("no shell understands it".to_owned());
    };
    let mut is_called = false;
    for call in words.split(|word| ["|", "||", "&&", ";"].contains(&word.as_str())) {
        let call = written_out(before_redirections(call), shorthands);
        if call.first().map(String::as_str) != Some(root.get_name()) {
            continue;
        }
        match root.clone().try_get_matches_from(&call) {
            Ok(matches) => {
                let mut at = vec![root.get_name()];
                let mut matches = &matches;
                while let Some((name, below)) = matches.subcommand() {
                    at.push(name);
                    matches = below;
                }
                is_called |= at.starts_with(path);
            }
            Err(error) => match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    is_called |= call.iter().zip(path).all(|(word, name)| word == name);
                }
                _ => return Some(error.to_string()),
            },
        }
    }
    (!is_called).then(|| "it does not call this command".to_owned())
}

/// A command without variables before it, and without redirections, which come last.
fn before_redirections(call: &[String]) -> &[String] {
    let is_variable = |word: &&String| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let call = &call[call.iter().take_while(is_variable).count()..];
    let is_redirection = |word: &String| word.starts_with(['>', '<']) || word.starts_with("2>");
    let end = call.iter().position(is_redirection);
    &call[..end.unwrap_or(call.len())]
}

/// The words of a call, with what a shorthand stands for.
fn written_out(call: &[String], shorthands: &[(&str, &str)]) -> Vec<String> {
    for (short, long) in shorthands {
        let short: Vec<_> = short.split(' ').collect();
        if call.iter().take(short.len()).eq(&short) {
            let long = long.split(' ').map(str::to_owned);
            return long.chain(call[short.len()..].iter().cloned()).collect();
        }
    }
    call.to_vec()
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn amiss(help: &'static str) -> Vec<String> {
        let eat = Command::new("eat").arg(Arg::new("what").required(true));
        let secret = Command::new("secret").hide(true);
        let zoo = Command::new("zoo").subcommands([eat.after_help(help), secret]);
        let help = "Notes:\n  a\n\nExamples:\n  zoo eat \"two words\"";
        examples_amiss(&zoo.after_help(help), &[("run zoo", "zoo")])
    }

    #[test]
    fn lines_that_call_the_command_are_examples() {
        for help in [
            "Examples:\n  zoo eat hay",
            "Examples:\n  run zoo eat hay    # slowly\n  zoo eat 'more hay'",
            "Examples:\n  LOUD=1 zoo eat hay > droppings 2> log\n  cat menu | zoo eat hay | wc",
            "Examples:\n  zoo eat --help",
        ] {
            assert_eq!(amiss(help), [""; 0], "{help}");
        }
    }

    #[test]
    fn others_are_not() {
        for (help, why) in [
            ("", "does not end"),
            ("Examples:", "does not end"),
            ("Examples:\n  zoo eat hay\n\nMore:\n  text", "does not end"),
            ("Examples:\n  zoo eat", "required"),
            ("Examples:\n  zoo eat hay straw", "unexpected argument"),
            ("Examples:\n  zoo eat 'hay", "no shell"),
            ("Examples:\n  eat hay", "does not call"),
            ("Examples:\n  zoo --help", "does not call"),
            ("Examples:\n  zoo secret", "does not call"),
        ] {
            let told = amiss(help);
            assert!(told.len() == 1 && told[0].contains(why), "{help}: {told:?}");
        }
    }
}
