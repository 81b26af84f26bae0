"""The device's command, `domain-device`, as a test calls it."""

import json
import subprocess
from pathlib import Path

TIMEOUT_S = 180


class Device:
    """`domain-device` with a directory of its own."""

    def __init__(self, program: Path, directory: Path, trusted: Path | None):
        self.program = program
        self.directory = directory
        # The certificate of a server with TLS.
        self.trusted = trusted

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [str(self.program), *arguments, "--dir", str(self.directory), "--json"]
        if self.trusted and arguments[0] in ("join", "leave"):
            command += ["--tls-ca-file", str(self.trusted)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )

    def __call__(self, *arguments: str):
        """What it printed, which is one JSON value, of a run that went well."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def fails(self, *arguments: str, error: str):
        """It fails, and says which error it was."""
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        assert error in done.stdout + done.stderr


def versions(answer) -> list[int]:
    """The key versions of a domain's credentials, wherever the answer has them."""
    found: set[int] = set()

    def walk(value):
        if isinstance(value, dict):
            if "kid" in value and isinstance(value.get("keyVersion"), int):
                found.add(value["keyVersion"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(answer)
    return sorted(found)
