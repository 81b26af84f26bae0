use super::*;

const FILES: [&str; 4] = [
    CA_CERTIFICATE,
    CA_PRIVATE_KEY,
    KEY_ENCRYPTION_KEY,
    ADMIN_TOKEN,
];

fn complete(path: &Path, configured: Settings) -> anyhow::Result<Settings> {
    let state = StateDirectory::open(path)?;
    let in_use = state.store().exists().then(|| "the store".into());
    state.lock()?.complete(configured, in_use)
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
fn the_first_start_creates_secrets_and_later_ones_keep_them() {
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
fn configured_secrets_are_neither_created_nor_read() {
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
fn beside_a_store_only_the_admin_token_is_created_again() {
    let lost: [(&[&str], bool); 3] = [
        (&[CA_CERTIFICATE, CA_PRIVATE_KEY], false),
        (&[KEY_ENCRYPTION_KEY], false),
        (&[ADMIN_TOKEN], true),
    ];
    for (files, is_created) in lost {
        let directory = tempfile::tempdir().unwrap();
        complete(directory.path(), Settings::default()).unwrap();
        fs::write(directory.path().join(STORE), "").unwrap();
        for file in files {
            fs::remove_file(directory.path().join(file)).unwrap();
        }
        let completed = complete(directory.path(), Settings::default());
        assert_eq!(completed.is_ok(), is_created, "{files:?}");
        assert_eq!(
            directory.path().join(files[0]).exists(),
            is_created,
            "{files:?}"
        );
    }
}

#[test]
fn only_created_files_can_be_removed() {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    let mut locked = state.lock().unwrap();
    locked.complete(Settings::default(), None).unwrap();
    assert!(locked.has_created_any());
    locked.remove_created().unwrap();
    for file in FILES {
        let kept = file == ADMIN_TOKEN;
        assert_eq!(directory.path().join(file).exists(), kept, "{file}");
    }
    drop(locked);

    let created = complete(directory.path(), Settings::default()).unwrap();
    let mut locked = state.lock().unwrap();
    assert_eq!(locked.complete(Settings::default(), None).unwrap(), created);
    assert!(!locked.has_created_any());
    locked.remove_created().unwrap();
    assert!(directory.path().join(CA_CERTIFICATE).exists());
}

#[test]
fn an_empty_secret_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(ADMIN_TOKEN), "\n").unwrap();
    assert!(complete(directory.path(), Settings::default()).is_err());
}

#[test]
fn a_killed_start_leaves_no_file_for_longer_than_until_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(directory.path()).unwrap();
    let left = directory.path().join(".unfinished-123456");
    fs::write(&left, "a secret").unwrap();
    drop(state.lock().unwrap());
    assert!(!left.exists());
}
