//! What the errors of both commands have in common: names, exit codes and their JSON.

use anonymous_domains_protocol::problem::{ErrorName, Problem};
use serde_json::{Value, json};

use crate::text::printable;

/// What kind of error ended a command.
#[derive(Debug, Clone, Copy)]
pub enum ErrorKind<'a> {
    /// The command line, or a file that it names, is wrong.
    Usage,
    /// The server understood and refused.
    Refused(&'a Problem),
    /// The server could not be reached.
    Unreachable,
    /// The answer is not that of a domain server.
    UnusableAnswer,
    /// The cause is on this computer.
    Local,
    /// Credentials did not verify.
    Untrusted,
}

/// The error of a command. Its text is a sentence or two for people.
pub trait CommandError: std::error::Error {
    /// Its kind.
    fn kind(&self) -> ErrorKind<'_>;

    /// The server's problem document, if it refused.
    fn problem(&self) -> Option<&Problem> {
        match self.kind() {
            ErrorKind::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the server refused with this error.
    fn is_refusal(&self, error: ErrorName) -> bool {
        self.problem().and_then(Problem::error_name) == Some(error)
    }

    /// A name for programs: the server's if it refused, otherwise one of the commands' own.
    fn name(&self) -> &str {
        match self.kind() {
            ErrorKind::Usage => "USAGE",
            ErrorKind::Refused(problem) => &problem.error,
            ErrorKind::Unreachable => "UNREACHABLE",
            ErrorKind::UnusableAnswer => "UNUSABLE_ANSWER",
            ErrorKind::Local => "LOCAL",
            ErrorKind::Untrusted => "UNTRUSTED",
        }
    }

    /// The exit code of the process.
    fn exit_code(&self) -> u8 {
        match self.kind() {
            ErrorKind::Refused(_) => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Unreachable | ErrorKind::UnusableAnswer => 3,
            ErrorKind::Local => 4,
            ErrorKind::Untrusted => 5,
        }
    }

    /// The object that programs get.
    fn to_json(&self) -> Value {
        let mut json = json!({
            "ok": false,
            "error": self.name(),
            "message": self.to_string(),
        });
        if let Some(problem) = self.problem() {
            json["problem"] = json!(problem);
        }
        json
    }
}

/// A refusal in sentences: the `advice` for its error, the error's name, and the server's detail.
pub fn refusal(problem: &Problem, advice: impl FnOnce(ErrorName) -> String) -> String {
    let detail = printable(&problem.detail);
    match problem.error_name() {
        None => format!(
            "The server refused with {} (HTTP {}), which this program does not know: {detail}",
            printable(&problem.error),
            problem.status,
        ),
        Some(error) if detail.is_empty() => format!("{} ({error})", advice(error)),
        Some(error) => format!("{} ({error}: {detail})", advice(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_name_and_its_detail() {
        let sentence = |problem: &Problem| refusal(problem, |error| format!("Advice on {error}."));
        let mut problem = Problem::new(ErrorName::Internal, "");
        assert_eq!(sentence(&problem), "Advice on INTERNAL. (INTERNAL)");
        problem.detail = "the\x1b[2Jdetail".to_owned();
        assert_eq!(
            sentence(&problem),
            "Advice on INTERNAL. (INTERNAL: the\\u{1b}[2Jdetail)"
        );
        problem.error = "SOMETHING_NEW".to_owned();
        assert_eq!(
            sentence(&problem),
            "The server refused with SOMETHING_NEW (HTTP 500), which this program does not know: \
             the\\u{1b}[2Jdetail"
        );
    }
}
