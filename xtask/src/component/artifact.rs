//! A component that was built, and what it says of itself.

use std::{fmt, path::PathBuf};

use anyhow::{Context, Result};
use wasmparser::{Parser, Payload};

/// A build of the component.
pub struct Component {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Component {
    pub(super) fn built(path: PathBuf) -> Result<Self> {
        let bytes = path
            .metadata()
            .with_context(|| format!("cargo built no {}", path.display()))?
            .len();
        Ok(Self { path, bytes })
    }

    /// The interfaces that it exports and imports.
    ///
    /// # Errors
    /// If it is no component.
    pub fn interfaces(&self) -> Result<Interfaces> {
        let bytes = std::fs::read(&self.path)?;
        let mut interfaces = Interfaces::default();
        // Of the component itself: payloads of what is nested in it come between these two.
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        interfaces.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        interfaces.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interfaces)
    }
}

/// Names of interfaces, such as `wasi:http/handler@0.3.0`.
#[derive(Debug, Default)]
pub struct Interfaces {
    /// What a host calls.
    pub exports: Vec<String>,
    /// What a host must have.
    pub imports: Vec<String>,
}

impl fmt::Display for Component {
    /// The path and the size, in kilobytes (1,000 bytes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilobytes = self.bytes.div_ceil(1000);
        write!(f, "{} ({kilobytes} kB)", self.path.display())
    }
}
