"""Domains that move between stores, a store that is damaged, and copies of one that is in use."""

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from admin import Admin
from gateway import USUAL, Gateway
from machines import Machine
from redis_server import RedisServer
from test_server import at_once

pytestmark = [pytest.mark.of_the_gateway, pytest.mark.of_every_store]

TIMEOUT_S = 180
SECRETS = ("ca.pem", "ca-key.pem", "key-encryption-key")


@pytest.fixture
def domainctl(programs):
    """Runs it against a gateway; the exit code, standard output and standard error."""

    def run(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
        command = [str(programs.domainctl), *gateway.commands_flags]
        command += ["--token-file", str(gateway.state / "admin-token"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def other_gateway(programs, tmp_path):
    """A gateway on an empty Redis, with the secrets of another one."""
    redis = RedisServer().start()
    started = []

    def start(source: Gateway, secrets=SECRETS) -> Gateway:
        state = tmp_path / f"other-{len(started)}"
        state.mkdir(mode=0o700)
        for name in secrets:
            shutil.copy(source.state / name, state / name)
        started.append(Gateway(programs, state, USUAL, redis.url).start())
        return started[-1]

    yield start
    for gateway in started:
        gateway.close()
    redis.close()


def view(gateway: Gateway, domain: str) -> list:
    admin = Admin(gateway.client, gateway.admin_token)
    keys = admin.get(domain, "/keys").ok()
    return [admin.get(domain).ok(), admin.members(domain), admin.blocked(domain), keys]


def test_domains_move_from_sqlite_to_redis(own_gateway, other_gateway, domainctl, tmp_path):
    here = own_gateway()
    client, admin = here.client, Admin(here.client, here.admin_token)
    machines = client.join_many("living-room", 30)
    client.leave("living-room", machines[0])
    before = client.join("living-room", machines[1])
    assert before.versions == [1, 2]
    admin.block("living-room", machines[2].guid)
    admin.set("full", maxMembership=2)
    full = client.join_many("full", 2)
    admin.set("locked", authenticationRequired=True, authNamespace="ns")
    domains = ("full", "living-room", "locked")

    code, exported, told = domainctl(here, "export")
    assert code == 0, told
    assert "exported 3 domains, with 30 members and 3 key versions" in told
    for key in before.private_keys:
        assert key["d"] not in exported
    file = tmp_path / "export"
    file.write_text(exported)

    there = other_gateway(here)
    # A device that comes too early must not make the domain: then nothing is replaced unasked.
    early = there.client.join("full", Machine.ec())
    code, _, told = domainctl(there, "import", str(file))
    assert code == 1 and "PRECONDITION_FAILED" in told
    assert there.client.join("full", early.machine).versions == [1]
    code, said, told = domainctl(there, "import", "--replace", str(file))
    assert code == 0, told
    assert "imported 3 domains with 30 members" in said
    for domain in domains:
        assert view(there, domain) == view(here, domain)
    code, said, _ = domainctl(there, "import", str(file))
    assert code == 0 and "an earlier run had imported: 3 domains" in said

    # The devices go on with what they have.
    after = there.client.join("living-room", machines[1])
    assert not after.new_member
    assert after.body["registeredAt"] == before.body["registeredAt"]
    assert after.versions == [1, 2, 3], "the block required a rollover"
    assert after.credentials[:2] == before.credentials
    assert after.private_keys[:2] == before.private_keys
    there.client.register("living-room", machines[2]).refused("DOM_REG_DENIED")
    there.client.register("full", Machine.ec()).refused("DOM_LIMIT_REACHED")
    there.client.leave("full", full[0])
    assert there.client.join("full", Machine.ec()).versions == [1, 2]
    assert domainctl(there, "check")[:2] == (0, "")


def test_an_export_that_was_cut_or_changed_or_has_another_key_is_refused(
    own_gateway, other_gateway, domainctl, tmp_path
):
    here = own_gateway()
    here.client.join_many("attic", 3)
    here.client.join_many("kitchen", 3)
    _, exported, _ = domainctl(here, "export")
    lines = exported.splitlines(keepends=True)
    there = other_gateway(here)
    changed = exported.replace('"byOperator":false', '"byOperator":true', 1)
    assert changed != exported
    file = tmp_path / "export"
    for text, why in [
        ("".join(lines[:-1]), "cut off"),
        (exported[: len(exported) // 2], "was c"),
        ("".join(lines[:2] + lines[3:]), "was changed"),
        (changed, "digest"),
        (exported.replace('"version":1', '"version":9', 1), "another version"),
    ]:
        file.write_text(text)
        code, _, told = domainctl(there, "import", str(file))
        assert code == 2 and why in told, told
    assert Admin(there.client, there.admin_token).everything("/domains", "domains") == []

    stranger = own_gateway()
    file.write_text(exported)
    code, _, told = domainctl(stranger, "import", str(file))
    assert code == 2 and "another key_encryption_key" in told
    # One who writes the stranger's digest over the export's gets no further.
    (mine,), (theirs,) = (
        Admin(gateway.client, gateway.admin_token).send("GET", "/export").ok()["keyEncryptionKeys"]
        for gateway in (here, stranger)
    )
    line = json.loads(lines[1])
    page = Admin(stranger.client, stranger.admin_token)
    path = page.path("attic", "/import?import=" + "A" * 43)
    page.send("PUT", path, line).ok()
    page.send("PUT", path, json.loads(lines[2])).refused("INVALID_REQUEST")
    assert mine != theirs
    stranger.client.register("attic", Machine.ec()).refused("STORE_UNAVAILABLE")


def test_machines_join_and_leave_while_a_domain_is_exported(
    own_gateway, other_gateway, domainctl, tmp_path
):
    here = own_gateway()
    machines = here.client.join_many("living-room", 40)
    calls = [lambda m=m: here.client.leave("living-room", m) for m in machines[:20]]
    calls += [lambda: here.client.join("living-room", Machine.ec())] * 10
    *_, (code, exported, told) = at_once([*calls, lambda: domainctl(here, "export")])
    assert code == 0, told
    file = tmp_path / "export"
    file.write_text(exported)
    there = other_gateway(here)
    code, _, told = domainctl(there, "import", str(file))
    assert code == 0, told
    assert domainctl(there, "check")[:2] == (0, "")
    members = {member["machineGuid"] for member in view(there, "living-room")[1]}
    assert members >= {machine.guid.lower() for machine in machines[20:]}
    if missing := {machine.guid.lower() for machine in machines[:20]} - members:
        assert there.client.join("living-room", machines[30]).versions[-1] > 1, missing


def damage(gateway: Gateway, table: str) -> str:
    """Cuts the largest row of a table in half; its key."""
    with closing(sqlite3.connect(gateway.state / "store.db")) as database:
        (key,) = database.execute(
            "SELECT key FROM kv WHERE key LIKE ? ORDER BY length(value) DESC LIMIT 1",
            (f"anonymous-domains:{table}:%",),
        ).fetchone()
        database.execute(
            "UPDATE kv SET value = substr(value, 1, length(value) / 2), version = version + 1 "
            "WHERE key = ?",
            (key,),
        )
        database.commit()
    return key


@pytest.mark.of_sqlite
@pytest.mark.parametrize("table", ["DomainServerInfo", "DomainMembership", "DomainKeys"])
def test_a_damaged_row_is_found(own_gateway, domainctl, table):
    gateway = own_gateway()
    gateway.client.join_many("living-room", 3)
    Admin(gateway.client, gateway.admin_token).set("attic")
    assert domainctl(gateway, "check")[:2] == (0, "")
    key = damage(gateway, table)
    for command in (("check",), ("check", "--mend")):
        code, said, told = domainctl(gateway, *command)
        assert code == 1, told
        assert said.startswith("living-room: unreadable-row: ") and key in said
        assert "(mended)" not in said
    code, said, _ = domainctl(gateway, "--json", "check")
    assert code == 1
    found = json.loads(said)
    assert found["ok"] is False
    assert [finding["domain"] for finding in found["findings"]] == ["living-room"]


@pytest.mark.of_sqlite
def test_a_copy_of_a_store_in_use_is_whole(programs, own_gateway, domainctl, tmp_path):
    gateway = own_gateway()
    machines = [Machine.ec() for _ in range(40)]
    copies = [tmp_path / f"copy-{number}.db" for number in range(3)]

    def backup(copy) -> str:
        command = [str(programs.gateway), "backup", str(copy), "--state", str(gateway.state)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    answered = machines[:20]
    for machine in answered:
        gateway.client.join("living-room", machine)
    calls = [lambda m=m: gateway.client.join("living-room", m) for m in machines[20:]]
    at_once(calls + [lambda c=copy: backup(c) for copy in copies])
    again = subprocess.run(
        [str(programs.gateway), "backup", "--state", str(gateway.state), str(copies[0])],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert again.returncode == 1 and "is there already" in again.stderr

    gateway.stop()
    for copy in copies:
        assert copy.stat().st_mode & 0o777 == 0o600
        state = copy.with_suffix("")
        state.mkdir(mode=0o700)
        shutil.copy(copy, state / "store.db")
        for name in (*SECRETS, "admin-token"):
            shutil.copy(gateway.state / name, state / name)
        restored = Gateway(programs, state, USUAL).start()
        try:
            assert domainctl(restored, "check")[:2] == (0, "")
            for machine in answered:
                assert not restored.client.join("living-room", machine).new_member
        finally:
            restored.close()
