//! PostgreSQL on this machine: its programs, the user that they run as, and a new server's data.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// Where Debian keeps the programs, in a directory for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one version.
#[derive(Debug, Clone)]
pub struct Installation {
    programs: PathBuf,
    /// Who they run as, if not as this process's user: PostgreSQL refuses to run as root.
    user: Option<User>,
}

/// A user and its group, by number.
#[derive(Debug, Clone, Copy)]
struct User {
    user: u32,
    group: u32,
}

impl Installation {
    /// The newest version of those that Debian has installed, or the one on the PATH.
    ///
    /// # Errors
    ///
    /// If there is none, or no user for it.
    pub fn find() -> anyhow::Result<Self> {
        let programs = debian().or_else(on_path).context(
            "PostgreSQL is neither below /usr/lib/postgresql nor on the PATH \
             (on Debian: apt-get install --no-install-recommends postgresql)",
        )?;
        let is_root = TempDir::new()?.path().metadata()?.uid() == 0;
        let user = is_root.then(postgres_user).transpose()?;
        Ok(Self { programs, user })
    }

    /// A program, which runs in `directory` as the server's user and prints to nowhere.
    pub fn command(&self, program: &str, directory: &Path) -> Command {
        let path = self.programs.join(program);
        self.foreign_command(path, directory)
    }

    /// As [`command`](Self::command), of a program that is not PostgreSQL's.
    pub fn foreign_command(&self, program: impl Into<OsString>, directory: &Path) -> Command {
        let mut command = Command::new(program.into());
        command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(User { user, group }) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// A directory that is the server's own, with a path short enough for a socket. It is removed
    /// when this is dropped.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn directory(&self) -> anyhow::Result<TempDir> {
        let directory = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        self.give(directory.path())?;
        Ok(directory)
    }

    /// Gives a file to the server's user.
    ///
    /// # Errors
    ///
    /// If the system refuses it.
    pub fn give(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(User { user, group }) = self.user {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Makes the data directory `data` of a new server below `directory`, whose user `postgres` has
    /// this password. The first call on a machine makes a template in the system's temporary
    /// directory, and later ones copy it.
    ///
    /// # Errors
    ///
    /// If PostgreSQL's programs fail.
    pub fn initialize(&self, directory: &Path, password: &str) -> anyhow::Result<()> {
        let template = self.template(password)?;
        run(self.foreign_command("cp", directory).args([
            "-R".as_ref(),
            template.as_os_str(),
            "data".as_ref(),
        ]))
    }

    fn template(&self, password: &str) -> anyhow::Result<PathBuf> {
        let version = Command::new(self.programs.join("postgres"))
            .arg("--version")
            .output()?;
        // `postgres (PostgreSQL) 15.18 (Debian ...)`
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.split_whitespace().nth(2).unwrap_or_default();
        let new = self.directory()?;
        let owner = new.path().metadata()?.uid();
        let name = format!("anonymous-domains-postgres-{version}-{owner}");
        let template = std::env::temp_dir().join(name);
        // Nobody else's: anyone may write to the temporary directory.
        if fs::symlink_metadata(&template).is_ok_and(|it| it.is_dir() && it.uid() == owner) {
            return Ok(template);
        }
        let password_file = new.path().join("password");
        fs::write(&password_file, password)?;
        self.give(&password_file)?;
        run(self
            .command("initdb", new.path())
            .args(["--pgdata", "data", "--username", "postgres"])
            .args(["--encoding", "UTF8", "--locale", "C", "--auth", "trust"])
            .args(["--pwfile", "password", "--no-sync", "--no-instructions"]))?;
        // At once, and by one of several tests that do this at the same time.
        let renamed = fs::rename(new.path().join("data"), &template);
        ensure!(renamed.is_ok() || template.is_dir(), "{renamed:?}");
        Ok(template)
    }
}

/// Runs a program to its end.
///
/// # Errors
///
/// If it fails, with what it said.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

/// What a program prints, without the last line's end.
///
/// # Errors
///
/// If it fails, with what it said.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

fn debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let programs = version.path().join("bin");
            let is_server = programs.join("postgres").is_file();
            is_server.then_some((number, programs))
        })
        .max()
        .map(|(_, programs)| programs)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|programs| programs.join("postgres").is_file())
}

/// The user that Debian's package makes.
fn postgres_user() -> anyhow::Result<User> {
    let users = fs::read_to_string("/etc/passwd")?;
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            let user = fields.next()?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some(User { user, group })
        })
        .context("PostgreSQL does not run as root, and there is no user postgres")
}
