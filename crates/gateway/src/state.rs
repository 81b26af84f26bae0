//! The state directory: the store, and the secrets of a gateway that was configured without.
//!
//! | file | holds | made when |
//! | --- | --- | --- |
//! | `ca.pem`, `ca-key.pem` | the domain CA | neither is there, no CA is configured, no store yet |
//! | `key-encryption-key` | 64 hexadecimal digits | it is not there, none is configured, no store yet |
//! | `admin-token` | 64 hexadecimal digits | it is not there, none is configured |
//! | `store.db` | the tables | it is not there |
//! | `cache/` | the compiled component | needed |
//!
//! A CA or a key-encryption key that is missing beside an existing store was lost or moved: a
//! new one would make all that was issued and sealed useless, so that is an error.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::ca::DomainCa;
use crate::settings::Settings;

const CA_CERTIFICATE: &str = "ca.pem";
const CA_PRIVATE_KEY: &str = "ca-key.pem";
const KEY_ENCRYPTION_KEY: &str = "key-encryption-key";
const ADMIN_TOKEN: &str = "admin-token";
const STORE: &str = "store.db";
const CACHE: &str = "cache";
const LOCK: &str = "lock";

/// A state directory that exists and belongs to its owner alone.
pub struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Makes the directory (mode 0700) where there is none. One that exists keeps its mode, as
    /// it may serve others too; if they can enter it, the log says so.
    ///
    /// # Errors
    ///
    /// If it cannot be made or is no directory.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the state directory {shown}"))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find the state directory {shown}"))?;
        if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(directory = %path.display(),
                "the state directory is open to other users; mode 0700 would be safer");
        }
        Ok(Self { path })
    }

    /// Where the store's file is.
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// Where compiled components are kept: a directory that exists. What it holds is run as
    /// native code, so nobody else may write there.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn cache(&self) -> anyhow::Result<PathBuf> {
        let path = self.path.join(CACHE);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Adds to `configured` what the directory holds, and makes what neither has. Gateways that
    /// start at the same time on one directory take turns.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or the directory holds half of what it should.
    pub fn complete(&self, configured: Settings) -> anyhow::Result<Settings> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.join(LOCK))
            .context("cannot make the state directory's lock file")?;
        // Let go when the file is closed, also by a crash.
        lock.lock().context("cannot lock the state directory")?;
        let mut own = Settings::default();
        self.complete_ca(&configured, &mut own)?;
        self.complete_key_encryption_key(&configured, &mut own)?;
        self.complete_admin_token(&configured, &mut own)?;
        Ok(configured.or(own))
    }

    fn complete_ca(&self, configured: &Settings, own: &mut Settings) -> anyhow::Result<()> {
        let has = |name| configured.get(name).is_some();
        match (has("ca_certificate"), has("ca_private_key")) {
            (true, true) => return Ok(()),
            (true, false) => bail!("ca_certificate is configured without ca_private_key"),
            (false, true) => bail!("ca_private_key is configured without ca_certificate"),
            (false, false) => {}
        }
        let (certificate, private_key) =
            match (self.read(CA_CERTIFICATE)?, self.read(CA_PRIVATE_KEY)?) {
                (Some(certificate), Some(private_key)) => (certificate, private_key),
                (Some(_), None) => bail!(
                    "the state directory {} holds {CA_CERTIFICATE} without {CA_PRIVATE_KEY}: \
                     put the key back, or remove {CA_CERTIFICATE} if the CA was never used",
                    self.path.display()
                ),
                (None, Some(_)) => bail!(
                    "the state directory {} holds {CA_PRIVATE_KEY} without {CA_CERTIFICATE}: \
                     put the certificate back, or remove {CA_PRIVATE_KEY} if the CA was never used",
                    self.path.display()
                ),
                (None, None) => {
                    self.refuse_beside_a_store("domain CA", "ca_certificate and ca_private_key")?;
                    let ca = DomainCa::generate()?;
                    self.write(&[
                        (CA_PRIVATE_KEY, &ca.private_key),
                        (CA_CERTIFICATE, &ca.certificate),
                    ])?;
                    self.say("made a domain CA", &[CA_CERTIFICATE, CA_PRIVATE_KEY]);
                    (ca.certificate.into(), ca.private_key)
                }
            };
        own.set("ca_certificate", certificate)?;
        own.set("ca_private_key", private_key)
    }

    fn complete_key_encryption_key(
        &self,
        configured: &Settings,
        own: &mut Settings,
    ) -> anyhow::Result<()> {
        if configured.get("key_encryption_key").is_some() {
            return Ok(());
        }
        let key = match self.read(KEY_ENCRYPTION_KEY)? {
            Some(key) => key,
            None => {
                self.refuse_beside_a_store("key-encryption key", "key_encryption_key")?;
                let key = random_hex()?;
                self.write(&[(KEY_ENCRYPTION_KEY, &key)])?;
                self.say("made a key-encryption key", &[KEY_ENCRYPTION_KEY]);
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
        let token = match self.read(ADMIN_TOKEN)? {
            Some(token) => token,
            None => {
                let token = random_hex()?;
                self.write(&[(ADMIN_TOKEN, &token)])?;
                self.say("made an admin token", &[ADMIN_TOKEN]);
                token
            }
        };
        own.set("admin_token", token)
    }

    fn refuse_beside_a_store(&self, what: &str, settings: &str) -> anyhow::Result<()> {
        if self.store().exists() {
            bail!(
                "the state directory {} holds a store but no {what}, which the store's content \
                 needs: put it back, or configure {settings}",
                self.path.display()
            );
        }
        Ok(())
    }

    fn say(&self, what: &str, files: &[&str]) {
        tracing::info!(directory = %self.path.display(), files = %files.join(", "), "{what}");
    }

    /// The text of a file without the line break at its end; `None` where there is no file.
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
            bail!("{} is empty", path.display());
        }
        Ok(Some(Zeroizing::new(text.trim_end().to_owned())))
    }

    /// Writes new files of mode 0600, each whole or not at all and on the disk when this
    /// returns. All contents are written before the first name appears, so that a crash leaves
    /// half a set only in the moment between two names.
    fn write(&self, files: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut written = Vec::new();
        for (name, text) in files {
            let mut file = tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(0o600))
                .tempfile_in(&self.path)
                .with_context(|| format!("cannot write {name} to the state directory"))?;
            file.write_all(text.trim_end().as_bytes())?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            written.push((self.path.join(name), file));
        }
        for (path, file) in written {
            file.persist_noclobber(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }
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
mod tests {
    use super::*;

    const FILES: [&str; 4] = [
        CA_CERTIFICATE,
        CA_PRIVATE_KEY,
        KEY_ENCRYPTION_KEY,
        ADMIN_TOKEN,
    ];

    fn complete(path: &Path, configured: Settings) -> anyhow::Result<Settings> {
        StateDirectory::open(path)?.complete(configured)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            let value = Zeroizing::new((*value).to_owned());
            settings.set(name, value).unwrap();
        }
        settings
    }

    #[test]
    fn the_first_start_makes_secrets_and_the_next_ones_keep_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/state");
        let first = complete(&path, Settings::default()).unwrap();
        assert_eq!(mode(&path), 0o700);
        for file in FILES {
            assert_eq!(mode(&path.join(file)), 0o600, "{file}");
        }
        let key = first.get("key_encryption_key").unwrap();
        assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(first.get("admin_token").unwrap().len() >= 32);
        let pem = first.get("ca_private_key").unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS #8");

        fs::write(path.join(STORE), "").unwrap();
        assert_eq!(complete(&path, Settings::default()).unwrap(), first);
    }

    #[test]
    fn what_is_configured_is_neither_made_nor_read() {
        let directory = tempfile::tempdir().unwrap();
        let configured = settings(&[
            ("ca_certificate", "c"),
            ("ca_private_key", "k"),
            ("key_encryption_key", "e"),
            ("admin_token", "t"),
        ]);
        let completed = complete(directory.path(), configured.clone()).unwrap();
        assert_eq!(completed, configured);
        for file in FILES {
            assert!(!directory.path().join(file).exists(), "{file}");
        }
    }

    #[test]
    fn half_a_ca_is_an_error_and_is_left_alone() {
        for missing in [CA_CERTIFICATE, CA_PRIVATE_KEY] {
            let directory = tempfile::tempdir().unwrap();
            complete(directory.path(), Settings::default()).unwrap();
            fs::remove_file(directory.path().join(missing)).unwrap();
            let error = complete(directory.path(), Settings::default()).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
            assert!(!directory.path().join(missing).exists());
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(complete(directory.path(), settings(&[("ca_certificate", "c")])).is_err());
        assert!(complete(directory.path(), settings(&[("ca_private_key", "k")])).is_err());
    }

    #[test]
    fn nothing_is_made_anew_beside_a_store_but_the_admin_token() {
        let lost: [(&[&str], bool); 3] = [
            (&[CA_CERTIFICATE, CA_PRIVATE_KEY], false),
            (&[KEY_ENCRYPTION_KEY], false),
            (&[ADMIN_TOKEN], true),
        ];
        for (files, made) in lost {
            let directory = tempfile::tempdir().unwrap();
            complete(directory.path(), Settings::default()).unwrap();
            fs::write(directory.path().join(STORE), "").unwrap();
            for file in files {
                fs::remove_file(directory.path().join(file)).unwrap();
            }
            let completed = complete(directory.path(), Settings::default());
            assert_eq!(completed.is_ok(), made, "{files:?}");
            assert_eq!(directory.path().join(files[0]).exists(), made, "{files:?}");
        }
    }

    #[test]
    fn an_empty_secret_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(ADMIN_TOKEN), "\n").unwrap();
        assert!(complete(directory.path(), Settings::default()).is_err());
    }
}
