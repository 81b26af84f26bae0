"""Paths and their aliases, methods, and what anyone may ask."""

import pytest

from certificates import check_ca
from client import JOSE
from machines import Machine, compact

VERSIONS = ["v3", "v4", "v5", "v6"]


def forms(path: str) -> list[str]:
    """The path with one slash or two before what a reference client appends, and at its end."""
    return [path, path + "/", "/" + path, "/" + path + "/"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_reference_clients_paths(client, domain, version):
    machine = Machine.ec()
    base = client.path(domain)
    joins = [f"{base}/{tail}" for tail in forms(f"flashaccess/domain/{version}")]
    leaves = [f"{base}/{tail}" for tail in forms(f"flashaccess/dereg/{version}")]
    for join, leave in zip(joins, leaves, strict=True):
        assert client.ask(machine, join).ok()["newMember"] is True
        assert client.ask(machine, join).ok()["newMember"] is False
        assert client.ask(machine, leave, preview=True).ok()["deregistered"] is False
        assert client.ask(machine, leave).ok()["deregistered"] is True
    # All of them are the same domain as the short path's.
    assert client.join(domain, machine).versions == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("tail", ["register", "register/", "/register", "/register/"])
def test_the_short_paths_forms(client, domain, tail):
    machine = Machine.ec()
    assert client.ask(machine, f"{client.path(domain)}/{tail}").ok()["newMember"] is True
    leave = tail.replace("register", "deregister")
    assert client.ask(machine, f"{client.path(domain)}/{leave}").ok()["deregistered"] is True


def test_the_name_is_percent_decoded_once(client, domain):
    machine = Machine.ec()
    encoded = f"%{ord(domain[0]):02X}{domain[1:-1]}%{ord(domain[-1]):02x}"
    answer = client.ask(machine, client.path(encoded, "register")).ok()
    assert answer["domain"] == domain
    assert not client.join(domain, machine).new_member
    assert client.describe(encoded).ok()["domain"] == domain


@pytest.mark.parametrize("media_type", ["Application/JOSE+JSON", JOSE + "; charset=utf-8"])
def test_a_media_type_is_read_as_one(client, domain, media_type):
    target = client.path(domain, "register")
    body = Machine.ec().request(client.url(target))
    assert client.post(target, body, media_type=media_type).ok()["newMember"] is True


def test_a_body_of_64_kib_is_read(client, domain):
    target = client.path(domain, "register")
    machine = Machine.ec()
    signed = machine.forge(compact(machine.header(client.url(target))), compact(machine.payload()))
    room = 65536 - len(compact({**signed, "padding": ""}))
    body = compact({**signed, "padding": "x" * room})
    assert len(body) == 65536
    assert client.post(target, body).ok()["newMember"] is True


def test_a_body_may_be_chunked(client, domain):
    target = client.path(domain, "register")
    body = Machine.ec().request(client.url(target))
    headers = {"Content-Type": JOSE, "Transfer-Encoding": "chunked"}
    chunks = [body[start : start + 100] for start in range(0, len(body), 100)]
    assert client.send("POST", target, iter(chunks), headers, chunked=True).ok()["newMember"]


def test_an_unsolicited_token_is_ignored(client, domain):
    assert client.register(domain, Machine.ec(), token="not.a.jwt").ok()["newMember"] is True


def test_without_a_public_origin_any_origin_is_the_servers(client, domain):
    target = client.path(domain, "register")
    body = Machine.ec().request("https://proxy.example:8443" + target)
    assert client.post(target, body).ok()["newMember"] is True


def test_a_domains_description(server, client, domain, store_unchanged):
    machine = Machine.ec()
    joined = client.join(domain, machine)
    with store_unchanged(server):
        described = client.describe(domain).ok()
    newest = joined.credentials[-1]
    assert described == {
        "domain": domain,
        "authenticationRequired": False,
        "authNamespace": None,
        "keyVersion": 1,
        "kid": newest["kid"],
        "x5c": newest["x5c"],
        "keyRolloverRequired": False,
    }
    assert client.get(client.path(domain) + "/").ok() == described

    client.join(domain, Machine.ec())
    assert client.describe(domain).ok() == described, "nothing tells how many there are"

    client.leave(domain, machine)
    assert client.describe(domain).ok() == {**described, "keyRolloverRequired": True}
    newest = client.join(domain, machine).credentials[-1]
    assert client.describe(domain).ok() == {
        **described,
        "keyVersion": 2,
        "kid": newest["kid"],
        "x5c": newest["x5c"],
    }


def test_a_description_names_no_machine_and_no_secret(client, domain):
    machine = Machine.ec()
    joined = client.join(domain, machine)
    body = client.describe(domain).body.decode()
    assert machine.guid not in body and machine.thumbprint not in body
    assert joined.private_keys[0]["d"] not in body


def test_asking_does_not_insert(server, client, domain, store_unchanged):
    with store_unchanged(server):
        client.describe(domain).refused("UNKNOWN_DOMAIN")
        client.get(client.path(domain) + "/").refused("UNKNOWN_DOMAIN")
    client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_health(server, client, store_unchanged):
    with store_unchanged(server):
        for path in ("/healthz", "/healthz/"):
            assert client.get(path).ok() == {"status": "ok", "store": "ok", "ca": "ok"}


def test_the_ca(client):
    check_ca(client.ca_pem())
    again = client.get("/flashaccess/domainserver/ca.pem/")
    assert again.status == 200 and again.body == client.ca_pem()


@pytest.mark.parametrize("path", ["/healthz", "/flashaccess/domainserver/ca.pem", "domain"])
def test_head_is_get_without_its_body(client, domain, path):
    if path == "domain":
        client.join(domain, Machine.ec())
        path = client.path(domain)
    get, head = client.get(path), client.send("HEAD", path)
    assert head.status == get.status == 200
    assert head.body == b""
    assert head.media_type == get.media_type


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/flashaccess/domainserver/d/register", "POST"),
        ("PUT", "/flashaccess/domainserver/d/register/", "POST"),
        ("DELETE", "/flashaccess/domainserver/d/deregister", "POST"),
        ("GET", "/flashaccess/domainserver/d//flashaccess/domain/v3", "POST"),
        ("PATCH", "/flashaccess/domainserver/d/flashaccess/dereg/v6", "POST"),
        ("POST", "/flashaccess/domainserver/d", "GET"),
        ("DELETE", "/flashaccess/domainserver/d/", "GET"),
        ("POST", "/flashaccess/domainserver/ca.pem", "GET"),
        ("PUT", "/healthz", "GET"),
    ],
)
def test_wrong_methods(server, client, store_unchanged, method, path, allowed):
    with store_unchanged(server):
        answer = client.send(method, path, b"{}", {"Content-Type": JOSE})
    answer.refused("METHOD_NOT_ALLOWED")
    allow = {name.strip() for name in answer.header("allow").split(",")}
    assert allowed in allow and method not in allow


def test_head_of_what_only_takes_post(client, domain):
    answer = client.send("HEAD", client.path(domain, "register"))
    assert answer.status == 405 and answer.body == b""
    assert "POST" in answer.header("allow")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/flashaccess",
        "/flashaccess/domainserver/d/enroll",
        "/flashaccess/domainserver/d/register/more",
        "/flashaccess/domainserver/d/flashaccess/domain",
        "/flashaccess/domainserver/d/flashaccess/domain/v2",
        "/flashaccess/domainserver/d/flashaccess/domain/v7",
        "/flashaccess/domainserver/d/flashaccess/domain/V3",
        "/flashaccess/domainserver/d/flashaccess/domain/v33",
        "/flashaccess/domainserver/d/flashaccess/dereg/v2",
        "/flashaccess/domainserver/d/flashaccess/dereg/v7",
        "/Flashaccess/domainserver/d/register",
        "/healthz/more",
    ],
)
def test_unknown_paths(server, client, store_unchanged, method, path):
    with store_unchanged(server):
        answer = client.send(method, path, headers={"Content-Type": JOSE})
    answer.refused("NOT_FOUND")
