//! Domains that move from one server to another, by way of a file.
//!
//! [`export()`] writes it, line by line as the server gives the lines; [`import()`] sends the lines on
//! after the whole file was found to be as it was written.

mod export;
mod file;
mod import;

pub use export::{Exported, export};
pub use file::ExportFile;
pub use import::{Imported, import};

/// What happens meanwhile, for a person who waits.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A domain begins.
    Domain,
    /// So many machines more are done.
    Machines(u64),
    /// So many bytes of the file more are done.
    Bytes(u64),
}

/// Is told of [`Event`]s.
pub type Watch<'a> = &'a dyn Fn(Event);
