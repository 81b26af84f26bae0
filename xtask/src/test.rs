//! `cargo xtask test`: everything that a change must pass.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    component::{self, Component, Components},
    mutants,
    native::{self, Programs},
    needs::{self, Need},
    node, postgres, process, python, redis,
    workspace::Workspace,
};

/// The contract tests of what the arithmetic is used for.
const USES_OF_KEYS: [&str; 5] = [
    "test_authentication.py",
    "test_credentials.py",
    "test_device_cli.py",
    "test_life.py",
    "test_trust_anchors.py",
];

/// Runs the stages in order, the cheap ones first, and stops at the first that fails.
pub fn run(workspace: &Workspace, quick: bool) -> Result<()> {
    let started = Instant::now();
    let mut stages = Stages::default();
    let cargo = |args: &[&str]| process::run(process::cargo(&workspace.root).args(args));

    stages.run("what it needs", || {
        let mut missing = Vec::from_iter(component::missing(&workspace.root)?);
        missing.extend(redis::missing());
        missing.extend(postgres::missing());
        missing.extend(python::missing());
        missing.extend(node::missing());
        missing.extend(tools_missing());
        needs::provide(workspace, &missing)
    })?;
    stages.run("format", || cargo(&["fmt", "--all", "--check"]))?;
    if quick {
        for stage in ["clippy", "documentation"] {
            stages.skip(stage, "--quick");
        }
    } else {
        stages.run("clippy", || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])
        })?;
        stages.run("documentation", || documentation(&workspace.root))?;
    }
    stages.run("mutants", || mutants::check(workspace))?;
    let components = stages.run("component", || components_within_limit(workspace))?;
    let [store_check, store_check_p2] =
        stages.run("store check", || component::build_store_check(workspace))?;
    let [crypto_check, crypto_check_wide] =
        stages.run("crypto check", || component::build_crypto_check(workspace))?;
    let programs = stages.run("build", || native::build_with_tests(workspace))?;
    stages.run("rust tests", || {
        let mut command = process::cargo(&workspace.root);
        command.args(["test", "--workspace", "--locked"]);
        with_programs(&mut command, &components.portable, &programs)
            .env("ANONYMOUS_DOMAINS_CRYPTO_CHECK", &crypto_check.path)
            .env(
                "ANONYMOUS_DOMAINS_CRYPTO_CHECK_WIDE",
                &crypto_check_wide.path,
            )
            .env("ANONYMOUS_DOMAINS_STORE_CHECK", &store_check.path)
            .env("ANONYMOUS_DOMAINS_STORE_CHECK_P2", &store_check_p2.path);
        process::run(&mut command)
    })?;
    // At the same time: each often waits for its own timeouts.
    stages.run("contract tests, console and SDK", || {
        let python = python(workspace)?;
        let suite = |name, component, adapt: fn(&mut Command)| {
            let mut command = python_tests(workspace, &python, "tests/contract");
            adapt(with_programs(&mut command, component, &programs));
            anyhow::Ok((name, command))
        };
        let mut console = python_tests(workspace, &python, "tests/browser");
        with_programs(&mut console, &components.wide, &programs);
        let mut sdk = sdk_tests(workspace)?;
        with_programs(&mut sdk, &components.wide, &programs);
        let suites = vec![
            // These take longest: two halves.
            suite(
                "wide build: the gateway, A to K",
                &components.wide,
                |command| {
                    command.args(["-m", "of_the_gateway", "--ignore-glob=test_[l-z]*.py"]);
                },
            )?,
            suite(
                "wide build: the gateway, L to Z",
                &components.wide,
                |command| {
                    command.args(["-m", "of_the_gateway", "--ignore-glob=test_[a-k]*.py"]);
                },
            )?,
            suite("wide build: the server", &components.wide, |command| {
                command.args(["-m", "not of_the_gateway"]);
            })?,
            // It has the interfaces of the wide build, and the arithmetic of the one with WASI 0.2.
            suite("portable build", &components.portable, |command| {
                command
                    .args(USES_OF_KEYS)
                    .args(["-m", "not of_the_gateway"]);
            })?,
            suite("WASI 0.2 build, PostgreSQL", &components.p2, |command| {
                command
                    .env("ANONYMOUS_DOMAINS_POSTGRES", "1")
                    .args(["-m", "not of_the_gateway or of_every_store"]);
            })?,
            ("console in Chromium", console),
            ("SDK in Node and Chromium", sdk),
        ];
        process::run_together(suites)
    })?;
    println!(
        "\nxtask test: {}, in {}",
        stages.summary(),
        shown(started.elapsed())
    );
    Ok(())
}

/// Runs stages with a line before and after each, and counts them.
#[derive(Default)]
struct Stages {
    passed: usize,
    skipped: Vec<&'static str>,
}

impl Stages {
    fn run<T>(&mut self, name: &'static str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n==> {name}");
        let started = Instant::now();
        let result = stage();
        let time = shown(started.elapsed());
        match result {
            Ok(value) => {
                println!("==> {name}: passed in {time}");
                self.passed += 1;
                Ok(value)
            }
            Err(error) => {
                println!("==> {name}: FAILED after {time}");
                Err(error.context(format!("stage `{name}` failed, and no later one was run")))
            }
        }
    }

    fn skip(&mut self, name: &'static str, reason: &str) {
        println!("\n==> {name}: skipped ({reason})");
        self.skipped.push(name);
    }

    fn summary(&self) -> String {
        let mut summary = format!("all {} stages passed", self.passed);
        if !self.skipped.is_empty() {
            summary += &format!(", skipped: {}", self.skipped.join(", "));
        }
        summary
    }
}

fn components_within_limit(workspace: &Workspace) -> Result<Components> {
    let components = component::build(workspace)?;
    for component in components.each() {
        println!("{component}");
        if component.bytes >= component::SIZE_LIMIT {
            bail!(
                "this component has {} bytes, and may not reach {}",
                component.bytes,
                component::SIZE_LIMIT
            );
        }
    }
    Ok(components)
}

/// What the tests call besides what they test.
fn tools_missing() -> impl Iterator<Item = Need> {
    const TOOLS: [(&str, &str, &str); 6] = [
        ("caddy", "its configuration", "caddy"),
        ("chromium", "the console and the SDK", "chromium"),
        ("nginx", "its configuration", "nginx-light"),
        ("openssl", "certificates", "openssl"),
        ("promtool", "the alerts", "prometheus"),
        ("systemd-analyze", "the unit", "systemd"),
    ];
    TOOLS
        .into_iter()
        .filter(|(program, ..)| !process::is_installed(program))
        .map(|(program, checked, package)| Need {
            what: format!("{program}, with which the tests check {checked}"),
            packages: vec![package],
        })
}

/// The Python of the suites below.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let lists = ["contract", "browser"].map(|suite| {
        workspace
            .root
            .join("tests")
            .join(suite)
            .join("requirements.txt")
    });
    python::environment(workspace, "python", &lists.each_ref().map(PathBuf::as_path))
        .context("cannot prepare the tests' Python")
}

/// A black-box suite, which knows the programs only by their paths.
fn python_tests(workspace: &Workspace, python: &Path, suite: &str) -> Command {
    let mut command = Command::new(python);
    command
        .current_dir(workspace.root.join(suite))
        .args(["-m", "pytest", "-p", "no:cacheprovider"])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The TypeScript SDK's own tests.
fn sdk_tests(workspace: &Workspace) -> Result<Command> {
    let package = workspace.root.join("sdk/js");
    node::install(workspace, &package).context("cannot prepare the SDK's tests")?;
    let mut command = Command::new("npm");
    command.current_dir(package).arg("test");
    Ok(command)
}

/// Tells tests where the programs are, and keeps the caller's own settings for a gateway from them.
fn with_programs<'a>(
    command: &'a mut Command,
    component: &Component,
    programs: &Programs,
) -> &'a mut Command {
    native::forget_settings(command);
    command
        .env("ANONYMOUS_DOMAINS_GATEWAY", &programs.gateway)
        .env("ANONYMOUS_DOMAINS_COMPONENT", &component.path)
        .env("ANONYMOUS_DOMAINS_DEVICE", &programs.device)
        .env("ANONYMOUS_DOMAINS_DOMAINCTL", &programs.domainctl)
}

/// Our crates' documentation as their developers read it: with private items, so links to them hold.
fn documentation(root: &Path) -> Result<()> {
    process::run(
        process::cargo(root)
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ])
            .env(
                "RUSTDOCFLAGS",
                "-D warnings -A rustdoc::private-intra-doc-links",
            ),
    )
}

/// A duration as people say it, to the second, or to a tenth below a minute.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}
