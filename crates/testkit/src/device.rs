//! Devices, by their command `domain-device`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

/// The component, and the command `domain-device`, where `cargo xtask test` names both. See
/// [`program`].
pub fn component_and_device() -> Option<(PathBuf, PathBuf)> {
    Some((
        program("ANONYMOUS_DOMAINS_COMPONENT")?,
        program("ANONYMOUS_DOMAINS_DEVICE")?,
    ))
}

/// A program or component that `cargo xtask test` names by an environment variable. Without it this
/// says so: the test that needs it is not run.
pub fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable);
    if path.is_none() {
        eprintln!("not run: {variable} is not set; `cargo xtask test` sets it");
    }
    path.map(PathBuf::from)
}

/// Two devices at a new domain of the server at `url` (what comes before `/flashaccess`): both
/// join, one joins again and leaves, and the other gets the next version of the key. `device` is
/// the command `domain-device`, and `directory` is for the devices' state.
///
/// # Errors
///
/// If the server does anything else.
pub fn domain_life(device: &Path, directory: &Path, url: &str) -> anyhow::Result<()> {
    let url = format!("{url}/flashaccess/domainserver/living-room/");
    let run = |name: &str, arguments: &[&str], expected: &str| {
        let output = Command::new(device)
            .arg("--dir")
            .arg(directory.join(name))
            .args(arguments)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && text.trim_end().ends_with(expected),
            "{name} {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    let join = ["join", url.as_str()];
    run("television", &join, "key versions [1]")?;
    run("phone", &join, "key versions [1]")?;
    run("television", &join, "key versions [1]")?;
    run("television", &["leave", &url], "deleted from this device")?;
    run("phone", &join, "key versions [1, 2]")?;
    run("phone", &["verify"], "verified key versions [1, 2]")
}
