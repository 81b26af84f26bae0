//! `cargo xtask demo --browser`: a server, its console and three devices, for someone with a browser.

use std::{
    fs::{self, File},
    io,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    copy_directory, say,
    server::{Server, Temporary, make_private, start_gateway},
};
use crate::{needs, node, process, python, serve, workspace::Workspace};

/// Serves the console, and on another origin the SDK's page of devices, until Enter is pressed.
pub fn run(workspace: &Workspace) -> Result<()> {
    let missing = python::missing().into_iter().chain(node::missing());
    needs::provide(workspace, &Vec::from_iter(missing))?;
    println!("Building what changed (the first time takes some minutes).");
    let (component, programs) = serve::build(workspace)?;
    let sdk = workspace.root.join("sdk/js");
    node::install(workspace, &sdk)?;
    let mut npm = Command::new("npm");
    process::run(npm.current_dir(&sdk).args(["run", "--silent", "build"]))?;

    // Below the target directory: what Ctrl-C leaves there, the next demo removes.
    let lock = workspace.target.join("demo.lock");
    let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask demo --browser` is running: end it with Enter there");
    }
    let temporary = Temporary::new(workspace.target.join("demo"))?;
    // Nothing else of the SDK's directory, and nothing of the server's.
    let pages = temporary.0.join("pages");
    make_private(&pages)?;
    for part in ["dist", "examples"] {
        copy_directory(&sdk.join(part), &pages.join(part))?;
    }
    let mut command = Command::new("python3");
    command
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .arg("--directory")
        .arg(&pages)
        .stderr(Stdio::null());
    let pages = Server::start(command)?;
    let cors = format!("cors_origins={}", pages.url);
    let gateway = start_gateway(&programs, &component.path, &temporary.0, &[&cors])?;
    let token = temporary.0.join("state/admin-token");
    let token =
        fs::read_to_string(&token).with_context(|| format!("cannot read {}", token.display()))?;

    say("Open both in a browser, side by side.");
    println!(
        "    The devices:   {}/examples/household.html?url={}/flashaccess/domainserver/living-room/",
        pages.url, gateway.url
    );
    println!("    The console:   {}/console/", gateway.url);
    println!("    Its token:     {}", token.trim());
    say("What to try:");
    for step in STEPS {
        println!("    {step}");
    }
    say("Press Enter to end it.");
    if io::stdin().read_line(&mut String::new())? == 0 {
        // Nobody can press Enter: until a signal comes.
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

const STEPS: [&str; 6] = [
    "1. Let the television and the phone join. The console shows `living-room`, with both machines.",
    "2. In the console set the domain's maximum of members to 2. The tablet is refused.",
    "3. Remove the television there (compare the machines). A rollover of the key is now due.",
    "4. Let the tablet join: the first to do so after the removal has version 2 of the key made.",
    "5. The phone gets it when it asks again. The television has version 1, and gets no other.",
    "6. Block the tablet in the console. It cannot join again, until you unblock it.",
];
