//! What is in an archive, and archives whose bytes follow from that alone.

use std::{collections::BTreeMap, io::Write as _};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// A file, a link or a directory of an archive.
#[derive(Clone)]
pub enum Entry {
    /// A file that everyone may read.
    File(Vec<u8>),
    /// One that everyone may also run.
    Program(Vec<u8>),
    /// A symbolic link to a path.
    Link(String),
    /// An empty directory that only root may look into.
    PrivateDirectory,
}

/// Entries by path: relative, with `/`, sorted.
pub type Entries = BTreeMap<String, Entry>;

/// A gzipped tar of `entries` and of the directories above them, below `prefix` (`""`, or a path that
/// ends in `/`). Everything is root's, and dated `time` (seconds since 1970).
///
/// # Errors
/// If a path is too long for a tar.
pub fn tar_gz(entries: &Entries, prefix: &str, time: u64) -> Result<Vec<u8>> {
    let mut directories: BTreeMap<String, Option<&Entry>> = BTreeMap::new();
    for (path, entry) in entries {
        let path = format!("{prefix}{path}");
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0) {
            directories.entry(path[..=end].to_owned()).or_default();
        }
        let path = match entry {
            Entry::PrivateDirectory => format!("{path}/"),
            _ => path,
        };
        directories.insert(path, Some(entry));
    }
    let mut tar = tar::Builder::new(gzip());
    for (path, entry) in directories {
        let mut header = Header::new_gnu();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        let (kind, mode, data): (_, _, &[u8]) = match entry {
            None => (EntryType::Directory, 0o755, &[]),
            Some(Entry::PrivateDirectory) => (EntryType::Directory, 0o700, &[]),
            Some(Entry::File(data)) => (EntryType::Regular, 0o644, data),
            Some(Entry::Program(data)) => (EntryType::Regular, 0o755, data),
            Some(Entry::Link(_)) => (EntryType::Symlink, 0o777, &[]),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        let added = match entry {
            Some(Entry::Link(to)) => tar.append_link(&mut header, &path, to),
            _ => tar.append_data(&mut header, &path, data),
        };
        added.with_context(|| format!("cannot put {path} into an archive"))?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// `data`, gzipped without a name and a time.
pub fn gz(data: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = gzip();
    gzip.write_all(data)?;
    Ok(gzip.finish()?)
}

fn gzip() -> flate2::write::GzEncoder<Vec<u8>> {
    GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best())
}

/// A Unix `ar` archive: the outer form of a Debian package.
pub fn ar(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let size = data.len();
        archive.extend(
            format!(
                "{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                0, 0, "100644"
            )
            .bytes(),
        );
        archive.extend(data);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn entries() -> Entries {
        let entries = [
            ("bin/tool", Entry::Link("../lib/tool".to_owned())),
            ("lib/tool", Entry::Program(b"tool".to_vec())),
            ("etc/secrets", Entry::PrivateDirectory),
            ("etc/settings", Entry::File(b"a = 1".to_vec())),
        ];
        entries.map(|(path, entry)| (path.to_owned(), entry)).into()
    }

    #[test]
    fn an_archive_has_every_directory_before_what_is_in_it() {
        let bytes = tar_gz(&entries(), "top/", 7).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let listed: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 7));
                let path = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
                format!("{path} {:o} {text}", header.mode().unwrap())
            })
            .collect();
        let expected = [
            "top/ 755 ",
            "top/bin/ 755 ",
            "top/bin/tool 777 ",
            "top/etc/ 755 ",
            "top/etc/secrets/ 700 ",
            "top/etc/settings 644 a = 1",
            "top/lib/ 755 ",
            "top/lib/tool 755 tool",
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn the_same_entries_make_the_same_bytes() {
        let once = tar_gz(&entries(), "a/", 7).unwrap();
        assert_eq!(once, tar_gz(&entries(), "a/", 7).unwrap());
        assert_ne!(once, tar_gz(&entries(), "a/", 8).unwrap());
    }

    #[test]
    fn an_ar_archive_pads_to_even_lengths() {
        let archive = ar(&[("one", b"1".to_vec()), ("two", b"22".to_vec())], 7);
        let text = String::from_utf8(archive).unwrap();
        let header =
            |name: &str, size| format!("{name:<16}7           0     0     100644  {size:<10}`\n");
        let expected = format!("!<arch>\n{}1\n{}22", header("one", 1), header("two", 2));
        assert_eq!(text, expected);
    }
}
