//! The state directory: the store, and the secrets that are not configured.
//!
//! | file | content | created when |
//! | --- | --- | --- |
//! | `ca.pem`, `ca-key.pem` | the domain CA | neither is there, no CA is configured, new store |
//! | `key-encryption-key` | 64 hexadecimal digits, or several such lines | it is not there, none is configured, new store |
//! | `admin-token` | 64 hexadecimal digits | it is not there, none is configured |
//! | `tls-certificate.pem`, `tls-key.pem` | for `--tls-self-signed` | asked for, and not usable |
//! | `store.db` | the tables | it is not there, and no other store is configured |
//! | `cache/` | the compiled component | needed |
//!
//! If the CA or the key-encryption key is missing for a store that is in use, it was lost or moved,
//! or another gateway has it. A new one would make everything useless that was issued or encrypted,
//! so that is an error.

mod new_files;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::{ca::DomainCa, settings::Settings};

const CA_CERTIFICATE: &str = "ca.pem";
const CA_PRIVATE_KEY: &str = "ca-key.pem";
const KEY_ENCRYPTION_KEY: &str = "key-encryption-key";
const ADMIN_TOKEN: &str = "admin-token";
const TLS_CERTIFICATE: &str = "tls-certificate.pem";
const TLS_KEY: &str = "tls-key.pem";
const STORE: &str = "store.db";
const CACHE: &str = "cache";
const LOCK: &str = "lock";

/// A state directory that exists.
#[derive(Clone)]
pub struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Creates the directory (mode 0700) if there is none. An existing one keeps its mode, because
    /// it may have other uses; if other users can enter it, the log says so.
    ///
    /// # Errors
    ///
    /// If it cannot be created, or is not a directory.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the state directory {shown}"))?;
        let directory = Self::at(path)?;
        if fs::metadata(&directory.path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(directory = %directory.path.display(),
                "the state directory is open to other users; mode 0700 would be safer");
        }
        Ok(directory)
    }

    /// The directory that is there.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find the state directory {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where the store's file is.
    pub fn store(&self) -> PathBuf {
        Self::store_in(&self.path)
    }

    /// Where the store's file is in a state directory of this path.
    pub fn store_in(path: &Path) -> PathBuf {
        path.join(STORE)
    }

    /// The admin token, if there is one.
    ///
    /// # Errors
    ///
    /// If its file cannot be read.
    pub fn admin_token(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        self.read(ADMIN_TOKEN)
    }

    /// Where the self-signed certificate and its key are.
    pub fn tls_files(&self) -> (PathBuf, PathBuf) {
        (self.path.join(TLS_CERTIFICATE), self.path.join(TLS_KEY))
    }

    /// Writes the self-signed certificate and its key, in place of others. Under the lock.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write_tls_files(&self, certificate: &str, key: &str) -> anyhow::Result<()> {
        for name in [TLS_KEY, TLS_CERTIFICATE] {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot replace {name}"));
                }
                _ => {}
            }
        }
        new_files::write(
            &self.path,
            &[(TLS_KEY, key), (TLS_CERTIFICATE, certificate)],
        )?;
        self.log(
            "made a self-signed certificate for TLS",
            &[TLS_CERTIFICATE, TLS_KEY],
        );
        Ok(())
    }

    /// The directory for compiled components, which exists ([`make_cache`]).
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn cache(&self) -> anyhow::Result<PathBuf> {
        make_cache(&self.path.join(CACHE))
    }

    /// Keeps other gateways from reading or creating secrets in the directory, until the lock is
    /// dropped. Waits for another gateway that holds the lock. Removes what one has left that was
    /// killed while it wrote a file. Blocks.
    ///
    /// # Errors
    ///
    /// If the lock file cannot be created or locked, or a file that is left cannot be removed.
    pub fn lock(&self) -> anyhow::Result<Locked> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        // Released when the file is closed, also by a crash.
        file.lock().context("cannot lock the state directory")?;
        new_files::remove_unfinished(&self.path)?;
        Ok(Locked {
            directory: self.clone(),
            file: Some(file),
            created: Vec::new(),
            in_use: None,
        })
    }

    /// Reads the secrets in a directory, which need not exist, as a start would, but creates nothing:
    /// [`Locked::complete`] makes those that are missing in memory only. Nothing is locked.
    pub fn look(path: &Path) -> Locked {
        Locked {
            directory: Self {
                path: path.to_owned(),
            },
            file: None,
            created: Vec::new(),
            in_use: None,
        }
    }

    fn log(&self, what: &str, files: &[&str]) {
        tracing::info!(directory = %self.path.display(), files = %files.join(", "), "{what}");
    }

    /// The text of a file without the line break at its end; `None` if there is no file.
    fn read(&self, name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
        let path = self.path.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if text.trim().is_empty() {
            bail!(
                "{} is empty: put its content back, or remove it if it was never used",
                path.display()
            );
        }
        Ok(Some(Zeroizing::new(text.trim_end().to_owned())))
    }
}

/// A state directory that no other gateway uses until this is dropped.
pub struct Locked {
    directory: StateDirectory,
    /// `None` if nothing may be created.
    file: Option<File>,
    /// The files of the CA and the key-encryption key, if they were created under this lock.
    created: Vec<PathBuf>,
    in_use: Option<String>,
}

impl Locked {
    /// Adds the directory's secrets to `configured`, and creates those that neither has. `in_use`
    /// names the store if it may have content: then no CA and no key-encryption key is created.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, if one of two files that belong together is missing, or
    /// if a secret is missing that the content of a store needs.
    pub fn complete(
        &mut self,
        configured: Settings,
        in_use: Option<String>,
    ) -> anyhow::Result<Settings> {
        self.in_use = in_use;
        let mut own = Settings::default();
        self.complete_ca(&configured, &mut own)?;
        self.complete_key_encryption_key(&configured, &mut own)?;
        self.complete_admin_token(&configured, &mut own)?;
        Ok(configured.or(own))
    }

    /// Whether a CA or a key-encryption key was created.
    pub fn has_created_any(&self) -> bool {
        !self.created.is_empty()
    }

    /// Removes the CA and the key-encryption key that were created and not used.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub fn remove_created(&mut self) -> anyhow::Result<()> {
        for path in self.created.drain(..) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    fn complete_ca(&mut self, configured: &Settings, own: &mut Settings) -> anyhow::Result<()> {
        let has = |name| configured.get(name).is_some();
        match (has("ca_certificate"), has("ca_private_key")) {
            (true, true) => return Ok(()),
            (true, false) => bail!("ca_certificate is configured without ca_private_key"),
            (false, true) => bail!("ca_private_key is configured without ca_certificate"),
            (false, false) => {}
        }
        let (certificate, private_key) = match (
            self.directory.read(CA_CERTIFICATE)?,
            self.directory.read(CA_PRIVATE_KEY)?,
        ) {
            (Some(certificate), Some(private_key)) => (certificate, private_key),
            (Some(_), None) => bail!(
                "the state directory {} holds {CA_CERTIFICATE} without {CA_PRIVATE_KEY}: \
                     put the key back, or remove {CA_CERTIFICATE} if the CA was never used",
                self.directory.path.display()
            ),
            (None, Some(_)) => bail!(
                "the state directory {} holds {CA_PRIVATE_KEY} without {CA_CERTIFICATE}: \
                     put the certificate back, or remove {CA_PRIVATE_KEY} if the CA was never used",
                self.directory.path.display()
            ),
            (None, None) => {
                self.refuse_if_in_use("domain CA", "ca_certificate and ca_private_key")?;
                let ca = DomainCa::generate()?;
                self.create(&[
                    (CA_PRIVATE_KEY, &ca.private_key),
                    (CA_CERTIFICATE, &ca.certificate),
                ])?;
                self.log("made a domain CA", &[CA_CERTIFICATE, CA_PRIVATE_KEY]);
                (ca.certificate.into(), ca.private_key)
            }
        };
        own.set("ca_certificate", certificate)?;
        own.set("ca_private_key", private_key)
    }

    fn complete_key_encryption_key(
        &mut self,
        configured: &Settings,
        own: &mut Settings,
    ) -> anyhow::Result<()> {
        if configured.get("key_encryption_key").is_some() {
            return Ok(());
        }
        let key = match self.directory.read(KEY_ENCRYPTION_KEY)? {
            Some(key) => key,
            None => {
                self.refuse_if_in_use("key-encryption key", "key_encryption_key")?;
                let key = random_hex()?;
                self.create(&[(KEY_ENCRYPTION_KEY, &key)])?;
                self.log("made a key-encryption key", &[KEY_ENCRYPTION_KEY]);
                key
            }
        };
        own.set("key_encryption_key", key)
    }

    fn complete_admin_token(
        &self,
        configured: &Settings,
        own: &mut Settings,
    ) -> anyhow::Result<()> {
        if configured.get("admin_token").is_some() {
            return Ok(());
        }
        let token = match self.directory.read(ADMIN_TOKEN)? {
            Some(token) => token,
            None => {
                let token = random_hex()?;
                if self.file.is_some() {
                    new_files::write(&self.directory.path, &[(ADMIN_TOKEN, &token)])?;
                    self.log("made an admin token", &[ADMIN_TOKEN]);
                }
                token
            }
        };
        own.set("admin_token", token)
    }

    fn refuse_if_in_use(&self, what: &str, settings: &str) -> anyhow::Result<()> {
        if let Some(store) = &self.in_use {
            bail!(
                "{store} is in use, but the state directory {} holds no {what}, which the store's \
                 content needs: put it back, copy it from the gateway that made it, or configure \
                 {settings}",
                self.directory.path.display()
            );
        }
        Ok(())
    }

    fn log(&self, what: &str, files: &[&str]) {
        if self.file.is_some() {
            self.directory.log(what, files);
        }
    }

    /// Writes files that [`Locked::remove_created`] can remove.
    fn create(&mut self, files: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        new_files::write(&self.directory.path, files)?;
        self.created
            .extend(files.iter().map(|(name, _)| self.directory.path.join(name)));
        Ok(())
    }
}

/// Creates a directory for compiled components (mode 0700) if there is none. Its files are run as
/// native code, so no other user may write there. Returns its absolute path.
///
/// # Errors
///
/// If it cannot be created.
pub fn make_cache(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| path.canonicalize())
        .with_context(|| format!("cannot make {shown}"))
}

/// 32 random bytes as 64 hexadecimal digits.
fn random_hex() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut()).context("cannot make a random secret")?;
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in bytes.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
