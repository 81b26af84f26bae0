"""Malformed requests: each gets its documented error, whole, and leaves every table as it was."""

import pytest

from machines import Machine, compact
from malformed import Context
from malformed_table import CASES, GROUPS

PUBLIC_ORIGIN = "https://domains.example"


@pytest.fixture(scope="module")
def context_of(gateway_with):
    """The context on a server with a `public_origin` or without, made once for the module."""
    made: dict[bool, tuple] = {}

    def get(with_public_origin: bool):
        if with_public_origin not in made:
            settings = {"public_origin": PUBLIC_ORIGIN} if with_public_origin else {}
            # A server of its own: nothing but the case at hand may write to its store.
            gateway = gateway_with(**settings, clock_tolerance="299")
            member = Machine.ec()
            gateway.client.join("malformed", member)
            context = Context(gateway.client, "malformed", member, Machine.ec(), Machine.rsa())
            made[with_public_origin] = gateway, context
        return made[with_public_origin]

    return get


def test_the_table_is_long_enough():
    assert len(CASES) >= 60
    assert len(CASES) == sum(map(len, GROUPS.values())), "two cases have one name"


@pytest.mark.parametrize("name", CASES)
def test_malformed(context_of, store_unchanged, name):
    case = CASES[name]
    gateway, context = context_of(case.with_public_origin)
    with store_unchanged(gateway):
        case.send(context).refused(*case.errors)


@pytest.mark.parametrize("with_public_origin", [False, True])
@pytest.mark.parametrize("kind", ["ES256", "RS256", "PS256"])
def test_what_the_cases_change_is_well_formed(context_of, kind, with_public_origin):
    """A control: without its change, a case's request is accepted."""
    _, context = context_of(with_public_origin)
    machine = Machine.ec() if kind == "ES256" else Machine.rsa(alg=kind)
    body = context.signed(machine)
    assert context.client.post(context.target(), compact(body)).ok()["newMember"] is True
    context.client.leave(context.domain, machine)


def test_the_machines_of_the_cases_did_not_join(context_of):
    for with_public_origin in (False, True):
        _, context = context_of(with_public_origin)
        for machine in (context.machine, context.rsa):
            context.client.deregister(context.domain, machine).refused("DEREG_DENIED")
        assert not context.client.join(context.domain, context.member).new_member
