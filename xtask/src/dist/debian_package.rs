//! The Debian package.

use std::fmt::Write as _;

use anyhow::Result;
use md5::{Digest as _, Md5};

use super::{
    entry::{Entries, Entry, ar, tar_gz},
    release::Release,
};

pub const NAME: &str = "anonymous-domains";

/// Where the package puts what the tree has below its root: configuration at `/etc`, the rest below
/// `/usr`.
fn installed(path: &str) -> String {
    match path.starts_with("etc/") {
        true => path.to_owned(),
        false => format!("usr/{path}"),
    }
}

/// The package of a tree; `glibc` is the oldest C library that its programs run with.
///
/// # Errors
/// If an archive cannot be made.
pub fn package(tree: &Entries, release: &Release, glibc: &str) -> Result<Vec<u8>> {
    let files: Entries = tree
        .iter()
        .map(|(path, entry)| (installed(path), entry.clone()))
        .collect();
    let scripts = ["postinst", "prerm", "postrm"].map(|name| {
        let file = release.root.join("deploy/debian").join(name);
        Ok((name.to_owned(), Entry::Program(std::fs::read(file)?)))
    });
    let mut control = scripts.into_iter().collect::<Result<Entries>>()?;
    let texts = [
        ("control", control_file(&files, release, glibc)),
        ("conffiles", conffiles(&files)),
        ("md5sums", md5sums(&files)),
    ];
    for (name, text) in texts {
        control.insert(name.to_owned(), Entry::File(text.into_bytes()));
    }
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", tar_gz(&control, "./", release.time)?),
        ("data.tar.gz", tar_gz(&files, "./", release.time)?),
    ];
    Ok(ar(&members, release.time))
}

/// The package's file name.
pub fn file_name(release: &Release) -> String {
    let Release { version, .. } = release;
    format!("{NAME}_{version}_{}.deb", architecture())
}

/// Debian's name of the architecture that this program was built for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn control_file(files: &Entries, release: &Release, glibc: &str) -> String {
    let bytes: usize = data(files).map(|(_, data)| data.len()).sum();
    format!(
        "Package: {NAME}\n\
         Version: {}\n\
         Architecture: {}\n\
         Maintainer: Anonymous Domains contributors <noreply@anonymous-domains.invalid>\n\
         Installed-Size: {}\n\
         Depends: libc6 (>= {glibc}), libgcc-s1, passwd\n\
         Recommends: ca-certificates\n\
         Section: net\n\
         Priority: optional\n\
         Description: open registration server for device domains\n \
         Groups of devices share a key, so that content bound to the group plays on all\n \
         of them. The gateway registers devices and delivers keys; domainctl\n \
         administers it, and domain-device is the device's side.\n",
        release.version,
        architecture(),
        bytes.div_ceil(1024),
    )
}

fn conffiles(files: &Entries) -> String {
    data(files)
        .filter(|(path, _)| path.starts_with("etc/"))
        .map(|(path, _)| format!("/{path}\n"))
        .collect()
}

fn md5sums(files: &Entries) -> String {
    let mut sums = String::new();
    for (path, data) in data(files).filter(|(path, _)| !path.starts_with("etc/")) {
        for byte in Md5::digest(data) {
            let _ = write!(sums, "{byte:02x}");
        }
        sums += &format!("  {path}\n");
    }
    sums
}

/// The files among entries, with what is in them.
fn data(files: &Entries) -> impl Iterator<Item = (&str, &[u8])> {
    files.iter().filter_map(|(path, entry)| match entry {
        Entry::File(data) | Entry::Program(data) => Some((path.as_str(), data.as_slice())),
        Entry::Link(_) | Entry::PrivateDirectory => None,
    })
}
