"""Where secrets are after a life: only where they must be. What was sealed opens only there."""

import base64
import hashlib
import secrets
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import held
from admin import Admin
from gateway import USUAL, Gateway
from held import Secret
from life import TIMEOUT_S, Life, names, settings
from machines import Machine, b64url
from test_watching import samples
from waiting import until

pytestmark = pytest.mark.of_the_gateway

IDLE = ("anonymous_domains_component_instances", ("state", "idle"))


class Collector(HTTPServer):
    """An OpenTelemetry collector that keeps what it is sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.bodies: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class CollectorHandler(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def process(pid: int) -> dict[str, bytes]:
    """What others may see of a process."""
    return {name: Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")}


def test_a_secret_is_found_in_every_form():
    raw = bytes(range(200, 232))
    secret = Secret.of_bytes("it", raw)
    texts = [raw.hex(), raw.hex().upper(), str(list(raw))]
    for before in range(4):
        text = base64.b64encode(bytes(before) + raw + bytes(before))
        lines = b"\n".join(text[at : at + 20] for at in range(0, len(text), 20))
        texts += [text.decode(), lines.decode(), lines.replace(b"\n", b"\\n").decode()]
        texts.append(b64url(bytes(before) + raw))
    for written in [raw, raw[::-1], *(text.encode() for text in texts)]:
        assert held.found_in(b"a " + written + b" b", [secret]) == {"it"}, written
    assert not held.found_in(raw[1:] + raw[:1], [secret])


def test_nothing_that_is_written_has_a_secret(own_gateway, programs, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    collector = Collector()
    flags = ["--log", "trace", "--log-format", "json", "--tls-self-signed"]
    flags += ["--internal-listen", "127.0.0.1:0", "--otlp-endpoint", collector.url]
    flags += ["--audit-log", str(tmp_path / "audit.log")]
    gateway = own_gateway(*flags, **settings(tmp_path))
    life = Life(gateway, programs, tmp_path)
    life.live()
    # Domain keys of the other type too.
    life.restart(domain_key_type="RSA-2048")
    life.admin.send("POST", Admin.path("closed", "/rollover"))
    life.join("an RSA key", Machine.ec(), life.token("a token for an RSA key"))
    life.commands()
    # A new token for reading, taken up while it runs.
    (tmp_path / "read-token").write_text(secrets.token_hex(32))
    life.secrets.append(Secret.of_text("the next token for reading", life.read_token))
    gateway.process.send_signal(signal.SIGHUP)
    reader = Admin(life.operators, life.read_token)
    until(lambda: reader.send("GET", "/domains").status == 200, "the new token is not taken")
    until(lambda: len(collector.bodies) > 1, "there is no trace")

    shown = process(gateway.process.pid)
    running, _ = life.files()
    gateway.stop()
    collector.shutdown()
    stopped, holding = life.files()
    written = running | {f"{name} after the end": data for name, data in stopped.items()}
    written |= shown | {name: b"\0".join(parts) for name, parts in life.written.items()}
    written["log"] = "".join(gateway.log).encode()
    written["traces"] = b"\0".join(collector.bodies)
    written["store"] = gateway.stored()
    for name in ("audit.log", "log", "traces", "answers", "store", "domainctl export"):
        assert b"closed" in written[name], name
    found = {name: held.found_in(data, life.all_secrets) for name, data in written.items()}
    assert not {name: names for name, names in found.items() if names}
    # They are found where they are.
    kept = {name for data in holding.values() for name in held.found_in(data, life.all_secrets)}
    assert names(held.of_gateway(gateway) + life.domain_keys) | {"the device's key"} <= kept


@dataclass(frozen=True)
class Dumps:
    """What core dumps of a gateway have, by the kind of region: the names of secrets."""

    life: Life
    # Right after its life, when no instance is kept any more, and after other tokens of operators.
    after: dict[str, set[str]]
    idle: dict[str, set[str]]
    renewed: dict[str, set[str]]


TOKENS_OF_OPERATORS = {"the admin token", "the token for reading"}


def renew_tokens(life: Life):
    """The operators' tokens are replaced while it runs."""
    for path in (life.gateway.state / "admin-token", life.tmp_path / "read-token"):
        path.write_text(secrets.token_hex(32))
    life.gateway.process.send_signal(signal.SIGHUP)
    for token in (life.gateway.admin_token, life.read_token):
        operator = Admin(life.operators, token)
        until(lambda o=operator: o.send("GET", "/domains").status == 200, "it is not taken")


@pytest.fixture(scope="module")
def dumps(programs, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("dumped")
    state = tmp_path / "state"
    state.mkdir()
    flags = ("--internal-listen", "127.0.0.1:0", "--tls-self-signed")
    gateway = Gateway(programs, state, {**USUAL, **settings(tmp_path)}, flags=flags).start()
    try:
        life = Life(gateway, programs, tmp_path)
        life.live()
        life.restart(domain_key_type="RSA-2048")
        life.join_anew()
        life.restart(domain_key_type="EC-P256")
        life.refused()
        life.join_anew()
        life.join_at_once()
        after = held.dumped(gateway.process.pid, life.all_secrets)
        until(lambda: samples(life.operators)[IDLE] == 0, "instances stay")
        idle = held.dumped(gateway.process.pid, life.all_secrets)
        renew_tokens(life)
        yield Dumps(life, after, idle, held.dumped(gateway.process.pid, life.all_secrets))
    finally:
        gateway.close()


def test_what_a_core_dump_has(dumps):
    life = dumps.life
    configured, tokens = names(life.secrets), names(life.tokens)
    # The host has what it was given: its settings, and what came with requests. Of the key for TLS
    # only numbers stay that it computes with (ring keeps them in Montgomery's form).
    for found in (dumps.after, dumps.idle):
        assert configured - found["host"] <= {"the key for TLS"}
        assert found["host"] - life.drawn <= configured | tokens
    # Instances have the CA's key and domain keys; of the other settings what was made of them.
    assert dumps.after["instance"] & configured <= {"the CA's key"}
    # Nothing stays of an instance that is not kept.
    assert dumps.idle["instance"] == set()


def test_a_core_dump_has_no_token_that_was_replaced(dumps):
    assert dumps.idle["host"] >= TOKENS_OF_OPERATORS
    for found in dumps.renewed.values():
        assert not found & TOKENS_OF_OPERATORS
    # The rest is still there.
    assert {"the CA's key", "the key-encryption key"} <= dumps.renewed["host"]


def test_a_core_dump_has_no_token_of_a_request_that_is_over(dumps):
    for found in (dumps.idle, dumps.renewed):
        assert not found["host"] & names(dumps.life.tokens)


def test_a_core_dump_has_no_random_number_that_became_a_key(dumps):
    for found in (dumps.after, dumps.idle):
        assert not found["host"] & dumps.life.drawn


def sealed_keys(row: bytes, key_encryption_key: bytes) -> list[slice]:
    """Where the private keys are in a row of `DomainKeys`: each behind its length, and begins with
    the name of the key-encryption key."""
    label = b"anonymous-domains key-encryption key\n"
    digest = hashlib.sha256(label + key_encryption_key).digest()
    found, at = [], row.find(digest[:8])
    while at >= 0:
        if row[at : at + len(digest)] != digest:
            # In 7 bits a byte, the last of which is below 128.
            length = row[at - 2] & 0x7F | row[at - 1] << 7
            found.append(slice(at, at + length))
        at = row.find(digest[:8], at + 1)
    return found


def checksum(row: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4)."""
    register = 0xFFFF_FFFF
    for byte in row:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0x82F6_3B78 * (register & 1)
    return register ^ 0xFFFF_FFFF


def written(key: str, row: bytes) -> bytes:
    """The row as a server with this key would write it: with its checksum, after the first byte."""
    return row[:1] + checksum(key.encode() + row[5:]).to_bytes(4) + row[5:]


def exchange_versions(left: bytes, right: bytes, where) -> tuple[bytes, bytes]:
    first, second = where(left)
    changed = bytearray(left)
    changed[first], changed[second] = left[second], left[first]
    return bytes(changed), right


def exchange_domains(left: bytes, right: bytes, where) -> tuple[bytes, bytes]:
    first, second = bytearray(left), bytearray(right)
    for ours, theirs in zip(where(left), where(right), strict=True):
        first[ours], second[theirs] = right[theirs], left[ours]
    return bytes(first), bytes(second)


def exchange_rows(left: bytes, right: bytes, where) -> tuple[bytes, bytes]:
    return right, left


@pytest.mark.of_sqlite
@pytest.mark.parametrize(
    ("exchange", "broken"),
    [
        (exchange_versions, ["left"]),
        (exchange_domains, ["left", "right"]),
        (exchange_rows, ["left", "right"]),
    ],
)
def test_a_sealed_key_opens_only_where_it_was_sealed(own_gateway, programs, exchange, broken):
    gateway = own_gateway()
    members = {name: Machine.ec() for name in ("left", "right", "other")}
    admin = Admin(gateway.client, gateway.admin_token)
    for name, machine in members.items():
        gateway.client.join(name, machine)
        assert admin.send("POST", Admin.path(name, "/rollover")).status == 202
        gateway.client.join(name, machine)
    key = bytes.fromhex((gateway.state / "key-encryption-key").read_text())
    where = lambda row: sealed_keys(row, key)  # noqa: E731

    def check(code: int) -> str:
        command = [str(programs.domainctl), *gateway.commands_flags, "check"]
        command += ["--token-file", str(gateway.state / "admin-token")]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def change():
        gateway.stop()
        (path,) = gateway.databases()
        with closing(sqlite3.connect(path)) as database, database:
            found = "SELECT value, key FROM kv WHERE key LIKE '%:DomainKeys:%'"
            rows = database.execute(found).fetchall()
            (of_left, left), (of_right, right) = [
                # Its certificates name the domain.
                next(row for row in rows if f"/{name}/#v1".encode() in row[0])
                for name in ("left", "right")
            ]
            assert len(where(of_left)) == len(where(of_right)) == 2
            assert written(left, of_left) == of_left
            changed = exchange(of_left, of_right, where)
            for name, row in zip((left, right), changed, strict=True):
                row = written(name, row)
                database.execute("UPDATE kv SET value = ? WHERE key = ?", (row, name))
        gateway.start()

    change()
    for name, machine in members.items():
        answer = gateway.client.register(name, machine)
        if name in broken:
            answer.refused("INTERNAL")
        else:
            assert answer.ok()["keyVersion"] == 2
    said = check(1)
    for name in members:
        assert (f"{name}: key-does-not-open: version 1" in said) == (name in broken), said
    # Nothing else was wrong.
    change()
    for name, machine in members.items():
        assert gateway.client.join(name, machine).versions == [1, 2]
    check(0)
