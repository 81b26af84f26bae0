"""A real Redis or Valkey for a test, in a directory and behind a Unix socket of its own."""

import random
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
        return [(key, self.ask(b"GET", key)) for key in self.ask(b"KEYS", b"*")]

    def ask(self, *words: bytes):
        """The reply to a command."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            with connection.makefile("rwb") as stream:
                return command(stream, *words)

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


class RedisCluster:
    """Three primaries on ports of 127.0.0.1."""

    def __init__(self):
        self.nodes: list[RedisServer] = []
        # Below the ports that systems give to outgoing connections.
        ports = random.sample(range(15_000, 30_000), 6)
        self.ports, self.bus_ports = ports[:3], ports[3:]

    def start(self) -> "RedisCluster":
        for number in range(3):
            self._start_node(self.ports[number], self.bus_ports[number])
            first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            self.nodes[-1].ask(b"CLUSTER", b"ADDSLOTSRANGE", b"%d" % first, b"%d" % last)
            self.nodes[-1].ask(b"CLUSTER", b"SET-CONFIG-EPOCH", b"%d" % (number + 1))
        for port, bus_port in zip(self.ports[1:], self.bus_ports[1:], strict=True):
            meet = [b"CLUSTER", b"MEET", b"127.0.0.1", b"%d" % port, b"%d" % bus_port]
            self.nodes[0].ask(*meet)
        deadline = time.monotonic() + START_S
        while not all(b"cluster_state:ok" in node.ask(b"CLUSTER", b"INFO") for node in self.nodes):
            assert time.monotonic() < deadline, "the Redis Cluster does not start"
            time.sleep(0.05)
        return self

    def _start_node(self, port: int, bus_port: int):
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "cluster-enabled": "yes",
            "cluster-port": bus_port,
            "cluster-node-timeout": 60_000,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.nodes.append(RedisServer(*words).start())

    def close(self):
        for node in self.nodes:
            node.close()


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
        case b"+":
            return rest
        case b"$" if int(rest) < 0:
            return None
        case b"$":
            return stream.read(int(rest) + 2)[:-2]
    raise AssertionError(f"Redis answered {line!r}")
