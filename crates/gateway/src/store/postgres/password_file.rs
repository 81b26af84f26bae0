//! A password file as PostgreSQL's clients have it (libpq's `.pgpass`): one line for each server,
//! `host:port:database:user:password`, where `*` stands for anything and a backslash for the
//! character after it. The first line that fits counts.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use zeroize::Zeroizing;

use crate::store::shared::AddressError;

/// Its lines.
pub(super) struct PasswordFile(Zeroizing<String>);

impl PasswordFile {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or others than its owner may.
    pub fn read(path: &Path) -> Result<Self, AddressError> {
        let shown = path.display();
        let wrong = |why: &dyn std::fmt::Display| {
            AddressError::PasswordFile(format!("the password file {shown} is not used: {why}"))
        };
        let metadata = std::fs::metadata(path).map_err(|error| wrong(&error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(wrong(&"others than its owner may open it (chmod 600)"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Ok(Self(Zeroizing::new(text)))
    }

    /// The password for a server.
    pub fn password(
        &self,
        host: &str,
        port: u16,
        database: &str,
        user: &str,
    ) -> Option<Zeroizing<String>> {
        let port = port.to_string();
        let wanted = [host, &port, database, user];
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(fields).find_map(|fields| {
            let [names @ .., password] = fields.as_slice() else {
                return None;
            };
            let fits = names.len() == wanted.len()
                && names
                    .iter()
                    .zip(wanted)
                    .all(|(name, wanted)| matches!(name, Field::Any) || name.is(wanted));
            match password {
                Field::Text(text) if fits => Some(text.clone()),
                Field::Any if fits => Some(Zeroizing::new("*".to_owned())),
                _ => None,
            }
        })
    }
}

/// A field of a line.
enum Field {
    /// `*`.
    Any,
    Text(Zeroizing<String>),
}

impl Field {
    fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Text(text) if **text == wanted)
    }
}

/// Splits a line. The last field takes the rest of it, colons and all.
fn fields(line: &str) -> Vec<Field> {
    const COLONS: usize = 4;
    let mut fields = Vec::new();
    let mut characters = line.chars();
    for number in 0..=COLONS {
        let mut text = Zeroizing::new(String::with_capacity(line.len()));
        let mut escaped = false;
        let mut ended = false;
        while let Some(character) = characters.next() {
            match character {
                '\\' => {
                    escaped = true;
                    text.extend(characters.next());
                }
                ':' if number < COLONS => {
                    ended = true;
                    break;
                }
                other => text.push(other),
            }
        }
        fields.push(match text.as_str() {
            "*" if !escaped => Field::Any,
            _ => Field::Text(text),
        });
        if !ended {
            break;
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PasswordFile {
        PasswordFile(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let file = file(
            "# a comment:1:d:u:no\nshort:5432\nother:5432:d:u:no\ndb:5432:d:u:first\n*:*:*:u:second\n",
        );
        let password = |host: &str, port, user: &str| {
            let password = file.password(host, port, "d", user);
            password.map(|password| password.to_string())
        };
        assert_eq!(password("db", 5432, "u").as_deref(), Some("first"));
        assert_eq!(password("db", 5433, "u").as_deref(), Some("second"));
        assert_eq!(password("db", 5432, "v"), None);
    }

    #[test]
    fn a_backslash_takes_away_a_characters_meaning() {
        let file = file(r"a\:b:1:\*:u\\v:p\:q:r\*");
        let password = file.password("a:b", 1, "*", r"u\v").expect("a line");
        assert_eq!(*password, "p:q:r*");
        assert!(file.password("a:b", 1, "any", r"u\v").is_none());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert!(PasswordFile::read(&path).is_err(), "there is none");
        std::fs::write(&path, "*:*:*:*:hunter2").unwrap();
        for (mode, usable) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = PasswordFile::read(&path);
            assert_eq!(read.is_ok(), usable, "{mode:o}");
            if let Err(error) = read {
                assert!(!error.to_string().contains("hunter2"));
            }
        }
    }
}
