"""A real Redis or Valkey for a test, in a directory and behind a Unix socket of its own."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

START_S = 60


class RedisServer:
    """It keeps what it answered, also when it is killed."""

    def __init__(self, *options: str):
        found = [shutil.which(name) for name in ("redis-server", "valkey-server")]
        self.program = next(filter(None, found), None)
        assert self.program, (
            "neither redis-server nor valkey-server is on the PATH, and these tests need one "
            "(on Debian: apt-get install --no-install-recommends redis-server)"
        )
        # Not below pytest's own directories: a socket's path may not have many characters.
        self.directory = tempfile.TemporaryDirectory(prefix="redis-")
        self.socket = Path(self.directory.name) / "socket"
        self.options = options
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis+unix://{self.socket}"

    def start(self) -> "RedisServer":
        command = [self.program, "--port", "0", "--unixsocket", str(self.socket)]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen(
            [*command, *self.options], cwd=self.directory.name, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, "the Redis server ended"
            assert time.monotonic() < deadline, "the Redis server does not answer"
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False

    def strings(self) -> list[tuple[bytes, bytes]]:
        """Every key and its value; all are strings."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            with connection.makefile("rwb") as stream:
                keys = command(stream, b"KEYS", b"*")
                return [(key, command(stream, b"GET", key)) for key in keys]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        """End it and remove what it kept."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.directory.cleanup()


def command(stream, *words: bytes):
    """The reply to a command: a string, a list, or None."""
    lines = [b"*%d" % len(words)]
    for word in words:
        lines += [b"$%d" % len(word), word]
    stream.write(b"".join(line + b"\r\n" for line in lines))
    stream.flush()
    return reply(stream)


def reply(stream):
    kind, rest = (line := stream.readline())[:1], line[1:].strip()
    match kind:
        case b"*":
            return [reply(stream) for _ in range(int(rest))]
        case b"$" if int(rest) < 0:
            return None
        case b"$":
            return stream.read(int(rest) + 2)[:-2]
    raise AssertionError(f"Redis answered {line!r}")
