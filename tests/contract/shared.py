"""Fixtures that this suite and the browser's share: a conftest.py names this file as a plugin.

Each brings `gateway_with`, which starts a gateway with some settings.
"""

import itertools

import pytest

from admin import Admin
from gateway import Gateway, Programs

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def programs() -> Programs:
    try:
        return Programs.from_environment()
    except ValueError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def server(gateway_with) -> Gateway:
    """The gateway that most tests share: each uses domains of its own."""
    return gateway_with()


@pytest.fixture
def client(server):
    return server.client


@pytest.fixture
def admin(server) -> Admin:
    """The operator of the gateway that most tests share."""
    return Admin(server.client, server.admin_token)


@pytest.fixture
def domain() -> str:
    """A domain name that no other test has."""
    return f"Domain-{next(_numbers)}.of_tests"
