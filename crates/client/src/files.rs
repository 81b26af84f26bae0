//! Reads tokens and certificates from files and the environment.
//!
//! Errors are sentences for people. They name the file, never its content.

use std::{
    env::{self, VarError},
    path::Path,
};

use x509_cert::{Certificate, der::Encode as _};
use zeroize::Zeroizing;

use crate::token::Token;

/// Reads a token from a file, which may be a server's: of several tokens, one a line, the first.
///
/// # Errors
///
/// A sentence, if the file cannot be read or contains no token.
pub fn token_in_file(path: &Path) -> Result<Token, String> {
    let text = read(path)?;
    let first = text.trim_start().lines().next().unwrap_or_default();
    Token::parse(first).map_err(|error| format!("In {}: {error}.", path.display()))
}

/// Reads a token from an environment variable; `None` if it is not set.
///
/// # Errors
///
/// A sentence, if the variable contains no token.
pub fn token_in_variable(name: &str) -> Result<Option<Token>, String> {
    match env::var(name).map(Zeroizing::new) {
        Ok(text) => match Token::parse(&text) {
            Ok(token) => Ok(Some(token)),
            Err(error) => Err(format!("In {name}: {error}.")),
        },
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not text.")),
    }
}

/// Reads one or more certificates in PEM, and returns each in DER.
///
/// # Errors
///
/// A sentence, if the file cannot be read or contains anything else.
pub fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    Certificate::load_pem_chain(read(path)?.as_bytes())
        .and_then(|chain| {
            chain
                .iter()
                .map(Certificate::to_der)
                .collect::<Result<Vec<_>, _>>()
        })
        .ok()
        .filter(|ders| !ders.is_empty())
        .ok_or_else(|| {
            format!(
                "{} contains no certificates in PEM (-----BEGIN CERTIFICATE-----).",
                path.display()
            )
        })
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{} cannot be read: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_and_not_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(token_in_file(&path).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "hunter 2").unwrap();
        for error in [
            token_in_file(&path).unwrap_err(),
            certificates(&path).unwrap_err(),
        ] {
            assert!(error.contains("/secret"), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
        std::fs::write(&path, "hunter2\n").unwrap();
        assert!(token_in_file(&path).is_ok());
    }

    #[test]
    fn of_several_tokens_the_first_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        std::fs::write(&path, "\n new\nold\n").unwrap();
        assert_eq!(token_in_file(&path).unwrap().header(), "Bearer new");
    }
}
