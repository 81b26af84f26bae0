"""Max Membership: exact under any storm, never for a member, changed at any time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from machines import Machine
from test_server import at_once

TRIES = 20


def outcome(client, domain, machine) -> bool:
    """Whether the machine was admitted; anything but the limit is an error. While the limit is
    changed again and again a request may be told to come back."""
    for _ in range(TRIES):
        answer = client.register(domain, machine)
        if answer.status != 503:
            break
        answer.refused("STORE_UNAVAILABLE")
        time.sleep(float(answer.header("retry-after")))
    if answer.status == 200:
        return True
    answer.refused("DOM_LIMIT_REACHED")
    return False


def storm(client, domain, machines) -> list[Machine]:
    """All of them at once; the ones admitted."""
    results = at_once([lambda m=m: outcome(client, domain, m) for m in machines])
    return [machine for machine, admitted in zip(machines, results, strict=True) if admitted]


def guids(machines) -> set[str]:
    return {machine.guid for machine in machines}


def member_guids(admin, domain) -> list[str]:
    return [member["machineGuid"].lower() for member in admin.members(domain)]


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "with a key"])
def test_forty_at_once_seven_places(client, admin, domain, fresh):
    admin.set(domain, maxMembership=7)
    members = []
    if not fresh:
        members = [Machine.ec()]
        client.join(domain, members[0])
    admitted = storm(client, domain, [Machine.ec() for _ in range(40)]) + members
    assert len(admitted) == 7
    found = member_guids(admin, domain)
    assert len(found) == 7
    assert set(found) == guids(admitted)
    assert admin.get(domain).ok()["memberCount"] == 7
    assert all(not client.join(domain, machine).new_member for machine in admitted)


def test_twenty_joins_of_one_machine_take_one_place(client, admin, domain):
    admin.set(domain, maxMembership=2)
    machine = Machine.ec()
    joined = at_once([lambda: client.join(domain, machine)] * 20)
    assert [one.new_member for one in joined].count(True) == 1
    assert client.join(domain, Machine.ec()).new_member
    client.register(domain, Machine.ec()).refused("DOM_LIMIT_REACHED")


def test_the_limit_is_checked_before_the_insert(server, client, admin, domain, store_unchanged):
    admin.set(domain, maxMembership=1)
    member = Machine.ec()
    client.join(domain, member)
    with store_unchanged(server):
        client.register(domain, Machine.ec()).refused("DOM_LIMIT_REACHED")
        assert not client.join(domain, member).new_member


def test_zero_admits_nobody_new(server, client, admin, domain, store_unchanged):
    admin.set(domain, maxMembership=0)
    with store_unchanged(server):
        client.register(domain, Machine.ec()).refused("DOM_LIMIT_REACHED")


def test_leaving_frees_a_place(client, admin, domain):
    admin.set(domain, maxMembership=1)
    first, second = Machine.ec(), Machine.ec()
    client.join(domain, first)
    client.leave(domain, first, preview=True)
    client.register(domain, second).refused("DOM_LIMIT_REACHED")
    client.leave(domain, first)
    assert client.join(domain, second).versions == [1, 2]
    client.register(domain, first).refused("DOM_LIMIT_REACHED")


def test_lowering_removes_nobody(client, admin, domain):
    machines = [Machine.ec() for _ in range(5)]
    for machine in machines:
        client.join(domain, machine)
    admin.set(domain, maxMembership=2)
    assert admin.get(domain).ok()["memberCount"] == 5
    assert not admin.get(domain).ok()["keyRolloverRequired"]
    for machine in machines:
        assert not client.join(domain, machine).new_member
    client.register(domain, Machine.ec()).refused("DOM_LIMIT_REACHED")
    for machine in machines[:4]:
        client.leave(domain, machine)
    assert client.join(domain, machines[0]).new_member
    client.register(domain, machines[1]).refused("DOM_LIMIT_REACHED")


def test_raising_and_lifting(client, admin, domain):
    for maximum, places in ((2, 2), (5, 3)):
        admin.set(domain, maxMembership=maximum)
        assert len(storm(client, domain, [Machine.ec() for _ in range(10)])) == places
    admin.set(domain, maxMembership=None)
    assert len(storm(client, domain, [Machine.ec() for _ in range(10)])) == 10
    assert len(member_guids(admin, domain)) == 15


def test_a_limit_set_on_a_domain_that_had_none(client, admin, domain):
    first = storm(client, domain, [Machine.ec() for _ in range(20)])
    admin.set(domain, maxMembership=23)
    second = storm(client, domain, [Machine.ec() for _ in range(20)])
    assert len(first) == 20
    assert len(second) == 3
    assert set(member_guids(admin, domain)) == guids(first + second)


def test_changing_the_limit_under_a_storm_loses_nobody(client, admin, domain):
    admin.set(domain, maxMembership=7)
    machines = [Machine.ec() for _ in range(60)]
    over = threading.Event()

    def change():
        changes = 0
        for maximum in (None, 7, 20, None, 0, 30, None, 12) * 3:
            admin.set(domain, maxMembership=maximum)
            changes += 1
            if over.is_set():
                break
        return changes

    with ThreadPoolExecutor(41) as pool:
        changes = pool.submit(change)
        results = list(pool.map(lambda m: outcome(client, domain, m), machines))
        over.set()
        assert changes.result() > 0
    admitted = [machine for machine, yes in zip(machines, results, strict=True) if yes]
    found = member_guids(admin, domain)
    assert len(found) == len(set(found))
    assert set(found) == guids(admitted), "a member is who was told 200, and nobody else"
    assert all(not client.join(domain, machine).new_member for machine in admitted)
    admin.set(domain, maxMembership=len(admitted))
    client.register(domain, Machine.ec()).refused("DOM_LIMIT_REACHED")


def test_joins_and_departures_never_exceed_the_limit(client, admin, domain):
    admin.set(domain, maxMembership=5)
    machines = [Machine.ec() for _ in range(20)]
    over = threading.Event()

    def come_and_go(machine):
        for _ in range(4):
            if outcome(client, domain, machine):
                client.leave(domain, machine)

    def watch():
        most = 0
        while not over.is_set():
            most = max(most, len(member_guids(admin, domain)))
        return most

    with ThreadPoolExecutor(21) as pool:
        watching = pool.submit(watch)
        list(pool.map(come_and_go, machines))
        over.set()
        assert watching.result() <= 5
    assert member_guids(admin, domain) == []
    assert len(storm(client, domain, machines)) == 5
