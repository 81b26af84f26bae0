"""What the gateway itself takes care of: memory, and others on its store."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from machines import Machine
from waiting import until

pytestmark = pytest.mark.of_the_gateway

HOLDER = """
import fcntl, sys, time
turn = open(sys.argv[1], "w")
fcntl.flock(turn, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def stopped_writer(gateway):
    """A process that was stopped when it was its turn to write; it is killed at the end, and then
    the gateway, which must have refused a write, takes them again."""
    turn = gateway.state / "store.turn"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(turn)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    # The gateway has refused writes, and does so until it has its turn.
    until(lambda: any("writes to the store are possible again" in line for line in gateway.log))


@pytest.mark.of_sqlite
def test_a_stopped_process_keeps_nobody_waiting_for_ever(own_gateway, domain, store_unchanged):
    gateway = own_gateway("--request-timeout", "60s")
    client = gateway.client
    member = Machine.ec()
    before = client.join(domain, member)
    newcomer = Machine.ec()
    with stopped_writer(gateway), store_unchanged(gateway):
        client.register(domain, newcomer).refused("STORE_UNAVAILABLE")
        # Who writes nothing does not wait.
        assert client.join(domain, member).credentials == before.credentials
    assert client.join(domain, newcomer).new_member


def test_a_second_gateway_that_is_stopped(own_gateway, programs, domain):
    """Whatever the other one was doing: afterwards writes work, and it can go on."""
    gateway = own_gateway()
    client = gateway.client
    other = type(gateway)(programs, gateway.state, gateway.settings).start()
    try:
        other.client.join(domain, Machine.ec())
        other.process.send_signal(signal.SIGSTOP)
        try:
            assert client.join(domain, Machine.ec()).new_member
        finally:
            other.process.send_signal(signal.SIGCONT)
        assert other.client.join(domain, Machine.ec()).new_member
    finally:
        other.stop()


@pytest.mark.of_sqlite
def test_requests_without_room_get_503_and_later_ones_are_answered(own_gateway, domain):
    """Instances that wait for the store take up all the memory that there is."""
    gateway = own_gateway("--max-memory", "16MiB", "--request-timeout", "60s")
    client = gateway.client
    member = Machine.ec()
    assert client.join(domain, member).new_member
    # Signed before: the first ones do not wait for long.
    target = client.path(domain, "register")
    requests = [Machine.ec().request(client.url(target)) for _ in range(64)]
    with stopped_writer(gateway), ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(client.post, target, request) for request in requests]
        answer = client.describe(domain)
        while answer.status == 200 and not all(one.done() for one in waiting):
            answer = client.describe(domain)
        assert answer.status == 503, answer
        assert answer.header("retry-after")
        assert answer.media_type == "application/problem+json"
        assert "error" not in answer.json(), "it is none of the protocol's"
        assert {one.result().status for one in waiting} == {503}
    assert not client.join(domain, member).new_member
    assert client.join(domain, Machine.ec()).new_member
