//! The gateway that is attacked: started, watched and asked.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anonymous_domains_testkit::{Gateway, Usage};
use anyhow::Context as _;

/// Which gateway an attack needs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Settings {
    /// Its limits are the defaults, and domain keys are EC, which cost little.
    Default,
    /// Rates are not limited.
    NoRates,
    /// Connections are limited to more than an attack makes.
    ManyConnections,
    /// Its limits are the defaults, and domain keys are RSA, as by default.
    Rsa,
    /// Rates are not limited, and domain keys are RSA.
    RsaNoRates,
}

impl Settings {
    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default | Self::Rsa => "default",
            Self::NoRates | Self::RsaNoRates => "no rate limits",
            Self::ManyConnections => "15,000 connections",
        }
    }

    /// Whether making a domain key takes long.
    pub fn has_slow_keys(self) -> bool {
        matches!(self, Self::Rsa | Self::RsaNoRates)
    }

    fn arguments(self) -> Vec<&'static str> {
        // Connections of this machine are not limited by default. Others' are: to about half.
        let per_client = |max| ["--max-connections-per-client", max];
        let mut arguments = match self {
            Self::ManyConnections => vec!["--max-connections", "15000"],
            _ => Vec::new(),
        };
        arguments.extend(match self {
            Self::ManyConnections => per_client("14000"),
            _ => per_client("500"),
        });
        if !self.has_slow_keys() {
            arguments.extend(["--set", "domain_key_type=EC-P256"]);
        }
        if matches!(self, Self::NoRates | Self::RsaNoRates) {
            arguments.extend(["--rate-limit-client", "off", "--rate-limit-domain", "off"]);
        }
        arguments
    }
}

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The gateway's.
    pub gateway: PathBuf,
    /// The component, or a directory with its builds.
    pub component: PathBuf,
}

/// A running gateway.
#[derive(Debug)]
pub struct Target {
    gateway: Gateway,
    /// Its settings.
    pub settings: Settings,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
}

impl Target {
    /// Starts one on a state directory below `directory`, where its log is too.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(
        programs: &Programs,
        directory: &Path,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let log = directory.join("gateway.log");
        let state = directory.join("state");
        let mut command = Gateway::limited_command(&programs.gateway, &programs.component, &state);
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(["--trusted-proxy", "127.0.0.0/8"])
            .args(settings.arguments());
        append_log(&mut command, &log)?;
        let gateway = Gateway::start(command)
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        let address = gateway.origin.strip_prefix("http://").map(str::parse);
        let address = address.context("the gateway serves HTTP")??;
        Ok(Self {
            gateway,
            settings,
            address,
            log,
        })
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        self.gateway.process.has_ended()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processor time that it has used, in seconds.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn cpu_s(&self) -> anyhow::Result<f64> {
        let id = self.gateway.process.id();
        let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
        cpu_ticks(&text)
            .map(|ticks| ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
            .context("/proc/PID/stat has another form")
    }

    /// The memory that it has now, in bytes.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        Ok(Usage::of(self.gateway.process.id())?.memory_bytes)
    }
}

fn append_log(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let file = File::options().create(true).append(true).open(log)?;
    command.stderr(file);
    Ok(())
}

/// The time in user and system mode, of `/proc/PID/stat`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name of the program, in parentheses, may have spaces. After it come fields 3 and later.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_file_is_read() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 30 0 0";
        assert_eq!(cpu_ticks(stat), Some(280));
        assert_eq!(cpu_ticks("42 (x) S 1"), None);
    }
}
