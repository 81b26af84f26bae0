"""A machine's life in a domain: joining, asking again, leaving, coming back."""

import time

import pytest

from certificates import parse_time, self_signed, to_x5c
from machines import Machine, compact


@pytest.fixture(params=["RS256", "PS256", "ES256"])
def machine(request) -> Machine:
    return Machine.ec() if request.param == "ES256" else Machine.rsa(alg=request.param)


def test_the_first_to_join_makes_the_domain_and_its_key(client, domain, machine):
    before = time.time()
    joined = client.join(domain, machine)
    assert joined.new_member
    assert joined.versions == [1]
    assert joined.body["keyVersion"] == 1
    assert joined.credentials[0]["kid"] == f"{domain}/1"
    registered_at = parse_time(joined.body["registeredAt"]).timestamp()
    assert before - 5 <= registered_at <= time.time() + 5


def test_joining_again_changes_nothing(server, client, domain, machine, store_unchanged):
    first = client.join(domain, machine)
    with store_unchanged(server):
        again = client.join(domain, machine)
    assert not again.new_member
    assert again.credentials == first.credentials
    assert again.private_keys == first.private_keys
    assert again.body["registeredAt"] == first.body["registeredAt"]
    assert again.body["keyVersion"] == first.body["keyVersion"]


def test_a_replayed_registration_changes_nothing(server, client, domain, store_unchanged):
    machine = Machine.ec()
    target = client.path(domain, "register")
    body = machine.request(client.url(target))
    assert client.post(target, body).ok()["newMember"] is True
    with store_unchanged(server):
        assert client.post(target, body).ok()["newMember"] is False


def test_every_member_gets_the_same_keys(client, domain):
    first = client.join(domain, Machine.rsa(0))
    for other in (Machine.rsa(1), Machine.rsa(0, alg="PS256"), Machine.ec()):
        joined = client.join(domain, other)
        assert joined.new_member
        assert joined.credentials == first.credentials
        assert joined.private_keys == first.private_keys


def test_domains_do_not_share_keys_or_members(client, domain):
    machine = Machine.ec()
    one = client.join(domain, machine)
    other = client.join(domain + "-other", machine)
    assert other.new_member and other.versions == [1]
    assert one.private_keys[0]["x"] != other.private_keys[0]["x"]
    in_another_case = client.join(domain.lower(), machine)
    assert in_another_case.new_member, "names are case-sensitive"


def test_joined_asked_left_and_back(server, client, domain, store_unchanged):
    first, second = Machine.rsa(), Machine.ec()
    assert client.join(domain, first).versions == [1]
    assert client.join(domain, second).versions == [1]
    with store_unchanged(server):
        client.leave(domain, first, preview=True)
        client.leave(domain, first, preview=True)
    assert not client.join(domain, first).new_member, "a preview removes nobody"
    assert not client.describe(domain).ok()["keyRolloverRequired"]

    client.leave(domain, first)
    assert client.describe(domain).ok()["keyRolloverRequired"]
    assert client.describe(domain).ok()["keyVersion"] == 1, "the rollover is lazy"
    with store_unchanged(server):
        client.deregister(domain, first).refused("DEREG_DENIED")
        client.deregister(domain, first, preview=True).refused("DEREG_DENIED")

    back = client.join(domain, first)
    assert back.new_member
    assert back.versions == [1, 2] and back.body["keyVersion"] == 2
    assert not client.describe(domain).ok()["keyRolloverRequired"]
    assert back.private_keys[0] != back.private_keys[1]
    assert client.join(domain, second).credentials == back.credentials


def test_a_member_that_stays_gets_the_new_key_too(client, domain):
    first, second = Machine.ec(), Machine.ec()
    version_1 = client.join(domain, first).credentials
    client.join(domain, second)
    client.leave(domain, second)
    joined = client.join(domain, first)
    assert not joined.new_member, "it never left"
    assert joined.versions == [1, 2]
    assert joined.credentials[:1] == version_1


def test_several_departures_make_one_new_key(client, domain):
    machines = [Machine.ec() for _ in range(4)]
    for machine in machines:
        client.join(domain, machine)
    for machine in machines[1:]:
        client.leave(domain, machine)
    assert client.join(domain, machines[0]).versions == [1, 2]
    assert client.join(domain, machines[1]).versions == [1, 2]


def test_an_explicit_preview_of_false_is_the_real_thing(client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    client.leave(domain, machine, preview=False)
    client.deregister(domain, machine).refused("DEREG_DENIED")


def test_known_key_version(server, client, domain, store_unchanged):
    machine = Machine.ec()
    client.join(domain, machine)
    for _ in range(2):
        client.leave(domain, machine)
        client.join(domain, machine)
    with store_unchanged(server):
        for known, versions in ((None, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, []), (4, [])):
            joined = client.join(domain, machine, knownKeyVersion=known)
            assert joined.versions == versions
            assert joined.body["keyVersion"] == 3
        assert client.join(domain, machine, knownKeyVersion=1_000_000).versions == []


@pytest.mark.parametrize("known", [2**31, 2**53, 2**63, 2**64 + 1, 10**30], ids=str)
def test_a_known_version_that_is_huge(server, client, domain, store_unchanged, known):
    # A positive integer with nothing above it, or one that no reader of JSON need take: not more.
    machine = Machine.ec()
    client.join(domain, machine)
    with store_unchanged(server):
        answer = client.register(domain, machine, knownKeyVersion=known)
    if known >= 2**53 and answer.status != 200:
        answer.refused("INVALID_REQUEST")
    else:
        assert answer.ok()["credentials"] == []


def test_known_key_version_of_a_new_member(client, domain):
    joined = client.join(domain, Machine.ec(), knownKeyVersion=1)
    assert joined.new_member and joined.versions == [] and joined.body["keyVersion"] == 1


def test_a_known_version_does_not_hide_a_rollover(client, domain):
    first, second = Machine.ec(), Machine.ec()
    client.join(domain, first)
    client.join(domain, second)
    client.leave(domain, second)
    assert client.join(domain, first, knownKeyVersion=1).versions == [2]


def test_current_domain(server, client, domain, store_unchanged):
    machine = Machine.ec()
    assert client.join(domain, machine, currentDomain=domain).new_member
    assert not client.join(domain, machine, currentDomain=domain).new_member
    with store_unchanged(server):
        for other in (domain + "x", domain.lower()):
            client.register(domain, machine, currentDomain=other).refused("DOM_REG_DENIED")


def test_a_guid_is_the_same_in_either_case(server, client, domain, store_unchanged):
    machine = Machine.ec(guid="0d4fabcd-ef01-4abc-8def-0123456789ab")
    client.join(domain, machine)
    loud = machine.twin(guid=machine.guid.upper())
    with store_unchanged(server):
        assert not client.join(domain, loud).new_member
    client.leave(domain, loud)
    client.deregister(domain, machine).refused("DEREG_DENIED")


def test_a_guid_is_bound_to_its_key(server, client, domain, store_unchanged):
    machine = Machine.ec()
    client.join(domain, machine)
    for thief in (machine.twin(key=Machine.ec().key), Machine.rsa(guid=machine.guid)):
        with store_unchanged(server):
            client.register(domain, thief).refused("MACHINE_KEY_MISMATCH")
            client.deregister(domain, thief, preview=True).refused("DEREG_DENIED")
            client.deregister(domain, thief).refused("DEREG_DENIED")
    assert not client.join(domain, machine).new_member


def test_the_binding_is_of_the_domain(client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    assert client.join(domain + "-other", machine.twin(key=Machine.ec().key)).new_member


def test_a_machine_that_left_may_come_back_with_another_key(client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    client.leave(domain, machine)
    assert client.join(domain, machine.twin(key=Machine.ec().key)).new_member


def test_leaving_is_denied_to_strangers(server, client, domain, store_unchanged):
    client.join(domain, Machine.ec())
    with store_unchanged(server):
        client.deregister(domain, Machine.ec()).refused("DEREG_DENIED")
        client.deregister(domain, Machine.ec(), preview=True).refused("DEREG_DENIED")


def test_leaving_does_not_insert_an_unknown_domain(server, client, domain, store_unchanged):
    with store_unchanged(server):
        client.deregister(domain, Machine.ec()).refused("DEREG_DENIED")
        client.deregister(domain, Machine.ec(), preview=True).refused("DEREG_DENIED")
    client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_a_deregistration_from_before_the_membership_is_a_replay(
    server, client, domain, store_unchanged
):
    machine = Machine.ec()
    client.join(domain, machine)
    with store_unchanged(server):
        old = client.deregister(domain, machine, iat=int(time.time()) - 120)
        old.refused("REQUEST_REPLAYED")
    client.leave(domain, machine)


def test_a_captured_deregistration_cannot_be_used_again(server, client, domain, store_unchanged):
    machine = Machine.ec()
    client.join(domain, machine)
    target = client.path(domain, "deregister")
    captured = machine.request(client.url(target))
    assert client.post(target, captured).ok()["deregistered"] is True
    with store_unchanged(server):
        client.post(target, captured).refused("DEREG_DENIED")
    time.sleep(2.5)  # Past the 1 s slack, with whole seconds on both sides.
    client.join(domain, machine)
    with store_unchanged(server):
        client.post(target, captured).refused("REQUEST_REPLAYED")
    assert not client.join(domain, machine).new_member


def test_an_x5c_names_the_machines_key(client, domain):
    for machine in (Machine.rsa(), Machine.ec()):
        chain = to_x5c(self_signed(machine.key))
        joined = client.join(domain, machine, header={"jwk": None, "x5c": chain})
        assert joined.new_member
        assert not client.join(domain, machine).new_member, "the key is the same one"


def test_members_that_nobody_defined_are_ignored(client, domain):
    machine = Machine.ec()
    joined = client.join(
        domain,
        machine,
        header={"kid": "mine", "nonce": "x", "jwk": {**machine.public_jwk, "note": "x"}},
        colour="blue",
        nested={"a": [1, {"b": None}]},
    )
    assert joined.new_member
    signed = machine.forge(
        compact(machine.header(client.url(client.path(domain, "register")))),
        compact(machine.payload()),
    )
    body = compact({**signed, "comment": "RFC 7515 section 7.2.2: ignored"})
    assert client.post(client.path(domain, "register"), body).ok()["newMember"] is False


@pytest.mark.parametrize("age", [200, -200, 0.5])
def test_iat_within_the_tolerance(client, domain, age):
    client.join(domain, Machine.ec(), iat=time.time() - age)


@pytest.mark.parametrize("bits", [3072, 4096])
def test_larger_machine_keys(client, domain, bits):
    assert client.join(domain, Machine.rsa(bits=bits)).new_member
