"""The server as a process: crashes, restarts, settings, many clients at once."""

import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from certificates import check_ca
from machines import Machine


def at_once(calls):
    """Run the calls in as many threads, released together; returns their results in order."""
    barrier = Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_members_and_keys_survive_sigkill(own_gateway, domain):
    gateway = own_gateway()
    client = gateway.client
    stays, leaves = Machine.rsa(), Machine.ec()
    client.join(domain, stays)
    client.join(domain, leaves)
    client.leave(domain, leaves)
    before = client.join(domain, stays)
    ca_pem, admin_token = client.ca_pem(), gateway.admin_token
    client.leave(domain, stays, preview=True)
    assert before.versions == [1, 2]

    gateway.stop(signal.SIGKILL)
    client = gateway.start().client

    after = client.join(domain, stays)
    assert not after.new_member
    assert after.credentials == before.credentials
    assert after.private_keys == before.private_keys
    assert after.body["registeredAt"] == before.body["registeredAt"]
    client.deregister(domain, leaves).refused("DEREG_DENIED")
    assert client.ca_pem() == ca_pem
    assert gateway.admin_token == admin_token


def test_a_pending_rollover_survives_sigkill(own_gateway, domain):
    gateway = own_gateway()
    machine = Machine.ec()
    gateway.client.join(domain, machine)
    gateway.client.leave(domain, machine)
    gateway.stop(signal.SIGKILL)
    client = gateway.start().client
    assert client.describe(domain).ok()["keyRolloverRequired"]
    assert client.join(domain, machine).versions == [1, 2]


def test_sigterm_ends_it_cleanly_and_the_state_stays(own_gateway, domain):
    gateway = own_gateway()
    machine = Machine.ec()
    credentials = gateway.client.join(domain, machine).credentials
    assert gateway.stop() == 0
    assert gateway.start().client.join(domain, machine).credentials == credentials


def test_secrets_of_the_state_directory(own_gateway, domain):
    gateway = own_gateway()
    joined = gateway.client.join(domain, Machine.ec())
    for name in ("ca-key.pem", "key-encryption-key", "admin-token"):
        path = gateway.state / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, name
    assert check_ca((gateway.state / "ca.pem").read_bytes()) == check_ca(gateway.client.ca_pem())
    assert len(gateway.admin_token) >= 32
    gateway.stop()
    private = joined.private_keys[0]["d"]
    log = "".join(gateway.log).encode()
    secrets = [private.encode(), gateway.admin_token.encode()]
    secrets += [(gateway.state / "key-encryption-key").read_bytes().strip()]
    secrets += (gateway.state / "ca-key.pem").read_bytes().splitlines()[1:-1]
    for secret in secrets:
        assert secret not in log
    stored = gateway.stored()
    assert len(stored) > 1000
    assert private.encode() not in stored


def test_auto_create_domains_off(gateway_with, domain, store_unchanged):
    gateway = gateway_with(auto_create_domains="false")
    with store_unchanged(gateway):
        gateway.client.register(domain, Machine.ec()).refused("UNKNOWN_DOMAIN")
        gateway.client.deregister(domain, Machine.ec()).refused("DEREG_DENIED")
    gateway.client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_clock_tolerance(gateway_with, domain, store_unchanged):
    gateway = gateway_with(clock_tolerance="60")
    client = gateway.client
    client.join(domain, Machine.ec(), iat=int(time.time()) - 20)
    with store_unchanged(gateway):
        for shift in (-150, 150):
            machine = Machine.ec()
            late = client.register(domain, machine, iat=int(time.time()) + shift)
            late.refused("REQUEST_EXPIRED")


def test_a_setting_may_come_from_a_file(own_gateway, tmp_path, domain):
    path = tmp_path / "origin.txt"
    path.write_text("https://from-a-file.example")
    gateway = own_gateway(public_origin=f"@{path}")
    client = gateway.client
    client.public_origin = "https://from-a-file.example"
    assert client.join(domain, Machine.ec()).new_member


def test_thirty_join_a_fresh_domain_at_once(client, domain):
    machines = [Machine.ec() for _ in range(30)]
    joined = at_once([lambda m=m: client.join(domain, m) for m in machines])
    assert all(one.new_member for one in joined)
    assert all(one.versions == [1] for one in joined)
    assert all(one.credentials == joined[0].credentials for one in joined)
    assert all(one.private_keys == joined[0].private_keys for one in joined)
    again = at_once([lambda m=m: client.join(domain, m) for m in machines])
    assert not any(one.new_member for one in again)
    assert all(one.credentials == joined[0].credentials for one in again)


def test_one_machine_joins_twenty_times_at_once(client, domain):
    machine = Machine.ec()
    joined = at_once([lambda: client.join(domain, machine)] * 20)
    assert [one.new_member for one in joined].count(True) == 1
    assert len({one.body["registeredAt"] for one in joined}) == 1
    assert all(one.credentials == joined[0].credentials for one in joined)
    client.leave(domain, machine)
    client.deregister(domain, machine).refused("DEREG_DENIED")


def test_a_herd_after_a_departure_makes_one_key(client, domain):
    machines = [Machine.ec() for _ in range(20)]
    at_once([lambda m=m: client.join(domain, m) for m in machines])
    client.leave(domain, machines[0])
    joined = at_once([lambda m=m: client.join(domain, m) for m in machines])
    assert all(one.versions == [1, 2] for one in joined)
    assert all(one.credentials == joined[0].credentials for one in joined)


def test_one_machine_leaves_many_times_at_once(client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    answers = at_once([lambda: client.deregister(domain, machine)] * 10)
    assert [answer.status for answer in answers].count(200) == 1
    for answer in answers:
        if answer.status != 200:
            answer.refused("DEREG_DENIED")
    assert client.join(domain, machine).versions == [1, 2]


def test_joins_and_departures_mixed(client, domain):
    stay = [Machine.ec() for _ in range(8)]
    go = [Machine.ec() for _ in range(8)]
    at_once([lambda m=m: client.join(domain, m) for m in go])
    calls = [lambda m=m: client.join(domain, m) for m in stay]
    calls += [lambda m=m: client.leave(domain, m) for m in go]
    at_once(calls)
    newest = client.join(domain, stay[0])
    # Keys made before the last departure may be many; versions have no gap and a newer one follows.
    assert newest.versions == list(range(1, len(newest.versions) + 1))
    assert len(newest.versions) >= 2
    for machine in stay:
        again = client.join(domain, machine)
        assert not again.new_member and again.credentials == newest.credentials
    for machine in go:
        client.deregister(domain, machine).refused("DEREG_DENIED")
