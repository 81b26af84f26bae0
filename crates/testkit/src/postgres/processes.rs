//! The processes of a running server: the one that was started, and its children. Each child is in
//! a process group of its own, so a signal to a group does not reach them all.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::installation::output;
use crate::process::Process;

/// How long a signal may take to show.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Kills them all with SIGKILL, and waits until they are gone: then no memory is shared with them.
///
/// # Errors
///
/// If the first had ended by itself.
pub fn kill(postmaster: &mut Process) -> anyhow::Result<()> {
    ensure!(!postmaster.has_ended()?, "PostgreSQL had ended by itself");
    let children = stop_postmaster(postmaster)?;
    signal("KILL", &children)?;
    // They stay as zombies while their parent does nothing.
    wait_until(&children, |state| state.starts_with('Z'))?;
    postmaster.kill()
}

/// Stops them all with SIGSTOP. Their connections stay open.
///
/// # Errors
///
/// If they cannot be stopped.
pub fn stall(postmaster: &Process) -> anyhow::Result<()> {
    let children = stop_postmaster(postmaster)?;
    signal("STOP", &children)?;
    wait_until(&children, |state| state.starts_with(['T', 'Z']))
}

/// Lets them go on after [`stall`].
///
/// # Errors
///
/// If they cannot be signalled.
pub fn resume(postmaster: &Process) -> anyhow::Result<()> {
    let children = children(postmaster.id())?;
    signal("CONT", &children)?;
    postmaster.signal("CONT")
}

/// Stops the parent, so that it has no new children, and returns the children.
fn stop_postmaster(postmaster: &Process) -> anyhow::Result<Vec<u32>> {
    postmaster.signal("STOP")?;
    wait_until(&[postmaster.id()], |state| state.starts_with('T'))?;
    children(postmaster.id())
}

fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let mut children = Vec::new();
    for [id, its_parent, _] in all()? {
        if its_parent == parent.to_string() {
            children.push(id.parse()?);
        }
    }
    Ok(children)
}

/// Sends a signal to those that are still there.
fn signal(name: &str, processes: &[u32]) -> anyhow::Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    // Fails if one of them has ended, but reaches the others.
    Command::new("kill")
        .args(["-s", name])
        .args(processes.iter().map(u32::to_string))
        .stderr(std::process::Stdio::null())
        .status()?;
    Ok(())
}

fn wait_until(processes: &[u32], is_reached: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let is_done = all()?.into_iter().all(|[id, _, state]| {
            let is_meant = id.parse().is_ok_and(|id| processes.contains(&id));
            !is_meant || is_reached(&state)
        });
        if is_done {
            return Ok(());
        }
        ensure!(
            start.elapsed() < TIMEOUT,
            "a signal to PostgreSQL had no effect"
        );
        sleep(Duration::from_millis(2));
    }
}

/// Each process of the system: its id, its parent's, and its state.
fn all() -> anyhow::Result<Vec<[String; 3]>> {
    let columns = ["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="];
    let table = output(Command::new("ps").args(columns))?;
    let row = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some([words.next()?, words.next()?, words.next()?])
    };
    Ok(table.lines().filter_map(row).collect())
}
