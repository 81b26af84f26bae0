//! Running other programs, and telling what went wrong when they fail.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// A cargo for the workspace in `root`, as if called from a shell there.
///
/// `cargo run`, under which xtask itself runs, leaves variables behind that would tell a nested
/// cargo which toolchain to take, or make build scripts believe they belong to xtask.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    forget_outer_cargo(&mut command);
    command
}

/// Takes what an outer cargo and rustup set out of `command`'s environment.
pub fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let set_by_cargo_run = name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(name, "CARGO" | "RUSTC" | "RUSTDOC" | "RUSTUP_TOOLCHAIN");
        if set_by_cargo_run {
            command.env_remove(name);
        }
    }
}

/// Runs `command` with this program's own input and output.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs commands at the same time, and prints what each printed when it has ended, under its name.
///
/// # Errors
/// When one cannot be started or does not succeed: all are run to their ends, and all that failed
/// are named.
pub fn run_together(commands: Vec<(&str, Command)>) -> Result<()> {
    let run = |name: &str, command: &mut Command| -> Result<()> {
        let output = command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run `{}`", shown(command)))?;
        // Locked, so that no other output comes between.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "\n--> {name}")?;
        stdout.write_all(&output.stdout)?;
        stdout.write_all(&output.stderr)?;
        if !output.status.success() {
            bail!("`{}` failed ({})", shown(command), output.status);
        }
        Ok(())
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .into_iter()
            .map(|(name, mut command)| (name, scope.spawn(move || run(name, &mut command))))
            .collect();
        running
            .into_iter()
            .filter_map(|(name, thread)| match thread.join() {
                Ok(result) => Some(format!("{name}: {:#}", result.err()?)),
                Err(_) => Some(format!("{name}: panicked")),
            })
            .collect()
    });
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// Runs `command` and returns what it printed, without the last line's end.
///
/// # Errors
/// When it cannot be started, does not succeed or prints something else than UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("`{shown}` printed something else than UTF-8"))?;
    Ok(text.trim_end().to_owned())
}

/// Whether `command` can be started and succeeds; what it prints is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program is on the PATH, or where Debian keeps servers, which users' PATH leaves out.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// Becomes `command`: a signal to this process is one to it.
///
/// # Errors
/// When it cannot be started; on systems without `exec` also when it does not succeed.
#[cfg(unix)]
pub fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(error).with_context(|| format!("cannot run `{}`", shown(command)))
}

#[cfg(not(unix))]
pub fn become_program(command: &mut Command) -> Result<()> {
    run(command)
}

/// `command` as a person would type it, without its environment.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
