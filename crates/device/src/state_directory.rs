//! The state directory, which holds a device's identity and its memberships.
//!
//! ```text
//! machine-guid                   the GUID
//! machine-key.pem                the machine's private key, PKCS#8
//! domains/NAME@HASH.json         one Membership each; HASH is of the domain server URL
//! lock                           locked while anything changes
//! ```
//!
//! New directories have mode 0700, files 0600. A file is written under a temporary name, synced and
//! then renamed, so that a reader finds either the old one or the new one, even after a crash.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anonymous_domains_protocol::{
    ids::MachineGuid,
    jwk::{KeyType, PrivateKey},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{domain_url::DomainUrl, error::DeviceError, membership::Membership};

const GUID_FILE: &str = "machine-guid";
const KEY_FILE: &str = "machine-key.pem";
const DOMAINS_DIRECTORY: &str = "domains";
const LOCK_FILE: &str = "lock";

/// A device's GUID and its key, which are created together and never change.
pub struct Identity {
    /// The machine's GUID.
    pub guid: MachineGuid,
    /// The machine's private key.
    pub key: PrivateKey,
}

/// A device's state directory. It is created when something is first stored.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    path: PathBuf,
}

/// Keeps other processes from changing the directory until it is dropped.
pub struct DirectoryLock(#[expect(dead_code, reason = "unlocked when closed")] File);

impl StateDirectory {
    /// The state directory at `path`, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other process changes the directory, which is created if it is missing, and
    /// keeps others out until the lock is dropped.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`].
    pub fn lock(&self) -> Result<DirectoryLock, DeviceError> {
        let path = self.path.join(LOCK_FILE);
        make_directory(&self.path).map_err(|error| {
            DeviceError::Local(format!(
                "{} cannot be the state directory: {error}. Name another one with --dir.",
                self.path.display()
            ))
        })?;
        private_file(OpenOptions::new().create(true).append(true))
            .open(&path)
            .and_then(|file| file.lock().map(|()| DirectoryLock(file)))
            .map_err(|error| local(&path, "cannot be locked", &error))
    }

    /// The identity, if the device has one.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`] when it cannot be read or is damaged.
    pub fn identity(&self) -> Result<Option<Identity>, DeviceError> {
        let Some(pem) = self.read(KEY_FILE)? else {
            return Ok(None);
        };
        let key = PrivateKey::from_pem(&pem).map_err(|error| self.damaged(KEY_FILE, &error))?;
        let guid = self.guid()?.ok_or_else(|| {
            DeviceError::Local(format!(
                "{} is missing beside {KEY_FILE}: restore it, or use another directory.",
                self.path.join(GUID_FILE).display()
            ))
        })?;
        Ok(Some(Identity { guid, key }))
    }

    /// The identity, which is created with a key of type `kind` if there is none. The caller holds
    /// the lock.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`].
    pub fn identity_or_create(&self, kind: KeyType) -> Result<Identity, DeviceError> {
        if let Some(identity) = self.identity()? {
            return Ok(identity);
        }
        // The key comes last: there is no identity without it, so a crash in between is harmless.
        let guid = match self.guid()? {
            Some(guid) => guid,
            None => {
                let guid = MachineGuid::random();
                self.write(Path::new(GUID_FILE), format!("{guid}\n").as_bytes())?;
                guid
            }
        };
        let key = PrivateKey::generate(kind);
        self.write(Path::new(KEY_FILE), key.to_pkcs8_pem().as_bytes())?;
        Ok(Identity { guid, key })
    }

    fn guid(&self) -> Result<Option<MachineGuid>, DeviceError> {
        self.read(GUID_FILE)?
            .map(|text| MachineGuid::parse(text.trim()))
            .transpose()
            .map_err(|error| self.damaged(GUID_FILE, &error))
    }

    /// What is stored of a domain.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`] when it cannot be read or is damaged.
    pub fn membership(&self, url: &DomainUrl) -> Result<Option<Membership>, DeviceError> {
        self.read_membership(&membership_file(url))
    }

    /// What is stored of every domain, by the domain's name.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`] when one cannot be read or is damaged.
    pub fn memberships(&self) -> Result<Vec<Membership>, DeviceError> {
        let directory = self.path.join(DOMAINS_DIRECTORY);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries,
        };
        let mut names = entries
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name()))
                    .collect::<io::Result<Vec<_>>>()
            })
            .map_err(|error| local(&directory, "cannot be read", &error))?;
        names.sort();
        let mut memberships = Vec::new();
        for name in names {
            // A crash may leave a temporary file, whose name begins with a dot.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let file = Path::new(DOMAINS_DIRECTORY).join(name);
            memberships.extend(self.read_membership(&file)?);
        }
        Ok(memberships)
    }

    fn read_membership(&self, file: &Path) -> Result<Option<Membership>, DeviceError> {
        self.read(file)?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.damaged(file, &error))
    }

    /// Stores a membership, and replaces what was stored of the domain. The caller holds the lock.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`].
    pub fn save(&self, url: &DomainUrl, membership: &Membership) -> Result<(), DeviceError> {
        // Large enough for all credentials: a buffer that grows would leave copies of keys in memory.
        let room = 4096 + membership.credentials.len() * 32 * 1024;
        let mut json = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer_pretty(&mut *json, membership)
            .expect("a membership has no map with other keys than strings");
        self.write(&membership_file(url), &json)
    }

    /// Deletes what is stored of a domain. The caller holds the lock.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Local`].
    pub fn forget(&self, url: &DomainUrl) -> Result<(), DeviceError> {
        let path = self.path.join(membership_file(url));
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed,
        }
        .and_then(|()| sync_directory(path.parent().unwrap_or(&self.path)))
        .map_err(|error| local(&path, "cannot be removed", &error))
    }

    fn read(&self, file: impl AsRef<Path>) -> Result<Option<Zeroizing<String>>, DeviceError> {
        let path = self.path.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(local(&path, "cannot be read", &error)),
        }
    }

    fn write(&self, file: &Path, content: &[u8]) -> Result<(), DeviceError> {
        let path = self.path.join(file);
        let directory = path.parent().unwrap_or(&self.path);
        let write = || {
            make_directory(directory)?;
            // Mode 0600 from the start.
            let mut temporary = tempfile::Builder::new()
                .prefix(".new-")
                .tempfile_in(directory)?;
            temporary.write_all(content)?;
            temporary.as_file().sync_all()?;
            temporary.persist(&path)?;
            sync_directory(directory)
        };
        write().map_err(|error| local(&path, "cannot be written", &error))
    }

    fn damaged(&self, file: impl AsRef<Path>, error: &dyn std::error::Error) -> DeviceError {
        DeviceError::Local(format!(
            "{} is damaged: {error}. Restore it, or use another directory.",
            self.path.join(file).display()
        ))
    }
}

fn local(path: &Path, what: &str, error: &io::Error) -> DeviceError {
    DeviceError::Local(format!("{} {what}: {error}.", path.display()))
}

/// `domains/NAME@HASH.json`. The hash also distinguishes names that differ only in case, on file
/// systems that do not.
fn membership_file(url: &DomainUrl) -> PathBuf {
    let digest = Sha256::digest(url.as_str());
    let hash: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Path::new(DOMAINS_DIRECTORY).join(format!("{}@{hash}.json", url.domain()))
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes a rename or removal durable. Only Unix can open a directory for that; elsewhere it is up
/// to the file system.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Standing;

    fn url(text: &str) -> DomainUrl {
        DomainUrl::parse(text).unwrap()
    }

    fn membership(url: &DomainUrl, standing: Standing) -> Membership {
        Membership {
            url: url.as_str().to_owned(),
            domain: url.domain().clone(),
            standing,
            registered_at: None,
            ca_certificates: Vec::new(),
            credentials: Vec::new(),
            server_key_version: None,
        }
    }

    #[test]
    fn an_identity_is_created_once() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(parent.path().join("not/there/yet"));
        assert!(state.identity().unwrap().is_none());
        let _lock = state.lock().unwrap();
        let made = state.identity_or_create(KeyType::EcP256).unwrap();
        let again = state.identity_or_create(KeyType::Rsa2048).unwrap();
        assert_eq!(made.guid, again.guid);
        assert_eq!(made.key.public_key(), again.key.public_key());
    }

    #[test]
    fn half_an_identity_is_completed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let guid = MachineGuid::random();
        fs::write(directory.path().join(GUID_FILE), guid.to_string()).unwrap();
        assert!(state.identity().unwrap().is_none());
        assert_eq!(
            state.identity_or_create(KeyType::EcP256).unwrap().guid,
            guid
        );
        fs::remove_file(directory.path().join(GUID_FILE)).unwrap();
        assert!(matches!(state.identity(), Err(DeviceError::Local(_))));
    }

    #[test]
    fn damage_is_reported_without_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        fs::write(directory.path().join(KEY_FILE), pem).unwrap();
        let Err(error) = state.identity() else {
            panic!("damaged");
        };
        assert!(error.to_string().contains(KEY_FILE), "{error}");
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn memberships_are_stored_separately_and_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let one = url("http://one.example/flashaccess/domainserver/a");
        let two = url("http://two.example/flashaccess/domainserver/a");
        assert!(state.memberships().unwrap().is_empty());
        state
            .save(&one, &membership(&one, Standing::Member))
            .unwrap();
        state
            .save(&two, &membership(&two, Standing::Member))
            .unwrap();
        state
            .save(&two, &membership(&two, Standing::Leaving))
            .unwrap();
        fs::write(directory.path().join("domains/.new-x"), "half").unwrap();
        assert_eq!(state.memberships().unwrap().len(), 2);
        let kept = state.membership(&one).unwrap().unwrap();
        assert_eq!(kept.standing, Standing::Member);
        state.forget(&one).unwrap();
        state.forget(&one).unwrap();
        assert!(state.membership(&one).unwrap().is_none());
        let kept = state.memberships().unwrap().remove(0);
        assert_eq!(kept.standing, Standing::Leaving);
        assert_eq!(kept.url, two.as_str());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(parent.path().join("device"));
        let url = url("http://one.example/flashaccess/domainserver/a");
        let _lock = state.lock().unwrap();
        state.identity_or_create(KeyType::EcP256).unwrap();
        state
            .save(&url, &membership(&url, Standing::Member))
            .unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let directory = state.path().to_owned();
        assert_eq!(mode(directory.clone()), 0o700);
        assert_eq!(mode(directory.join(DOMAINS_DIRECTORY)), 0o700);
        for file in [GUID_FILE, KEY_FILE, LOCK_FILE] {
            assert_eq!(mode(directory.join(file)), 0o600, "{file}");
        }
        assert_eq!(mode(directory.join(membership_file(&url))), 0o600);
    }

    #[test]
    fn the_lock_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let lock = state.lock().unwrap();
        let other = File::open(directory.path().join(LOCK_FILE)).unwrap();
        assert!(other.try_lock().is_err());
        drop(lock);
        assert!(other.try_lock().is_ok());
    }
}
