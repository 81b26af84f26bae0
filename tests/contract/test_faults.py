"""Faults of the machine below the gateway: a full, read-only or damaged disk, too little memory, a
kill at any moment of the first start.

A writer that is stopped, and requests for which there is no memory, are in `test_gateway.py`; a
Redis or PostgreSQL that is away or stands still in `test_shared_stores.py`; rows that were cut off
in `test_moving.py`; requests from the past and the future in `test_server.py`.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from client import ERRORS, Answer, open_keys
from gateway import HEALTH_ROW, USUAL, Gateway, Programs
from machines import Machine
from test_server import at_once
from waiting import until

pytestmark = [pytest.mark.of_the_gateway, pytest.mark.of_sqlite]

TIMEOUT_S = 180
ORIGIN = {"public_origin": "https://faults.example"}
PAGE = 4096
# For many requests one after another, and many instances of which each is used once.
NO_LIMITS = ("--rate-limit-client", "off", "--rate-limit-domain", "off")
NO_LIMITS += ("--max-concurrent-requests", "1024")


class SmallDisk:
    """A file system of its own in memory, which the test may fill."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir()

    def mount(self, *options: str):
        options = ",".join(("size=16m,mode=0700", *options))
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs"]
        done = subprocess.run([*command, str(self.path)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.fail(f"a tmpfs cannot be mounted (are you root?): {done.stderr}", pytrace=False)

    def fill(self, left: int = 0):
        """Leaves so many bytes."""
        filler = self.path / "filler"
        free = os.statvfs(self.path)
        filler.write_bytes(bytes(free.f_bavail * free.f_bsize - left))

    def free(self):
        (self.path / "filler").unlink()

    def unmount(self):
        subprocess.run(["umount", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    disk.mount()
    yield disk
    disk.unmount()


@pytest.fixture
def cache(server) -> Path:
    """The compiled component, which takes seconds to make."""
    return server.state / "cache"


@pytest.fixture
def gateway_in(programs, cache):
    """A gateway, not started yet, on a state directory that has the compiled component."""
    made: list[Gateway] = []

    def make(state: Path, *flags: str) -> Gateway:
        if not (state / "cache").exists():
            shutil.copytree(cache, state / "cache")
        made.append(Gateway(programs, state, {**USUAL, **ORIGIN}, flags=flags))
        return made[-1]

    yield make
    for gateway in made:
        if gateway.process is not None:
            gateway.close()


def does_not_start(gateway: Gateway) -> str:
    """Starts it, which must fail with one error and no panic; its log."""
    gateway.address = "127.0.0.1:0"
    gateway.log.clear()
    with pytest.raises(AssertionError, match="did not start"):
        gateway.start()
    assert gateway.process.wait(TIMEOUT_S) == 1
    deadline = time.monotonic() + TIMEOUT_S
    while not any(line.startswith("gateway: ") for line in gateway.log):
        assert time.monotonic() < deadline, gateway.log
        time.sleep(0.001)
    log = "".join(gateway.log)
    assert "panicked" not in log
    return log


def run(*command) -> tuple[int, str]:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    return done.returncode, done.stdout + done.stderr


def check(gateway: Gateway) -> tuple[int, str]:
    """What `domainctl check` says."""
    token = ["--token-file", gateway.state / "admin-token"]
    return run(gateway.programs.domainctl, *gateway.commands_flags, *token, "check")


def backup(gateway: Gateway, to: Path) -> tuple[int, str]:
    return run(gateway.programs.gateway, "backup", to, "--state", gateway.state)


def test_a_full_disk(disk, gateway_in, domain, tmp_path):
    gateway = gateway_in(disk.path).start()
    client = gateway.client
    members = client.join_many(domain, 3)
    before = client.join(domain, members[0])
    disk.fill()
    newcomers = [Machine.ec() for _ in range(3)]
    changes = [lambda m=m: client.register(domain, m) for m in newcomers]
    changes += [lambda m=m: client.deregister(domain, m) for m in members[1:]]
    changes += [lambda: client.register(domain + "-new", newcomers[0])]
    for answer in at_once(changes):
        answer.refused("STORE_UNAVAILABLE")
    assert client.join(domain, members[0]).credentials == before.credentials
    client.describe(domain).ok()
    assert client.ca_pem()
    health = client.get("/healthz")
    assert health.status == 503 and health.json()["store"] == "error"
    assert any("disk is full" in line for line in gateway.log)
    # A write that cannot succeed is not tried again, which would be up to a hundred times each.
    assert sum("the store failed" in line for line in gateway.log) < 20
    code, told = backup(gateway, disk.path / "copy")
    assert code == 1 and "disk is full" in told
    assert not (disk.path / "copy").exists()

    # A start needs no room, if the state is there.
    gateway.stop(signal.SIGKILL)
    gateway.start()
    assert client.join(domain, members[0]).credentials == before.credentials

    disk.free()
    assert all(not client.join(domain, machine).new_member for machine in members)
    assert all(client.join(domain, machine).new_member for machine in newcomers)
    assert client.get("/healthz").status == 200
    assert check(gateway)[0] == 0
    assert backup(gateway, tmp_path / "copy")[0] == 0


def test_a_first_start_on_a_full_disk(disk, gateway_in):
    gateway = gateway_in(disk.path)
    made: dict[str, bytes] = {}
    for pages in (0, 1, 2, 3, 4, 6, 8):
        disk.fill(pages * PAGE)
        log = does_not_start(gateway)
        assert f"cannot write {disk.path}/" in log and "No space left on device" in log, log
        disk.free()
        secrets = {
            name: (disk.path / name).read_bytes()
            for name in ("ca-key.pem", "ca.pem", "key-encryption-key", "admin-token")
            if (disk.path / name).exists()
        }
        # What one start made, the next one keeps.
        assert secrets | made == secrets
        assert ("ca.pem" in secrets) == ("ca-key.pem" in secrets)
        assert all(text.endswith(b"\n") for text in secrets.values())
        made = secrets
    assert len(made) == 4
    gateway.address = "127.0.0.1:0"
    client = gateway.start().client
    assert client.join("d", Machine.ec()).new_member
    assert client.ca_pem() == made["ca.pem"]
    assert check(gateway)[0] == 0


def test_a_read_only_disk(disk, gateway_in, domain, tmp_path):
    gateway = gateway_in(disk.path).start()
    member = gateway.client.join_many(domain, 1)[0]
    assert gateway.stop() == 0
    disk.mount("remount", "ro")
    assert "Read-only file system" in does_not_start(gateway)
    # Without a component, which would be compiled.
    flags = ("--component", "/nowhere", "--state", disk.path)
    code, told = run(gateway.programs.gateway, "check-config", *flags)
    assert code == 1 and f"the state directory {disk.path} cannot be written: Read-only" in told
    code, told = backup(gateway, tmp_path / "copy")
    assert code == 1 and f"{disk.path}/store.db is read-only: make it writable, or copy" in told
    disk.mount("remount", "rw")
    gateway.address = "127.0.0.1:0"
    assert not gateway.start().client.join(domain, member).new_member


def test_too_little_memory_to_begin_with(gateway_in, tmp_path):
    gateway = gateway_in(tmp_path, "--max-memory", "1MiB")
    assert "all the memory that they may have together" in does_not_start(gateway)


class Rows:
    """The rows of a store that a gateway serves, to be changed and put back."""

    def __init__(self, gateway: Gateway):
        self.path = gateway.state / "store.db"
        self.rows = self.run("SELECT key, value, version FROM kv WHERE key <> ?", [(HEALTH_ROW,)])

    def run(self, statement: str, parameters) -> list[tuple]:
        with closing(sqlite3.connect(self.path, timeout=30)) as database:
            database.execute("PRAGMA synchronous = OFF")
            found = []
            for one in parameters:
                found += database.execute(statement, one).fetchall()
            database.commit()
            return found

    def of(self, table: str) -> tuple[str, bytes]:
        """The one row of a table."""
        ((key, value),) = ((k, v) for k, v, _ in self.rows if k.split(":")[1] == table)
        return key, value

    def put_back(self, key: str | None = None, value: bytes = b""):
        """All are as they were, but one."""
        rows = [(k, value if k == key else v, version) for k, v, version in self.rows]
        with closing(sqlite3.connect(self.path, timeout=30)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("DELETE FROM kv")
            database.executemany("INSERT INTO kv (key, value, version) VALUES (?, ?, ?)", rows)
            database.commit()


def read_again(gateway: Gateway, number: int):
    """Another admin token at SIGHUP: its instances, which remember keys, are replaced."""
    (gateway.state / "admin-token").write_text(f"{number:064x}\n")
    gateway.log.clear()
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + TIMEOUT_S
    while not any("the configuration was read again" in line for line in gateway.log):
        assert time.monotonic() < deadline, gateway.log
        time.sleep(0.001)


def private_keys(answer: dict, machine: Machine) -> dict[str, dict]:
    """The private keys that were delivered, by their names, without their certificates."""
    keys = open_keys(answer["encryptedKeys"], machine)["keys"]
    return {key["kid"]: {k: v for k, v in key.items() if k != "x5c"} for key in keys}


def domain_with_a_life(gateway: Gateway) -> Machine:
    """Two members and two versions; one of the members."""
    stays, leaves = gateway.client.join_many("living-room", 2)
    gateway.client.leave("living-room", leaves)
    gateway.client.join("living-room", leaves)
    return stays


def is_delivered(answer: Answer, before: dict, machine: Machine) -> bool:
    """Whether a join had an answer that is whole. No key may be another than before."""
    if answer.status != 200:
        answer.refused(*ERRORS)
        return False
    now, then = private_keys(answer.json(), machine), private_keys(before, machine)
    assert {kid: now.get(kid, key) for kid, key in then.items()} == then
    return answer.json()["credentials"] == before["credentials"]


def flipped_bits(value: bytes) -> Iterator[bytes]:
    """The value with one bit flipped: of the form, of the checksum, of the rest here and there, and
    of the last byte. Every bit is flipped where the checksum is tested, in `src/store/row.rs`."""
    places = [*range(6), *range(6, len(value), max(1, len(value) // 16)), len(value) - 1]
    for place in places:
        changed = bytearray(value)
        changed[place] ^= 1 << place * 5 % 8
        yield bytes(changed)


@pytest.mark.parametrize(
    "table", ["DomainServerInfo", "DomainMembership", "DomainKeys", "Directory"]
)
def test_a_flipped_bit_of_a_row(gateway_in, tmp_path, table):
    gateway = gateway_in(tmp_path, *NO_LIMITS).start()
    client = gateway.client
    machine = domain_with_a_life(gateway)
    before = client.join("living-room", machine).body
    rows = Rows(gateway)
    key, value = rows.of(table)
    for number, flipped in enumerate(flipped_bits(value)):
        if table in ("DomainKeys", "Directory"):
            # What is remembered of these is not read again.
            read_again(gateway, number)
        rows.put_back(key, flipped)
        client.register("living-room", machine).refused("INTERNAL")
        until(lambda: any(f"row {key} " in line for line in gateway.log))
        # Nothing was changed.
        rows.put_back(key, flipped)
        code, told = check(gateway)
        assert code == 1, told
        gateway.log.clear()
    assert gateway.process.poll() is None
    rows.put_back()
    read_again(gateway, 1000)
    assert client.join("living-room", machine).body["credentials"] == before["credentials"]
    assert check(gateway)[0] == 0


def test_the_cell_of_the_root_is_damaged(gateway_in, tmp_path):
    """The store does not pass for an empty one."""
    gateway = gateway_in(tmp_path).start()
    client = gateway.client
    machine = domain_with_a_life(gateway)
    before = client.join("living-room", machine).body
    rows = Rows(gateway)
    root, value = next((k, v) for k, v, _ in rows.rows if k.endswith(":root"))
    rows.put_back(root, bytes([value[0] ^ 1]) + value[1:])
    read_again(gateway, 0)
    client.register("living-room", machine).refused("STORE_UNAVAILABLE")
    rows.put_back()
    assert is_delivered(client.register("living-room", machine), before, machine)
    assert check(gateway)[0] == 0


def test_a_damaged_page_of_the_file(gateway_in, tmp_path):
    gateway = gateway_in(tmp_path).start()
    machine = domain_with_a_life(gateway)
    for number in range(20):
        gateway.client.join(f"other-{number}", Machine.ec())
    before = gateway.client.join("living-room", machine).body
    assert gateway.stop() == 0
    file = gateway.state / "store.db"
    whole = file.read_bytes()
    # Every page is in use. Those above refuse every request, which takes a while.
    pages = range(len(whole) // PAGE)
    assert len(pages) > 8
    started = 0
    for page in (0, 1, *pages[4:12:2]):
        at = page * PAGE
        file.write_bytes(whole[:at] + bytes([0xA5]) * PAGE + whole[at + PAGE :])
        if page == 0:
            assert "the store's file is damaged" in does_not_start(gateway)
        else:
            gateway.address = "127.0.0.1:0"
            gateway.log.clear()
            gateway.start()
            started += 1
            is_delivered(gateway.client.register("living-room", machine), before, machine)
            assert check(gateway)[0] == 1
            assert any("database disk image is malformed" in line for line in gateway.log)
            assert gateway.client.get("/openapi.json").status == 200
            gateway.stop()
            assert not any("panicked" in line for line in gateway.log)
        code, told = backup(gateway, tmp_path / "copy.db")
        assert code == 1 and ("malformed" in told or "not a database" in told), told
        assert not (tmp_path / "copy.db").exists()
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    assert started
    file.write_bytes(whole)
    gateway.address = "127.0.0.1:0"
    assert is_delivered(gateway.start().client.register("living-room", machine), before, machine)


@contextmanager
def killed(programs: Programs, state: Path) -> Iterator[None]:
    """A gateway that is starting, and is killed at the end."""
    command = [str(programs.gateway), "--listen", "127.0.0.1:0", "--state", str(state)]
    command += ["--component", str(programs.component)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_killed_during_the_first_start(programs, gateway_in, cache, tmp_path):
    """Wherever it was: the next start goes on, or says what to do."""
    chance = random.Random(2026)
    seen = set()
    for number in range(40):
        state = tmp_path / str(number)
        state.mkdir(mode=0o700)
        shutil.copytree(cache, state / "cache")
        with killed(programs, state):
            if number == 0:
                # How long it takes to its first file is the machine's.
                begin = time.monotonic()
                until((state / "ca-key.pem").exists)
                longest = 3 * (time.monotonic() - begin)
            else:
                time.sleep(chance.uniform(0, longest))
        names = {"ca-key.pem", "ca.pem", "key-encryption-key", "admin-token"}
        left = {name: (state / name).read_bytes() for name in names if (state / name).exists()}
        seen.add(frozenset(left))
        gateway = gateway_in(state)
        if ("ca.pem" in left) != ("ca-key.pem" in left):
            # Between two names there is a moment.
            assert "if the CA was never used" in does_not_start(gateway)
            (state / "ca-key.pem").unlink()
            del left["ca-key.pem"]
            gateway.address = "127.0.0.1:0"
        gateway.start()
        assert not list(state.glob(".unfinished-*"))
        assert gateway.client.join("d", Machine.ec()).new_member
        for name, text in left.items():
            assert (state / name).read_bytes() == text, f"{name} was made again"
        assert gateway.client.ca_pem() == (state / "ca.pem").read_bytes()
        gateway.close()
    assert len(seen) > 1


def test_half_of_a_ca_is_no_ca(gateway_in, tmp_path):
    """The one state between two names that a kill may leave: the key without its certificate."""
    gateway = gateway_in(tmp_path).start()
    gateway.stop()
    for path in tmp_path.iterdir():
        if path.name not in ("cache", "ca-key.pem"):
            path.unlink()
    assert "remove ca-key.pem if the CA was never used" in does_not_start(gateway)
    (tmp_path / "ca-key.pem").unlink()
    gateway.address = "127.0.0.1:0"
    assert gateway.start().client.join("d", Machine.ec()).new_member
