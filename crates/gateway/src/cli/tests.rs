use anonymous_domains_testkit::assert_command;

use super::*;

#[test]
fn the_command_line_is_consistent_and_its_examples_are_true() {
    assert_command(CommandLine::command(), &[]);
}

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/settings.md"
);

/// Set to anything, it has the test write the page instead of comparing it.
const REWRITE: &str = "UPDATE_SETTINGS_MD";

#[test]
fn the_documented_flags_are_those_there_are() {
    let mut list = String::new();
    for argument in Arguments::command().get_arguments() {
        let flag = argument.get_long().unwrap();
        if let Some(variable) = argument.get_env() {
            let name = flag.to_uppercase().replace('-', "_");
            assert_eq!(variable, format!("ANONYMOUS_DOMAINS_{name}").as_str());
        }
        // A flag without a value shows no name for it.
        let takes_value = argument.get_action().takes_values();
        let names = argument.get_value_names().filter(|_| takes_value);
        let names = names.unwrap_or_default().iter();
        let value: String = names.map(|name| format!(" {name}")).collect();
        // In the environment such a flag takes a value.
        let has_value = takes_value || argument.get_env().is_some();
        let possible = argument.get_possible_values();
        let possible = possible.iter().filter(|_| has_value);
        let mut values: Vec<_> = possible
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        for default in argument.get_default_values() {
            values.push(format!("default `{}`", default.display()));
        }
        let values = match values.join(", ") {
            values if values.is_empty() => values,
            values => format!(" ({values})"),
        };
        let help = argument.get_help().unwrap();
        list += &format!("- `--{flag}{value}`{values}: {help}\n");
    }
    let (begin, end) = ("<!-- begin flags -->\n", "<!-- end flags -->");
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let generated = format!("{before}{begin}\n{list}\n{end}{after}");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(PAGE, generated).unwrap();
        return;
    }
    assert!(
        page == generated,
        "{PAGE} is not what the flags are: run this test with {REWRITE}=1 to write it"
    );
}

/// The options are in settings.md. With GATEWAY_WRITE_HELP set, the pinned texts are updated.
#[test]
fn the_help_of_the_subcommands_is_as_pinned() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help");
    let mut command = CommandLine::command();
    command.build();
    for name in ["backup", "check-config", "completions", "schema"] {
        let subcommand = command.find_subcommand_mut(name).unwrap();
        let help = subcommand.render_long_help().to_string();
        let (before, options) = help.split_once("Options:\n").unwrap();
        let (_, examples) = options.split_once("Examples:\n").unwrap();
        let text = format!("{before}Examples:\n{}\n", examples.trim_end());
        let path = format!("{directory}/{name}.txt");
        if std::env::var_os("GATEWAY_WRITE_HELP").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{path}");
    }
}

#[test]
fn the_help_names_every_setting() {
    let listed = AFTER_HELP.split("Each comes").next().unwrap();
    for name in crate::settings::NAMES {
        assert!(
            listed
                .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                .any(|word| word == name),
            "{name}"
        );
    }
}

#[test]
fn no_flag_takes_a_settings_variable() {
    let settings = crate::settings::NAMES.map(crate::settings::environment_name);
    // The setting that follows from the flag.
    let of_the_gateway = crate::settings::environment_name("request_timeout");
    for argument in Arguments::command().get_arguments() {
        if let Some(variable) = argument.get_env() {
            assert!(
                variable == of_the_gateway.as_str()
                    || !settings.iter().any(|s| s.as_str() == variable),
                "{variable:?}"
            );
        }
    }
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let parse = |url: &str| {
        Arguments::from_words(["gateway", "--store", url]).map(|(_, arguments)| arguments)
    };
    for url in [
        "redis://:hunter2@localhost",
        "redis+unix:///run/redis.sock?pass=hunter2",
        "nonsense://user:hunter2@localhost",
    ] {
        let text = parse(url).unwrap_err().to_string();
        assert!(text.contains("--store-password-file"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let arguments = parse("redis://gateway@localhost/1").unwrap();
    let address = arguments.store.address().unwrap().unwrap();
    assert_eq!(address.to_string(), "redis://localhost/1");
}

#[test]
fn a_password_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let words = [
        "gateway",
        "--store=redis://localhost",
        "--store-password-file",
        file.to_str().unwrap(),
    ];
    let address = || Arguments::from_words(words).unwrap().1.store.address();
    assert!(address().is_err(), "there is no file");
    std::fs::write(&file, "\n").unwrap();
    assert!(address().is_err(), "an empty password");
    std::fs::write(&file, "hunter2\n").unwrap();
    assert!(!format!("{:?}", address().unwrap()).contains("hunter2"));
    let no_store = ["gateway", "--store-ca", "ca.pem"];
    let (_, arguments) = Arguments::from_words(no_store).unwrap();
    assert!(arguments.store.address().is_err());
}

#[test]
fn the_command_line_comes_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:1\"\nmax_connections = 7\nstore = \"redis://:hunter2@localhost\"\n\
         trusted_proxy = [\"10.0.0.0/8\"]\n[settings]\nadmin_token = \"hunter2\"\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for words in [
        &["gateway", "--config", file, "--listen=127.0.0.1:2"][..],
        &[
            "gateway",
            "check-config",
            "--listen=127.0.0.1:2",
            "--config",
            file,
        ],
    ] {
        let (action, arguments) = Arguments::from_words(words).unwrap();
        assert_eq!(
            matches!(action, Action::CheckConfig),
            words[1] == "check-config"
        );
        assert_eq!(arguments.listen.port(), 2);
        assert_eq!(arguments.max_connections.get(), 7);
        assert_eq!(arguments.limits.trusted_proxies.len(), 1);
        assert_eq!(arguments.file_settings.get("admin_token"), Some("hunter2"));
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }
    assert!(Arguments::from_words(["gateway", "--listen=[::]:1", "check-config"]).is_err());
}
