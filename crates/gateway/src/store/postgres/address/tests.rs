use super::*;

fn address(url: &str) -> Result<Address, AddressError> {
    Address::new(url, Credentials::default())
}

/// What libraries are told of each host.
fn hosts(url: &str) -> Vec<(String, SslMode)> {
    let address = address(url).unwrap();
    let hosts = address.hosts.iter();
    hosts
        .map(|host| (host.shown.clone(), host.config.get_ssl_mode()))
        .collect()
}

#[test]
fn credentials_are_never_shown() {
    for url in [
        "postgres://user:hunter2@localhost/db",
        "postgresql://user:hunter2@db1:5433,[::1]:5434/db?sslmode=disable",
        "postgres://localhost/db?password=hunter2",
        "postgres://user:hunter2@localhost/db?nonsense=1",
        "postgres://user:hunter2@/db",
        "postgres://user:hunter2@localhost:port/db",
        "postgres://user:hunter2@localhost/db?sslmode=prefer",
    ] {
        let text = match address(url) {
            Ok(address) => format!("{address} {address:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(
        address("postgresql://a:b@localhost:5433,[::1]/db")
            .unwrap()
            .to_string(),
        "postgres://localhost:5433,[::1]:5432/db"
    );
}

#[test]
fn other_machines_need_tls_unless_it_is_disabled() {
    let (on, off) = (SslMode::Require, SslMode::Disable);
    for (url, mode) in [
        ("postgres://db.example/d", on),
        ("postgres://db.example/d?sslmode=verify-ca", on),
        ("postgres://db.example/d?sslmode=disable", off),
        ("postgres://localhost/d", off),
        ("postgres://127.0.0.1/d", off),
        ("postgres://127.0.0.1/d?sslmode=verify-full", on),
        ("postgres:///d?host=/run/postgresql", off),
        ("postgres:///d?host=/run/postgresql&sslmode=require", off),
    ] {
        let modes: Vec<_> = hosts(url).into_iter().map(|(_, mode)| mode).collect();
        assert_eq!(modes, [mode], "{url}");
    }
    for mode in ["prefer", "allow", "no"] {
        let refused = address(&format!("postgres://db.example/d?sslmode={mode}"));
        assert!(matches!(refused, Err(AddressError::Insecure)), "{mode}");
    }
}

#[test]
fn each_host_is_a_configuration_of_its_own() {
    let both = "postgres://u:p@localhost:1,127.0.0.1:2/d?target_session_attrs=primary&\
                application_name=mine&options=-c%20search_path%3Ds";
    let found = address(both).unwrap();
    for (host, port) in found.hosts.iter().zip([1, 2]) {
        assert_eq!(host.config.get_ports(), [port]);
        assert_eq!(host.config.get_hosts().len(), 1);
        assert_eq!(host.config.get_user(), Some("u"));
        assert_eq!(host.config.get_password(), Some(&b"p"[..]));
        assert_eq!(host.config.get_dbname(), Some("d"));
        assert_eq!(host.config.get_application_name(), Some("mine"));
        assert_eq!(host.config.get_options(), Some("-c search_path=s"));
    }
}

#[test]
fn what_cannot_be_a_store_is_refused() {
    for url in [
        "postgres://",
        "postgres:///d",
        "postgres://a:1,b/d?port=2",
        "postgres://localhost/d?target_session_attrs=read-only",
        "postgres://localhost/d?target_session_attrs=standby",
        "postgres://localhost/d?sslmode=%ff",
        "mysql://localhost/d",
    ] {
        assert!(matches!(address(url), Err(AddressError::NoUrl(_))), "{url}");
    }
}

#[test]
fn a_password_comes_from_one_place() {
    let credentials = || Credentials {
        password: Some(Zeroizing::new("hunter2".into())),
        ..Credentials::default()
    };
    let found = Address::new("postgres://u@localhost/d", credentials()).unwrap();
    assert_eq!(found.hosts[0].config.get_password(), Some(&b"hunter2"[..]));
    let two = Address::new("postgres://u:other@localhost/d", credentials());
    assert!(matches!(two, Err(AddressError::TwoPasswords)));
    for (url, has) in [
        ("postgres://u@localhost/d", false),
        ("postgres://u:p@localhost/d", true),
        ("postgres://u@localhost/d?sslmode=disable&password=p", true),
    ] {
        assert_eq!(Address::has_password(url), has, "{url}");
    }
}

#[test]
fn certificates_need_tls() {
    let ca = |url: &str| {
        let credentials = Credentials {
            ca: Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec()),
            ..Credentials::default()
        };
        Address::new(url, credentials)
    };
    for (url, because) in [
        ("postgres://db.example/d?sslmode=disable", "TLS"),
        ("postgres:///d?host=/run/postgresql", "TLS"),
        // A CA means TLS also on this machine.
        ("postgres://localhost/d", "cannot be used"),
    ] {
        let error = ca(url).unwrap_err().to_string();
        assert!(error.contains(because), "{url}: {error}");
    }
    let half = "postgres://db.example/d?sslcert=/nowhere";
    assert!(matches!(address(half), Err(AddressError::Certificates(_))));
}
