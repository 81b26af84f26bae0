"""A real PostgreSQL for a test, in a directory and on a port of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ports import free_port

START_S = 60
# A gateway waits 3 s for its store. A disk that many suites sync beside may take longer.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 << 30
DEBIAN = Path("/usr/lib/postgresql")
# It refuses to run as root; Debian's package makes this user.
USER = "postgres"


def programs() -> Path:
    """Where its programs are: of the newest version that Debian has installed, or on the PATH."""
    versions = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    found = shutil.which("postgres")
    assert found, (
        "PostgreSQL is neither below /usr/lib/postgresql nor on the PATH, and these tests need one "
        "(on Debian: apt-get install --no-install-recommends postgresql)"
    )
    return Path(found).parent


class PostgresServer:
    """It keeps what it answered, also when it is killed."""

    def __init__(self, password: str | None = None):
        has_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
        place = MEMORY if has_memory else None
        self.directory = tempfile.TemporaryDirectory(prefix="postgres-", dir=place)
        self.path = Path(self.directory.name)
        self.data = self.path / "data"
        self.password = password
        self.process: subprocess.Popen | None = None
        if os.geteuid() == 0:
            account = pwd.getpwnam(USER)
            self.identity = {"user": account.pw_uid, "group": account.pw_gid}
            os.chown(self.path, account.pw_uid, account.pw_gid)
        else:
            self.identity = {}
        method = ["--auth", "trust"]
        if password is not None:
            file = self.path / "password"
            file.write_text(password)
            method = ["--auth", "scram-sha-256", "--pwfile", str(file)]
        self._run("initdb", "--pgdata", str(self.data), "--username", USER, "--no-sync", *method)
        self.port = free_port()

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> "PostgresServer":
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", "max_connections=500"]
        settings += [f"unix_socket_directories={self.path}", "shared_buffers=16MB"]
        settings += ["dynamic_shared_memory_type=mmap"]
        options = [word for setting in settings for word in ("-c", setting)]
        command = [programs() / "postgres", "-D", str(self.data), *options]
        self.process = None
        deadline = time.monotonic() + START_S
        while self._run("pg_isready", *self._address, check=False).returncode != 0:
            assert time.monotonic() < deadline, f"no answer: {(self.path / 'log').read_text()}"
            # It does not start while a process of a killed one is left.
            if self.process is None or self.process.poll() is not None:
                self._spawn(command)
            time.sleep(0.05)
        return self

    def _spawn(self, command: list):
        with (self.path / "log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.path,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.identity,
            )

    @property
    def _address(self) -> list[str]:
        return ["--host", str(self.path), "--port", str(self.port), "--username", USER]

    def _run(self, program: str, *words: str, check=True) -> subprocess.CompletedProcess:
        environment = {**os.environ, "LC_ALL": "C"}
        if self.password is not None:
            environment["PGPASSWORD"] = self.password
        return subprocess.run(
            [programs() / program, *words],
            cwd=self.path,
            capture_output=True,
            text=True,
            env=environment,
            check=check,
            **self.identity,
        )

    def query(self, sql: str, database: str = "postgres") -> list[tuple[str, ...]]:
        """The rows of an answer, as text."""
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
        options += ["--set", "ON_ERROR_STOP=1", "--dbname", database, "--command", sql]
        answer = self._run("psql", *self._address, *options).stdout
        return [tuple(line.split("|")) for line in answer.splitlines()]

    def rows(self, database: str) -> list[tuple[str, ...]]:
        """Every row of the gateway's table."""
        columns = "encode(key, 'escape'), version, encode(value, 'hex')"
        return self.query(f"SELECT {columns} FROM anonymous_domains", database)  # noqa: S608

    def _signal(self, how: signal.Signals):
        # Its processes leave its session's group, but stay its children.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for process in [*map(int, children.read_text().split()), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, how)

    def kill(self):
        # Stopped, it makes no further process that would be left.
        os.kill(self.process.pid, signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        self.process.wait()
        # What a killed server leaves in the system: line 7 has the key and number of its memory.
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        if len(lines) > 6 and (memory := lines[6].split()):
            subprocess.run(["ipcrm", "-m", memory[-1]], check=False, capture_output=True)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def close(self):
        """End it and remove what it kept."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.directory.cleanup()
