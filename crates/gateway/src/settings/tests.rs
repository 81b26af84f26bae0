use super::*;

fn argument(text: &str) -> anyhow::Result<Settings> {
    Settings::from_arguments(&[text.to_owned()])
}

fn error(result: anyhow::Result<Settings>) -> String {
    format!("{:#}", result.expect_err("an error"))
}

#[test]
fn arguments_beat_the_environment_beats_the_file_beats_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("variables.toml");
    std::fs::write(
        &file,
        "public_origin = \"file\"\nclock_tolerance = 7\nauto_create_domains = false\n\
         auth_issuer = \"file\"",
    )
    .unwrap();
    let arguments = argument("public_origin=argument").unwrap();
    let environment = Settings::from_environment(|name| match name {
        "ANONYMOUS_DOMAINS_PUBLIC_ORIGIN" | "ANONYMOUS_DOMAINS_CLOCK_TOLERANCE" => {
            Some("environment".into())
        }
        "ANONYMOUS_DOMAINS_AUTH_ISSUER" => Some("".into()),
        _ => None,
    })
    .unwrap();
    let mut state = Settings::default();
    for name in [
        "public_origin",
        "clock_tolerance",
        "auth_issuer",
        "admin_token",
    ] {
        state.set(name, Zeroizing::new("state".into())).unwrap();
    }
    let file = Settings::from_file(&file).unwrap();
    let settings = arguments.or(environment).or(file).or(state);
    assert_eq!(
        settings.iter().collect::<Vec<_>>(),
        [
            ("admin_token", "state"),
            ("auth_issuer", "file"),
            ("auto_create_domains", "false"),
            ("clock_tolerance", "environment"),
            ("public_origin", "argument"),
        ]
    );
}

#[test]
fn the_component_is_told_how_long_a_request_may_take() {
    let told = |milliseconds| {
        let settings = Settings::of_the_gateway(Duration::from_millis(milliseconds));
        settings.get("request_timeout").map(str::to_owned)
    };
    assert_eq!(told(30_000).as_deref(), Some("30"));
    assert_eq!(told(2_999).as_deref(), Some("2"));
    assert_eq!(told(1).as_deref(), Some("1"));

    let set = argument("request_timeout=7").unwrap();
    let settings = set.or(Settings::of_the_gateway(Duration::from_secs(30)));
    assert_eq!(settings.get("request_timeout"), Some("7"));

    // The variable belongs to the flag, and has the flag's form.
    let environment = Settings::from_environment(|name| {
        (name == "ANONYMOUS_DOMAINS_REQUEST_TIMEOUT").then(|| "500ms".into())
    });
    assert_eq!(environment.unwrap(), Settings::default());
}

#[test]
fn an_argument_may_name_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "a token\n").unwrap();
    let settings = argument(&format!("admin_token=@{}", file.display())).unwrap();
    assert_eq!(settings.get("admin_token"), Some("a token"));
    let missing = error(argument("admin_token=@/nowhere/token"));
    assert!(missing.contains("/nowhere/token"), "{missing}");
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    for name in SECRETS {
        let text = error(argument(&format!("{name}=hunter2")));
        assert!(text.contains("=@FILE"), "{text}");
        assert!(text.contains(&environment_name(name)), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let text = error(argument("public_orgin=x"));
    assert!(text.contains("public_orgin"), "{text}");
    assert!(text.contains("public_origin"), "{text}");
    assert!(argument("public_origin").is_err());
}

#[test]
fn misspelt_variables_are_found() {
    let variables = [
        "ANONYMOUS_DOMAINS_PUBLIC_ORIGIN",
        "ANONYMOUS_DOMAINS_PUBLIC_ORGIN",
        "ANONYMOUS_DOMAINS_LISTEN",
        "PATH",
    ];
    let unknown = unknown_variables(variables, &["ANONYMOUS_DOMAINS_LISTEN"]);
    assert_eq!(unknown, ["ANONYMOUS_DOMAINS_PUBLIC_ORGIN"]);
}

#[test]
fn errors_and_debug_show_no_values() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("variables.toml");
    for content in [
        "admin_token = \"hunter2",
        "a = 1\nadmin_token = hunter2",
        "admin_token = [\"hunter2\"]",
        "unknown = \"hunter2\"",
    ] {
        std::fs::write(&file, content).unwrap();
        let text = error(Settings::from_file(&file));
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("variables.toml"), "{text}");
    }
    std::fs::write(&file, "admin_token = \"hunter2\"").unwrap();
    let settings = Settings::from_file(&file).unwrap();
    assert_eq!(format!("{settings:?}"), "{\"admin_token\"}");
}
