"""A real Spin as a child process, in place of the gateway."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from certificates import key_pem, new_ca
from gateway import HEALTH_ROW, START_S, Gateway
from redis_server import RedisServer

MANIFEST = Path(__file__).resolve().parents[2] / "spin.toml"

# What the gateway makes for itself, and Spin's operator must: the setting, and its file.
SECRETS = {
    "ca_certificate": "ca.pem",
    "ca_private_key": "ca-key.pem",
    "key_encryption_key": "key-encryption-key",
    "admin_token": "admin-token",
}


class Spin(Gateway):
    """`spin up` with the project's manifest, and with a state directory that outlives it."""

    # Where the rows are, if not in Spin's own SQLite.
    redis: RedisServer | None = None

    def start(self) -> "Spin":
        if os.environ.get("ANONYMOUS_DOMAINS_SPIN_STORE") == "redis" and self.redis is None:
            self.redis = RedisServer("--maxclients", "19000").start()
        if not (self.state / "admin-token").exists():
            make_secrets(self.state)
        if self.address.endswith(":0"):
            self.address = f"127.0.0.1:{free_port()}"
        app = self.state / "app"
        app.mkdir(exist_ok=True)
        shutil.copy(self.programs.component, app / "component.wasm")
        (app / "spin.toml").write_text(manifest())
        command = [str(self.programs.spin), "up", "--from", str(app / "spin.toml")]
        command += ["--listen", self.address, "--state-dir", str(self.state / "spin")]
        if self.redis is not None:
            runtime = self.state / "runtime-config.toml"
            runtime.write_text(
                f'[key_value_store.default]\ntype = "redis"\nurl = "{self.redis.url}"\n'
            )
            command += ["--runtime-config-file", str(runtime)]
        variables = {name: f"@{self.state / file}" for name, file in SECRETS.items()}
        variables |= {name: value for name, value in self.settings.items() if value is not None}
        for name, value in variables.items():
            command += ["--variable", f"{name}={value}"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._collect, daemon=True).start()
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError("Spin did not start:\n" + "".join(self.log[-40:]))
            time.sleep(0.05)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if how is signal.SIGKILL:
            # What serves is a child of `spin up`.
            os.killpg(self.process.pid, how)
        return super().stop(how)

    def close(self):
        super().close()
        if self.redis is not None:
            self.redis.close()

    def rows(self) -> dict[str, list[tuple]]:
        if self.redis is None:
            return super().rows()
        rows = self.redis.strings()
        return {"redis": sorted(row for row in rows if row[0] != HEALTH_ROW.encode())}

    def _collect(self):
        self.log.extend(self.process.stdout)

    def _answers(self) -> bool:
        with suppress(OSError):
            try:
                urllib.request.urlopen(f"http://{self.address}/healthz", timeout=5).close()
            except urllib.error.HTTPError as error:
                error.close()
            return True
        return False


def manifest() -> str:
    """The project's manifest, for a component beside it."""
    text = MANIFEST.read_text()
    return re.sub(r"^source = .*$", 'source = "component.wasm"', text, flags=re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_secrets(state: Path):
    """A CA of ten years, a key-encryption key and an admin token."""
    certificate, key = new_ca("Contract tests")
    contents = {
        "ca_certificate": certificate.public_bytes(serialization.Encoding.PEM),
        "ca_private_key": key_pem(key),
        "key_encryption_key": secrets.token_hex(32).encode(),
        "admin_token": secrets.token_urlsafe(32).encode(),
    }
    for setting, file in SECRETS.items():
        path = state / file
        path.touch(mode=0o600)
        path.write_bytes(contents[setting])
