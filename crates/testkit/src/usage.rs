//! What a process uses, as Linux tells it.

use std::{fs, path::Path};

use anyhow::Context as _;

/// What a process has at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Sockets among its file descriptors.
    pub sockets: u64,
    /// Its other file descriptors.
    pub files: u64,
}

impl Usage {
    /// What the process with this id has.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let process = Path::new("/proc").join(id.to_string());
        let status = fs::read_to_string(process.join("status"))?;
        let form = || format!("/proc/{id}/status has another form");
        let kib = number(&status, "VmRSS:").with_context(form)?;
        let mut usage = Self {
            memory_bytes: kib * 1024,
            threads: number(&status, "Threads:").with_context(form)?,
            ..Self::default()
        };
        for descriptor in fs::read_dir(process.join("fd"))? {
            // It may have been closed since.
            let Ok(target) = fs::read_link(descriptor?.path()) else {
                continue;
            };
            match target.to_string_lossy().starts_with("socket:") {
                true => usage.sockets += 1,
                false => usage.files += 1,
            }
        }
        Ok(usage)
    }
}

/// The number in the line of `/proc/PID/status` that begins with `name`.
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(number(status, "VmRSS:"), Some(2048));
        assert_eq!(number(status, "Threads:"), Some(7));
        assert_eq!(number(status, "VmSwap:"), None);
        let before = Usage::of(std::process::id()).unwrap();
        assert!(before.memory_bytes > 0 && before.threads > 0 && before.files > 0);
    }
}
