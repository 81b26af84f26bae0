"""The real gateway as a child process, and what its SQLite database holds."""

import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from client import TIMEOUT_S, Client
from ports import free_port
from waiting import until

START_S = 300
STOP_S = 60
# EC keys, so that a new domain costs a test nothing; the key types have a test of their own.
USUAL = {"domain_key_type": "EC-P256"}
# The longest that a request may be allowed to take, and clients who wait for longer than that.
PATIENT = ("--request-timeout", "1h")
PATIENT_S = 3700

DATABASE_PATTERNS = ("*.db", "*.sqlite", "*.sqlite3")


@dataclass(frozen=True)
class Programs:
    """Absolute paths of what is tested, from the environment."""

    gateway: Path
    component: Path
    device: Path
    domainctl: Path
    # A Spin to test instead of the gateway.
    spin: Path | None = None

    @classmethod
    def from_environment(cls) -> "Programs":
        """Raises ValueError saying which variable is missing or names no file."""
        found = {}
        for name in ("gateway", "component", "device", "domainctl", "spin"):
            variable = f"ANONYMOUS_DOMAINS_{name.upper()}"
            value = os.environ.get(variable)
            if not value and name == "spin":
                continue
            if not value:
                raise ValueError(f"{variable} is not set: it must name the {name} to test")
            path = Path(value)
            if not path.is_absolute() or not path.is_file():
                raise ValueError(f"{variable}={value} is not the absolute path of a file")
            found[name] = path
        return cls(**found)


HEALTH_ROW = "anonymous-domains:health"


def flags_for(settings: dict[str, str]) -> tuple[str, ...]:
    """The flags that settings need: an RSA key takes long where other suites compute beside."""
    return () if settings["domain_key_type"] == USUAL["domain_key_type"] else PATIENT


class Gateway:
    """A gateway on a free port, with a state directory that outlives it."""

    client_class = Client

    # Whether it serves HTTP itself, however the others are reached.
    plain = False

    def __init__(
        self,
        programs: Programs,
        state: Path,
        settings: dict[str, str],
        store: str | None = None,
        flags: tuple[str, ...] = (),
    ):
        self.programs = programs
        self.state = state
        self.settings = settings
        self.store = store
        self.flags = flags
        self.process: subprocess.Popen | None = None
        self.address = "127.0.0.1:0"
        self.is_listening = False
        self.scheme = "http"
        self.log: list[str] = []

    def start(self) -> "Gateway":
        """Start it and wait until it can serve. A second start listens on the same port."""
        if self.address.endswith(":0"):
            self.address = f"127.0.0.1:{free_port()}"
        self.is_listening = False
        command = [str(self.programs.gateway), "--listen", self.address]
        command += ["--state", str(self.state), "--component", str(self.programs.component)]
        if self.store is not None:
            command += ["--store", self.store]
        is_secure = os.environ.get("ANONYMOUS_DOMAINS_TLS") and not self.plain
        if is_secure and not any("--tls" in flag for flag in self.flags):
            command += ["--tls-self-signed"]
        command += self.flags
        for name, value in self.settings.items():
            if value is not None:
                command += ["--set", f"{name}={value}"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        ready = threading.Event()
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream, ready), daemon=True).start()
        if not ready.wait(START_S) or not self.is_listening:
            self.process.kill()
            raise AssertionError("the gateway did not start:\n" + "".join(self.log[-40:]))
        return self

    def _read(self, stream, ready: threading.Event):
        is_stdout = stream is self.process.stdout
        for line in stream:
            self.log.append(line)
            if is_stdout and line.startswith("listening on http"):
                origin = line.removeprefix("listening on ").strip().rstrip("/")
                self.scheme, self.address = origin.split("://")
                self.is_listening = True
                ready.set()
        if is_stdout:
            ready.set()  # It ended: let `start` say so instead of waiting.

    @property
    def client(self) -> Client:
        origin = f"{self.scheme}://{self.address}"
        timeout_s = PATIENT_S if set(PATIENT) <= set(self.flags) else TIMEOUT_S
        public_origin = self.settings.get("public_origin")
        return self.client_class(origin, public_origin, self.certificate, timeout_s)

    @property
    def commands_flags(self) -> list[str]:
        """What `domainctl` needs to reach it."""
        trusted = ["--ca-file", str(self.certificate)] if self.certificate else []
        return ["--server", self.client.origin, *trusted]

    @property
    def certificate(self) -> Path | None:
        """The certificate that it made for itself, if it serves HTTPS."""
        return self.state / "tls-certificate.pem" if self.scheme == "https" else None

    def connect(self) -> socket.socket:
        """A connection of a client that writes its own bytes."""
        host, port = self.address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)), timeout=60)
        if self.certificate is None:
            return connection
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(connection, server_hostname=host)

    @property
    def admin_token(self) -> str:
        return (self.state / "admin-token").read_text().strip()

    def reload(self, message: str = "was read again"):
        """Have it read its configuration again, and wait until it says so in its log."""
        seen = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: any(message in line for line in self.log[seen:]))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal; returns its exit status."""
        self.process.send_signal(how)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{how.name} did not end it in {STOP_S} s") from None

    def close(self):
        """End it, if it runs, for good."""
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def databases(self) -> list[Path]:
        return sorted(path for p in DATABASE_PATTERNS for path in self.state.rglob(p))

    def stored(self) -> bytes:
        """All that the store holds."""
        return b"".join(path.read_bytes() for path in self.databases())

    def rows(self) -> dict[str, list[tuple]]:
        """Every row of every table of every SQLite database in the state directory, but for the
        one that /healthz writes now and then to see whether that works."""
        found = {}
        databases = self.databases()
        assert databases, f"no SQLite database in {sorted(p.name for p in self.state.iterdir())}"
        for path in databases:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                database.execute("BEGIN")
                tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                for (table,) in tables.fetchall():
                    rows = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
                    rows = [row for row in rows if HEALTH_ROW not in row]
                    found[f"{path.name}:{table}"] = sorted(rows, key=repr)
        assert found, "the SQLite database has no table"
        return found


def difference(before: dict, after: dict) -> list[str]:
    """What changed, in words short enough for a failure's message."""
    lines = []
    for table in sorted(set(before) | set(after)):
        old, new = before.get(table, []), after.get(table, [])
        lines += [f"- {table} {row!r:.200}" for row in old if row not in new]
        lines += [f"+ {table} {row!r:.200}" for row in new if row not in old]
    return lines
