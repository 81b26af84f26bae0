"""Every row of `/admin/v1`."""

import time

import pytest

from admin import USUAL, Admin
from certificates import parse_time
from machines import Machine

DOMAIN_MEMBERS = {
    "domain",
    "authenticationRequired",
    "authNamespace",
    "maxMembership",
    "keyRolloverRequired",
    "memberCount",
    "keyVersion",
    "createdAt",
}
UNKNOWN = ("UNKNOWN_DOMAIN", "NOT_FOUND")


def test_a_domain_is_made_and_replaced(admin, client, domain):
    created = admin.put(domain, authenticationRequired=True, authNamespace="ns", maxMembership=0)
    assert created.status == 201
    made = created.json()
    assert set(made) == DOMAIN_MEMBERS
    assert abs(parse_time(made.pop("createdAt")).timestamp() - time.time()) < 60
    made.pop("keyRolloverRequired")
    assert made == {
        "domain": domain,
        "authenticationRequired": True,
        "authNamespace": "ns",
        "maxMembership": 0,
        "memberCount": 0,
        "keyVersion": None,
    }
    replaced = admin.put(domain)
    assert replaced.status == 200
    for name, value in USUAL.items():
        assert replaced.json()[name] == value
    assert replaced.json()["createdAt"] == created.json()["createdAt"]
    assert client.join(domain, Machine.ec()).versions == [1]
    assert admin.get(domain).ok()["keyVersion"] == 1


def test_a_domain_that_a_machine_made(admin, client, domain):
    client.join_many(domain, 2)
    found = admin.get(domain).ok()
    assert set(found) == DOMAIN_MEMBERS
    assert {name: found[name] for name in USUAL} == USUAL
    assert found["memberCount"] == 2
    assert found["keyVersion"] == 1
    assert found["keyRolloverRequired"] is False


def test_a_description_before_any_key(admin, client, domain):
    admin.set(domain, authenticationRequired=True, authNamespace="ns")
    described = client.describe(domain).ok()
    assert described["authenticationRequired"] is True
    assert described["authNamespace"] == "ns"
    assert described["keyVersion"] is None
    assert described["kid"] is None
    assert described["x5c"] is None


def test_settings_reach_a_domain_where_none_is_made_by_itself(gateway_with, domain):
    gateway = gateway_with(auto_create_domains="false")
    Admin(gateway.client, gateway.admin_token).set(domain)
    assert gateway.client.join(domain, Machine.ec()).versions == [1]


@pytest.mark.parametrize(
    "body",
    [
        {**USUAL, "colour": "blue"},
        {**USUAL, "memberCount": 3},
        {**USUAL, "domain": "other"},
        {**USUAL, "authenticationRequired": "true"},
        {**USUAL, "authenticationRequired": None},
        {**USUAL, "authNamespace": 1},
        {**USUAL, "maxMembership": -1},
        {**USUAL, "maxMembership": 1.5},
        {**USUAL, "maxMembership": "7"},
        {**USUAL, "maxMembership": True},
        {**USUAL, "maxMembership": 10**30},
        [USUAL],
        [],
        [False, None, 7],
        "x",
        b"",
        b"{",
        b'{"maxMembership":1,"maxMembership":2}',
        b"[" * 10_000,
    ],
    ids=repr,
)
def test_settings_that_are_refused(server, admin, client, domain, store_unchanged, body):
    client.join(domain, Machine.ec())
    with store_unchanged(server):
        admin.send("PUT", admin.path(domain), body).refused("INVALID_REQUEST")
        admin.send("PUT", admin.path(domain + "-new"), body).refused("INVALID_REQUEST")


def test_a_body_of_another_type(server, admin, domain, store_unchanged):
    with store_unchanged(server):
        answer = admin.send("PUT", admin.path(domain), USUAL, {"Content-Type": "text/plain"})
        answer.refused("UNSUPPORTED_MEDIA_TYPE")


def test_a_body_over_1_mib(server, admin, domain, store_unchanged):
    body = b'{"maxMembership":' + b" " * (1 << 20) + b"1}"
    with store_unchanged(server):
        admin.send("PUT", admin.path(domain), body).refused("PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("name", [".hidden", "a%2Fb", "a" * 129, "caf%C3%A9", "a%2562"])
def test_bad_names(admin, name):
    for method, tail in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/members")):
        body = USUAL if method == "PUT" else None
        answer = admin.send(method, f"/domains/{name}{tail}", body)
        answer.refused("INVALID_DOMAIN_NAME")


def test_etag_and_preconditions(server, admin, domain, store_unchanged):
    none_match, any_match = {"If-None-Match": "*"}, {"If-Match": "*"}
    with store_unchanged(server):
        admin.put(domain, any_match).refused("PRECONDITION_FAILED")
        admin.put(domain, {"If-Match": '"x"'}).refused("PRECONDITION_FAILED")
    assert admin.put(domain, none_match).status == 201
    with store_unchanged(server):
        admin.put(domain, none_match, maxMembership=1).refused("PRECONDITION_FAILED")
    first = admin.get(domain).header("etag")
    assert first.startswith('"')
    assert first.endswith('"')
    assert admin.get(domain).header("etag") == first
    assert admin.put(domain, {"If-Match": first}, maxMembership=2).status == 200
    second = admin.get(domain).header("etag")
    assert second != first
    with store_unchanged(server):
        admin.put(domain, {"If-Match": first}, maxMembership=3).refused("PRECONDITION_FAILED")
    assert admin.put(domain, {"If-Match": f'"x", {second}'}, maxMembership=4).status == 200
    assert admin.put(domain, any_match, maxMembership=5).status == 200
    assert admin.get(domain).ok()["maxMembership"] == 5


def test_of_many_writers_with_one_etag_one_wins(admin, domain):
    from test_server import at_once

    admin.set(domain)
    etag = admin.get(domain).header("etag")
    calls = [lambda n=n: admin.put(domain, {"If-Match": etag}, maxMembership=n) for n in range(10)]
    assert sorted(answer.status for answer in at_once(calls)) == [200] + [412] * 9
    calls = [lambda: admin.put(domain + "-new", {"If-None-Match": "*"})] * 10
    assert sorted(answer.status for answer in at_once(calls)) == [201] + [412] * 9


def test_an_unknown_domain(server, admin, domain, store_unchanged):
    with store_unchanged(server):
        admin.get(domain).refused("UNKNOWN_DOMAIN")
        admin.delete(domain).refused(*UNKNOWN)
        for tail in ("/members", "/blocked", "/keys"):
            admin.get(domain, tail).refused(*UNKNOWN)
        admin.send("POST", admin.path(domain, "/rollover")).refused(*UNKNOWN)
        admin.delete(domain, f"/members/{Machine.ec().guid}").refused(*UNKNOWN)


def test_deleting_a_domain(admin, client, domain):
    machine, other = client.join_many(domain, 2)
    before = client.join(domain, machine)
    admin.block(domain, Machine.ec().guid)
    gone = admin.delete(domain)
    assert gone.status == 204
    assert gone.body == b""
    client.describe(domain).refused("UNKNOWN_DOMAIN")
    client.deregister(domain, other).refused("DEREG_DENIED")
    again = client.join(domain, machine)
    assert again.new_member
    assert again.versions == [1]
    assert again.private_keys[0]["x"] != before.private_keys[0]["x"]
    assert len(admin.members(domain)) == 1
    assert admin.blocked(domain) == []


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_domains_by_name_and_page(own_gateway_admin, limit):
    admin, names = own_gateway_admin
    found = admin.everything("/domains", "domains", limit)
    assert [one["domain"] for one in found] == sorted(names)
    for one in found:
        assert DOMAIN_MEMBERS - {"memberCount"} <= set(one) <= DOMAIN_MEMBERS


@pytest.fixture(scope="module")
def own_gateway_admin(gateway_with):
    gateway = gateway_with(clock_tolerance="298")
    admin = Admin(gateway.client, gateway.admin_token)
    names = ["a", "B", "a.b", "a-b", "a_b", "Z", "0", "a0", "aa", *[f"n{i}" for i in range(40)]]
    for name in names:
        admin.set(name)
    return admin, names


def test_after_a_name_that_is_not_there(own_gateway_admin):
    admin, names = own_gateway_admin
    page = admin.send("GET", "/domains?after=a1&limit=2").ok()
    assert [one["domain"] for one in page["domains"]] == sorted(n for n in names if n > "a1")[:2]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "99999999999999999999"])
def test_limits_out_of_range(admin, client, domain, limit):
    client.join(domain, Machine.ec())
    for path in ("/domains", admin.path(domain, "/members"), admin.path(domain, "/blocked")):
        admin.send("GET", f"{path}?limit={limit}").refused("INVALID_REQUEST")


def test_rollover(admin, client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    for _ in range(2):
        assert admin.send("POST", admin.path(domain, "/rollover")).status == 202
    assert admin.get(domain).ok()["keyRolloverRequired"] is True
    assert admin.get(domain).ok()["keyVersion"] == 1
    assert client.join(domain, machine).versions == [1, 2]
    assert admin.get(domain).ok()["keyRolloverRequired"] is False


def test_keys_without_what_is_private(admin, client, domain):
    machine = Machine.ec()
    client.join(domain, machine)
    admin.send("POST", admin.path(domain, "/rollover"))
    joined = client.join(domain, machine)
    answer = admin.get(domain, "/keys")
    keys = answer.ok()
    assert set(keys) == {"keys"}
    for key, credential in zip(keys["keys"], joined.credentials, strict=True):
        assert set(key) == {"keyVersion", "kid", "createdAt", "x5c"}
        parse_time(key["createdAt"])
        for name in ("keyVersion", "kid", "x5c"):
            assert key[name] == credential[name]
    for private in joined.private_keys:
        assert private["d"].encode() not in answer.body


ROUTES = [
    ("GET", "/domains"),
    ("GET", "/domains/d"),
    ("PUT", "/domains/d"),
    ("DELETE", "/domains/d"),
    ("GET", "/domains/d/members"),
    ("DELETE", "/domains/d/members/0d4fabcd-ef01-4abc-8def-0123456789ab"),
    ("PUT", "/domains/d/blocked/0d4fabcd-ef01-4abc-8def-0123456789ab"),
    ("DELETE", "/domains/d/blocked/0d4fabcd-ef01-4abc-8def-0123456789ab"),
    ("GET", "/domains/d/blocked"),
    ("POST", "/domains/d/rollover"),
    ("GET", "/domains/d/keys"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_the_token_is_needed(server, admin, store_unchanged, method, path):
    right = admin.token
    body = USUAL if method == "PUT" and path.endswith("/d") else None
    with store_unchanged(server):
        for token in (None, "x", right[:-1], right + "x", right.swapcase(), "x" * len(right)):
            answer = admin.send(method, path, body, token=token)
            answer.refused("ADMIN_AUTHENTICATION_REQUIRED")
            assert answer.header("www-authenticate").lower().startswith("bearer")
        for value in (right, f"Basic {right}", "Bearer", f"Bearer {right} x"):
            answer = admin.send(method, path, body, {"Authorization": value}, token=None)
            answer.refused("ADMIN_AUTHENTICATION_REQUIRED")


@pytest.fixture(scope="session")
def with_token(gateway_with, tmp_path_factory):
    """A gateway whose admin token is that one; from a file, as secrets are."""
    directory = tmp_path_factory.mktemp("tokens")

    def get(token: str):
        path = directory / token
        path.write_text(token)
        return gateway_with(admin_token=f"@{path}")

    return get


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_without_a_long_enough_token_nothing_is_there(with_token, method, path):
    client = with_token("x" * 31).client
    body = USUAL if method == "PUT" and path.endswith("/d") else None
    for token in ("x" * 31, None):
        Admin(client, "").send(method, path, body, token=token).refused("NOT_FOUND")


def test_a_token_of_32_characters(with_token):
    client = with_token("y" * 32).client
    assert Admin(client, "y" * 32).send("GET", "/domains").ok()["next"] is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/domains", {"GET"}),
        ("POST", "/domains/d", {"GET", "PUT", "DELETE"}),
        ("PUT", "/domains/d/members", {"GET"}),
        ("GET", "/domains/d/rollover", {"POST"}),
        ("POST", "/domains/d/blocked", {"GET"}),
        ("PUT", "/domains/d/keys", {"GET"}),
    ],
)
def test_wrong_methods(admin, method, path, allowed):
    answer = admin.send(method, path)
    answer.refused("METHOD_NOT_ALLOWED")
    assert allowed <= {name.strip() for name in answer.header("allow").split(",")}


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/domains/d/nothing", "/domains/d/keys/1"])
def test_unknown_paths(admin, path):
    admin.send("GET", path).refused("NOT_FOUND")


def test_trailing_slashes(admin, client, domain):
    client.join(domain, Machine.ec())
    for path in ("/domains/", admin.path(domain, "/"), admin.path(domain, "/members/")):
        assert admin.send("GET", path).status == 200
