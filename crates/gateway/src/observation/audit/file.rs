//! The file of the audit log: opened for this process alone, and appended to line by line.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, bail};

use super::chain::{self, Head};

/// More than the longest line, in bytes.
const TAIL_BYTES: u64 = 1024 * 1024;

/// An open audit log.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    head: Head,
    /// Bytes at the end that are part of a line that could not be written whole.
    torn: u64,
    /// How many records could not be written since the last one that was.
    lost: u64,
}

impl LogFile {
    /// Opens the file, or creates it with mode 0600, and goes on with its chain.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, if another process writes it, or if its end is not that of an audit
    /// log.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = open_locked(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "the audit log is open to other users");
        }
        let (head, torn) = end_of(&mut file).with_context(|| {
            format!(
                "{} is no audit log that can go on: name another file",
                path.display()
            )
        })?;
        let mut log = Self {
            file,
            head,
            torn: 0,
            lost: 0,
        };
        log.repair(&torn, path)?;
        Ok(log)
    }

    /// Completes or removes a line that was cut off.
    fn repair(&mut self, torn: &[u8], path: &Path) -> anyhow::Result<()> {
        if torn.is_empty() {
            return Ok(());
        }
        if let Some(head) = self.head.follow(torn) {
            self.file.write_all(b"\n")?;
            self.head = head;
            tracing::warn!(file = %path.display(), "the audit log's last line was completed");
            return Ok(());
        }
        self.torn = torn.len() as u64;
        let removed = String::from_utf8_lossy(torn).into_owned();
        self.append(&chain::own("log_repaired", "removed", removed.into()))?;
        tracing::warn!(file = %path.display(), bytes = torn.len(),
            "a line at the end of the audit log was cut off, and is now part of a record of that");
        Ok(())
    }

    /// Goes on in the file that now has the name, if that is another one: the old one was renamed.
    /// Returns whether it is.
    ///
    /// # Errors
    ///
    /// If the new file cannot be written, or is not empty. Then the old one is still in use.
    pub(super) fn reopen(&mut self, path: &Path) -> anyhow::Result<bool> {
        let open = self.file.metadata()?;
        if let Ok(named) = fs::metadata(path)
            && (named.dev(), named.ino()) == (open.dev(), open.ino())
        {
            return Ok(false);
        }
        let file = open_locked(path)?;
        if file.metadata()?.len() > 0 {
            bail!("{} has content that is not of this log", path.display());
        }
        let mut next = Self { file, ..*self };
        next.torn = 0;
        // So the new file has the chain, whatever happens before the next event.
        let seq = self.head.seq.into();
        next.append(&chain::own("log_rotated", "previousSeq", seq))?;
        let old = std::mem::replace(self, next);
        old.file.sync_data()?;
        Ok(true)
    }

    /// Appends a record: the text of a JSON object without `seq` and `prev`. It is with the system
    /// when this returns.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Then nothing of it stays in the log, or it is removed before the
    /// next record. That one says how many are missing.
    pub(super) fn append(&mut self, members: &str) -> io::Result<()> {
        self.resume()
            .and_then(|()| self.write(members))
            .inspect_err(|_| self.lost += 1)
    }

    /// Makes sure that records can be written, as far as it is known: if the last one could not be,
    /// tries to write that it is missing.
    ///
    /// # Errors
    ///
    /// If that cannot be written either.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        if self.torn > 0 {
            let length = self.file.metadata()?.len();
            self.file.set_len(length.saturating_sub(self.torn))?;
            self.torn = 0;
        }
        if self.lost > 0 {
            self.write(&chain::own("log_resumed", "lost", self.lost.into()))?;
            self.lost = 0;
        }
        Ok(())
    }

    fn write(&mut self, members: &str) -> io::Result<()> {
        let (line, head) = self.head.next(members);
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    self.torn += bytes as u64;
                    rest = &rest[bytes..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.torn = 0;
        self.head = head;
        Ok(())
    }

    /// The file, to write what the system has of it to the disk.
    ///
    /// # Errors
    ///
    /// If the system has no more file descriptors.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// Opens or creates a file to append to, which no other process may write.
fn open_locked(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open the audit log {shown}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another process writes the audit log {shown}: each gateway needs a file of its own"
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock the audit log {shown}"))
        }
    }
}

/// The end of the chain in a file, and what is after its last line break.
fn end_of(file: &mut File) -> anyhow::Result<(Head, Vec<u8>)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(length - start).read_to_end(&mut tail)?;
    let is_break = |byte: &u8| *byte == b'\n';
    let Some(last) = tail.iter().rposition(is_break) else {
        if start > 0 {
            bail!("its last line has no end");
        }
        return Ok((Head::default(), tail));
    };
    let torn = tail.split_off(last + 1);
    tail.pop();
    let begin = tail.iter().rposition(is_break).map_or(0, |at| at + 1);
    let head = Head::of_line(&tail[begin..]).context("its last line is no record")?;
    Ok((head, torn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let mut log = LogFile::open(&path).unwrap();
        log.append("{\"event\":\"a\"}").unwrap();
        // As when the disk is full in the middle of a line.
        log.file.write_all(b"{\"seq\":2,\"pr").unwrap();
        (log.torn, log.lost) = (12, 1);
        log.append("{\"event\":\"b\"}").unwrap();
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let [first, resumed, second] = lines[..] else {
            panic!("{text}");
        };
        assert!(
            resumed.contains("\"event\":\"log_resumed\",\"lost\":1,"),
            "{text}"
        );
        let mut head = Head::default();
        for line in [first, resumed, second] {
            head = head.follow(line.as_bytes()).expect("it is the next one");
        }
    }
}
