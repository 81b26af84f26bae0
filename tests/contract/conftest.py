"""Fixtures: gateways by their settings, and the store's guard; the others are in shared.py."""

import os
from contextlib import contextmanager

import pytest

from behind_nginx import BehindNginx
from gateway import USUAL, Gateway, Programs, difference, flags_for
from on_postgres import OnPostgres
from spin import Spin

pytest_plugins = ["shared"]


def pytest_collection_modifyitems(items):
    if os.environ.get("ANONYMOUS_DOMAINS_POSTGRES"):
        for item in items:
            if item.get_closest_marker("of_sqlite"):
                item.add_marker(pytest.mark.skip(reason="about the store in a file"))
    if not any(os.environ.get(f"ANONYMOUS_DOMAINS_{name}") for name in ("SPIN", "NGINX")):
        return
    for item in items:
        if item.get_closest_marker("of_the_gateway"):
            item.add_marker(pytest.mark.skip(reason="about the gateway itself"))


def host(programs: Programs) -> type[Gateway]:
    """What serves the component."""
    if os.environ.get("ANONYMOUS_DOMAINS_POSTGRES"):
        return OnPostgres
    if os.environ.get("ANONYMOUS_DOMAINS_NGINX"):
        return BehindNginx
    return Spin if programs.spin else Gateway


@pytest.fixture(scope="session")
def gateway_with(programs, tmp_path_factory):
    """A running gateway for some settings; equal settings share one for the whole session."""
    running: dict[tuple, Gateway] = {}

    def get(**settings: str) -> Gateway:
        settings = {**USUAL, **settings}
        key = tuple(sorted(settings.items()))
        if key not in running:
            state = tmp_path_factory.mktemp("state")
            flags = () if programs.spin else flags_for(settings)
            running[key] = host(programs)(programs, state, settings, flags=flags).start()
        return running[key]

    yield get
    for gateway in running.values():
        gateway.stop()
        gateway.close()


@pytest.fixture
def own_gateway(programs, tmp_path):
    """A gateway that a test may kill and start again; call it with flags and settings."""
    started: list[Gateway] = []

    def start(*flags: str, plain: bool = False, **settings: str) -> Gateway:
        """With `plain` it serves HTTP itself, however the others are reached."""
        state = tmp_path / f"state-{len(started)}"
        state.mkdir()
        assert not (flags and programs.spin), "a test with flags is of the gateway"
        settings = {**USUAL, **settings}
        kind = Gateway if plain else host(programs)
        gateway = kind(programs, state, settings, flags=flags)
        gateway.plain = plain
        started.append(gateway.start())
        return gateway

    yield start
    for gateway in started:
        gateway.close()


@pytest.fixture
def store_unchanged():
    """`with store_unchanged(gateway):` no row of any table of its database differs afterwards."""

    @contextmanager
    def guard(gateway: Gateway):
        before = gateway.rows()
        yield
        changes = difference(before, gateway.rows())
        assert not changes, "the store changed:\n" + "\n".join(changes)

    return guard
