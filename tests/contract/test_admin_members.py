"""Members and blocked machines under `/admin/v1`."""

import time

import pytest

from certificates import parse_time
from machines import Machine


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_members_page_by_page(admin, client, domain, limit):
    machines = client.join_many(domain, 13)
    found = admin.members(domain, limit)
    assert sorted(one["machineGuid"].lower() for one in found) == sorted(m.guid for m in machines)
    thumbprints = {machine.guid: machine.thumbprint for machine in machines}
    for one in found:
        assert set(one) == {"machineGuid", "registeredAt", "keyThumbprint"}
        assert one["keyThumbprint"] == thumbprints[one["machineGuid"].lower()]
        parse_time(one["registeredAt"])
    assert admin.members(domain, 100) == admin.members(domain, 3), "the order is stable"


def test_an_after_that_was_never_a_next(admin, client, domain):
    client.join(domain, Machine.ec())
    answer = admin.get(domain, "/members", after="\x00?#")
    if answer.status != 200:
        answer.refused("INVALID_REQUEST")


def test_removing_a_member(server, admin, client, domain, store_unchanged):
    machine, other = client.join_many(domain, 2)
    assert admin.delete(domain, f"/members/{machine.guid.upper()}").status == 204
    assert admin.get(domain).ok()["keyRolloverRequired"] is True
    assert [one["machineGuid"].lower() for one in admin.members(domain)] == [other.guid]
    with store_unchanged(server):
        admin.delete(domain, f"/members/{machine.guid}").refused("NOT_FOUND")
    client.deregister(domain, machine).refused("DEREG_DENIED")
    assert client.join(domain, other).versions == [1, 2]
    assert client.join(domain, machine).new_member


def test_blocking_a_member(server, admin, client, domain, store_unchanged):
    machine, other = client.join_many(domain, 2)
    assert admin.block(domain, machine.guid).status == 204
    assert [one["machineGuid"].lower() for one in admin.members(domain)] == [other.guid]
    assert admin.get(domain).ok()["keyRolloverRequired"] is True
    with store_unchanged(server):
        client.register(domain, machine).refused("DOM_REG_DENIED")
        client.register(domain, machine.twin(key=Machine.ec().key)).refused("DOM_REG_DENIED")
        client.deregister(domain, machine).refused("DOM_REG_DENIED", "DEREG_DENIED")
    assert client.join(domain, other).versions == [1, 2]
    assert admin.block(domain, machine.guid.upper()).status == 204
    assert admin.get(domain).ok()["keyRolloverRequired"] is False, "nobody was removed"
    (blocked,) = admin.blocked(domain)
    assert set(blocked) == {"machineGuid", "blockedAt"}
    assert blocked["machineGuid"].lower() == machine.guid
    assert abs(parse_time(blocked["blockedAt"]).timestamp() - time.time()) < 60
    assert admin.unblock(domain, machine.guid).status == 204
    assert admin.blocked(domain) == []
    assert client.join(domain, machine).new_member


def test_blocking_a_stranger(admin, client, domain):
    client.join(domain, Machine.ec())
    stranger = Machine.ec()
    assert admin.block(domain, stranger.guid).status == 204
    assert admin.get(domain).ok()["keyRolloverRequired"] is False
    client.register(domain, stranger).refused("DOM_REG_DENIED")
    assert client.join(domain + "-other", stranger).new_member, "a block is of one domain"


def test_blocked_page_by_page(admin, domain):
    admin.set(domain)
    machines = [Machine.ec() for _ in range(11)]
    for machine in machines:
        assert admin.block(domain, machine.guid).status == 204
    found = [one["machineGuid"].lower() for one in admin.blocked(domain, 3)]
    assert sorted(found) == sorted(machine.guid for machine in machines)


@pytest.mark.parametrize("guid", ["x", "0", "00000000-0000-0000-0000-000000000000", "%7Bx%7D"])
def test_guids_that_are_none(server, admin, client, domain, store_unchanged, guid):
    client.join(domain, Machine.ec())
    with store_unchanged(server):
        admin.block(domain, guid).refused("INVALID_REQUEST", "NOT_FOUND")
        admin.delete(domain, f"/members/{guid}").refused("INVALID_REQUEST", "NOT_FOUND")
