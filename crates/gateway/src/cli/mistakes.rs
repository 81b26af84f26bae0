//! What to do about mistakes that clap only names.

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The error, with advice where it has none.
pub(super) fn explained(mut error: Error) -> Error {
    if error.kind() == ErrorKind::ArgumentConflict
        && let Some(ContextValue::String(subcommand)) = error.get(ContextKind::InvalidSubcommand)
    {
        let order = format!("flags come after the subcommand: gateway {subcommand} --flag");
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![order.into()]),
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use crate::cli::Arguments;

    #[test]
    fn flags_before_a_subcommand_are_told_their_place() {
        let words = ["gateway", "--state", "state", "check-config"];
        let error = Arguments::from_words(words).unwrap_err().to_string();
        let tip = "tip: flags come after the subcommand: gateway check-config --flag";
        assert!(error.contains(tip), "{error}");
    }

    #[test]
    fn an_address_has_no_name() {
        let words = ["gateway", "--listen", "localhost:3000"];
        let error = Arguments::from_words(words).unwrap_err().to_string();
        assert!(error.contains("such as 127.0.0.1:3000"), "{error}");
    }
}
