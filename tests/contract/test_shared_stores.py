"""Stores that gateways share: a domain's life, several gateways, outages, a Redis Cluster."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from admin import Admin
from certificates import check_ca
from gateway import USUAL, Gateway, flags_for
from machines import Machine
from postgres_server import PostgresServer
from redis_server import RedisCluster, RedisServer
from test_limits import guids, member_guids, outcome
from test_server import at_once

pytestmark = pytest.mark.of_the_gateway

RECOVERY_S = 60


@pytest.fixture(params=[RedisServer, PostgresServer], ids=["redis", "postgres"])
def shared(request):
    """The server that is the store."""
    server = request.param().start()
    yield server
    server.close()


@pytest.fixture
def gateways(programs, shared, tmp_path):
    """Start some gateways on the store at the same moment; by default on one state directory."""
    started: list[Gateway] = []

    def start(count: int, states=None, **settings: str) -> list[Gateway]:
        states = states or [tmp_path / "state"] * count
        settings = {**USUAL, **settings}
        flags = flags_for(settings)
        new = [Gateway(programs, state, settings, shared.url, flags) for state in states]
        started.extend(new)
        return at_once([gateway.start for gateway in new])

    yield start
    for gateway in started:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.stop(signal.SIGKILL)


def end(programs, state, *options: str, **environment: str) -> tuple[int, str]:
    """Run a gateway that is expected not to start; its exit status and log."""
    command = [str(programs.gateway), "--listen", "127.0.0.1:0", "--state", str(state)]
    command += ["--component", str(programs.component), *options]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    return ended.returncode, ended.stdout + ended.stderr


def joined_in_the_end(client, domain, machine):
    """Join as a device does, which tries again while the server is unavailable."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        answer = client.register(domain, machine)
        if answer.status == 200 or time.monotonic() > deadline:
            return client.join(domain, machine)
        answer.refused("STORE_UNAVAILABLE")
        time.sleep(0.1)


def test_the_life_of_a_domain(shared, gateways, domain):
    (gateway,) = gateways(1)
    client = gateway.client
    stays, leaves = Machine.rsa(), Machine.ec()
    assert client.join(domain, stays).versions == [1]
    assert client.join(domain, leaves).versions == [1]
    client.leave(domain, leaves, preview=True)
    client.leave(domain, leaves)
    client.deregister(domain, leaves).refused("DEREG_DENIED")
    before = client.join(domain, stays)
    assert before.versions == [1, 2]
    assert not gateway.databases(), "there is a SQLite database beside the store"

    gateway.stop(signal.SIGKILL)
    shared.kill()
    shared.start()
    client = gateway.start().client
    after = client.join(domain, stays)
    assert not after.new_member
    assert after.credentials == before.credentials
    assert after.private_keys == before.private_keys
    assert member_guids(Admin(client, gateway.admin_token), domain) == [stays.guid.lower()]


def test_two_that_start_at_once_have_one_ca(gateways, domain):
    one, other = gateways(2)
    assert check_ca(one.client.ca_pem()) == check_ca(other.client.ca_pem())
    assert one.client.ca_pem() == other.client.ca_pem()
    machine = Machine.ec()
    joined = one.client.join(domain, machine)
    assert other.client.join(domain, machine).private_keys == joined.private_keys


@pytest.mark.parametrize("key_type", ["EC-P256", "RSA-2048"])
def test_forty_join_a_fresh_domain_through_both(gateways, domain, key_type):
    pair = gateways(2, domain_key_type=key_type)
    machines = [Machine.ec() for _ in range(40)]
    joined = at_once(
        [lambda i=i, m=m: pair[i % 2].client.join(domain, m) for i, m in enumerate(machines)]
    )
    assert all(one.new_member for one in joined)
    assert all(one.versions == [1] for one in joined)
    assert all(one.credentials == joined[0].credentials for one in joined)
    assert all(one.private_keys == joined[0].private_keys for one in joined)
    # After a departure through one, both give the next version, and the same one.
    pair[0].client.leave(domain, machines[0])
    joined = at_once(
        [lambda i=i, m=m: pair[i % 2].client.join(domain, m) for i, m in enumerate(machines[1:])]
    )
    assert all(one.versions == [1, 2] for one in joined)
    assert all(one.credentials == joined[0].credentials for one in joined)


def test_the_maximum_is_exact_through_both(gateways, domain):
    pair = gateways(2)
    admin = Admin(pair[0].client, pair[0].admin_token)
    admin.set(domain, maxMembership=7)
    machines = [Machine.ec() for _ in range(40)]
    results = at_once(
        [lambda i=i, m=m: outcome(pair[i % 2].client, domain, m) for i, m in enumerate(machines)]
    )
    admitted = [machine for machine, yes in zip(machines, results, strict=True) if yes]
    assert len(admitted) == 7
    assert set(member_guids(admin, domain)) == guids(admitted)
    assert all(not pair[1].client.join(domain, machine).new_member for machine in admitted)


def test_one_of_two_is_killed(gateways, domain):
    one, other = gateways(2)
    machines = [Machine.ec() for _ in range(6)]
    for machine in machines:
        one.client.join(domain, machine)
    one.stop(signal.SIGKILL)
    assert all(not other.client.join(domain, machine).new_member for machine in machines)
    other.client.leave(domain, machines[0])
    one.start().client.deregister(domain, machines[0]).refused("DEREG_DENIED")


def test_an_outage_is_answered_and_ends_by_itself(shared, gateways, domain):
    (gateway,) = gateways(1)
    client = gateway.client
    member, newcomer = Machine.ec(), Machine.ec()
    before = client.join(domain, member)

    shared.kill()
    at_once([lambda: client.register(domain, newcomer).refused("STORE_UNAVAILABLE")] * 10)
    client.deregister(domain, member).refused("STORE_UNAVAILABLE")
    health = client.get("/healthz")
    assert health.status == 503 and health.json()["store"] == "error"
    assert client.ca_pem()
    shared.start()
    assert joined_in_the_end(client, domain, member).credentials == before.credentials
    assert client.join(domain, newcomer).new_member

    # A server that stands still is no reason to wait: the gateway's own limit would be a 504.
    shared.pause()
    at_once([lambda: client.register(domain, member).refused("STORE_UNAVAILABLE")] * 10)
    shared.resume()
    assert joined_in_the_end(client, domain, member).credentials == before.credentials
    assert client.get("/healthz").status == 200
    assert gateway.process.poll() is None


def test_secrets_of_another_gateway_are_not_made_up(programs, gateways, shared, tmp_path):
    (gateway,) = gateways(1)
    status, log = end(programs, tmp_path / "other", "--store", shared.url)
    assert status != 0
    assert "is in use" in log and "copy it from the gateway that made it" in log
    assert not (tmp_path / "other" / "ca.pem").exists()
    other = f"key_encryption_key=@{tmp_path / 'other-key'}"
    (tmp_path / "other-key").write_text("ab" * 32)
    status, log = end(programs, gateway.state, "--store", shared.url, "--set", other)
    assert status != 0
    assert "belongs to another key-encryption key" in log and "abab" not in log


PASSWORD = "hunter2hunter2"  # noqa: S105


def redis_with_a_password() -> tuple[RedisServer, Callable[[str], str]]:
    server = RedisServer("--requirepass", PASSWORD)
    return server, lambda password: f"{server.url}?pass={password}"


def postgres_with_a_password() -> tuple[PostgresServer, Callable[[str], str]]:
    server = PostgresServer(PASSWORD)
    return server, lambda password: server.url.replace("@", f":{password}@")


@pytest.mark.parametrize("kind", [redis_with_a_password, postgres_with_a_password])
def test_a_password_comes_from_a_file_or_the_environment(programs, tmp_path, domain, kind):
    server, url = kind()
    server.start()
    try:
        status, log = end(programs, tmp_path / "argument", "--store", url(PASSWORD))
        assert status == 2 and "--store-password-file" in log and PASSWORD not in log
        wrong = url(f"{PASSWORD}3")
        status, log = end(programs, tmp_path / "wrong", ANONYMOUS_DOMAINS_STORE=wrong)
        assert status == 1 and "does not let the gateway in" in log and PASSWORD not in log

        (tmp_path / "password").write_text(PASSWORD + "\n")
        flags = ("--store-password-file", str(tmp_path / "password"))
        gateway = Gateway(programs, tmp_path / "state", USUAL, server.url, flags).start()
        assert gateway.client.join(domain, Machine.ec()).new_member
        assert gateway.stop() == 0
        assert PASSWORD not in "".join(gateway.log)
    finally:
        server.close()


def test_postgresqls_own_password_file_is_read(programs, tmp_path, domain, monkeypatch):
    server = PostgresServer(PASSWORD).start()
    try:
        file = tmp_path / "pgpass"
        file.write_text(f"127.0.0.1:{server.port}:*:*:{PASSWORD}\n")
        monkeypatch.setenv("PGPASSFILE", str(file))
        file.chmod(0o644)
        status, log = end(programs, tmp_path / "open", "--store", server.url)
        assert status == 1 and "chmod 600" in log
        file.chmod(0o600)
        gateway = Gateway(programs, tmp_path / "state", USUAL, server.url).start()
        assert gateway.client.join(domain, Machine.ec()).new_member
        assert gateway.stop() == 0
    finally:
        server.close()


def test_the_table_can_be_made_by_another_user(programs, tmp_path, domain):
    server = PostgresServer().start()
    try:
        server.query("CREATE ROLE gateway LOGIN")
        server.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        url = server.url.replace("postgres@", "gateway@")
        status, log = end(programs, tmp_path / "none", "--store", url)
        assert status == 1 and "gateway schema" in log
        schema = [str(programs.gateway), "schema"]
        server.query(subprocess.run(schema, capture_output=True, text=True, check=True).stdout)
        server.query("GRANT SELECT, INSERT, UPDATE, DELETE ON anonymous_domains TO gateway")
        gateway = Gateway(programs, tmp_path / "state", USUAL, url).start()
        assert gateway.client.join(domain, Machine.ec()).new_member
        assert gateway.stop() == 0
    finally:
        server.close()


def test_a_store_that_is_not_there_is_waited_for(programs, shared, tmp_path):
    shared.kill()
    options = ["--store", shared.url, "--store-connect-timeout", "500ms"]
    status, log = end(programs, tmp_path / "state", *options)
    assert status == 1
    without_user = shared.url.replace("//postgres@", "//")
    assert f"{without_user} cannot be used" in log and "listening" not in log

    gateway = Gateway(programs, tmp_path / "state", USUAL, shared.url)
    command = [str(programs.gateway), "--listen", "127.0.0.1:0", "--state", str(gateway.state)]
    waiting = subprocess.Popen([*command, "--store", shared.url], stderr=subprocess.PIPE, text=True)
    assert any("cannot connect to the store" in line for line in waiting.stderr)
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(60) == 0
    waiting.stderr.close()


def test_a_cluster_is_found_by_any_of_its_nodes(programs, tmp_path, domain):
    cluster = RedisCluster()
    started = []
    try:
        cluster.start()
        first, _, last = cluster.ports
        for store in (f"redis://127.0.0.1:{last}", f"redis://127.0.0.1:1,127.0.0.1:{first}"):
            gateway = Gateway(programs, tmp_path / "state", USUAL, store)
            started.append(gateway.start())
        one, other = (gateway.client for gateway in started)
        machines = [Machine.ec() for _ in range(4)]
        for machine in machines:
            assert one.join(domain, machine).new_member
        other.leave(domain, machines[0])
        one.deregister(domain, machines[0]).refused("DEREG_DENIED")
        assert one.join(domain, machines[1]).versions == [1, 2]
        admin = Admin(other, started[1].admin_token)
        assert sorted(member_guids(admin, domain)) == sorted(guids(machines[1:]))
        assert any("a failover loses the last ones" in line for line in started[0].log)
        used = [node.ask(b"KEYS", b"*") for node in cluster.nodes]
        assert sum(map(len, used)) > 5 and sum(map(bool, used)) > 1, used
    finally:
        for gateway in started:
            gateway.stop(signal.SIGKILL)
        cluster.close()
