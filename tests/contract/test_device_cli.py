"""The device's command against the real server: a first life, then what programs rely on."""

import pytest

from device import Device, versions
from machines import Machine


@pytest.fixture
def device(programs, server, tmp_path):
    """Makes devices, each with a directory of its own."""

    def make(name: str = "first", of=server) -> Device:
        return Device(programs.device, tmp_path / name, of.certificate)

    return make


def test_the_life_of_a_device(client, domain, device):
    url = client.domain_server_url(domain)
    first, second = device("first"), device("second")

    def has(which: Device, wanted: list[int]):
        assert versions(which("show")) == wanted
        which("verify")

    first("join", url)
    has(first, [1])
    first("join", url)
    has(first, [1])
    second("join", url)
    has(second, [1])
    first("leave", url, "--preview")
    assert not client.describe(domain).ok()["keyRolloverRequired"]
    assert client.join(domain, Machine.ec()).versions == [1]
    first("leave", url)
    assert client.describe(domain).ok()["keyRolloverRequired"]
    assert versions(first("show")) == []
    first("join", url)
    has(first, [1, 2])
    second("join", url)
    has(second, [1, 2])


def test_a_url_without_its_trailing_slash(client, domain, device):
    one = device()
    one("join", client.domain_server_url(domain).rstrip("/"))
    assert versions(one("show")) == [1]


def test_a_device_has_the_keys_that_any_other_member_has(client, domain, device):
    one = device()
    one("join", client.domain_server_url(domain))
    newest = client.join(domain, Machine.ec())
    x = newest.private_keys[0]["x"]
    kept = "".join(p.read_text() for p in one.directory.rglob("*") if p.is_file())
    assert x in kept or newest.credentials[0]["x5c"][0] in kept


def test_secrets_rest_with_their_owner_alone(client, domain, device):
    one = device()
    one("join", client.domain_server_url(domain))
    files = [path for path in one.directory.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path


def test_leaving_a_domain_that_it_is_not_in(server, client, domain, device, store_unchanged):
    client.join(domain, Machine.ec())
    one = device()
    with store_unchanged(server):
        assert one.run("leave", client.domain_server_url(domain)).returncode != 0


def test_a_server_that_is_not_there(device):
    assert device().run("join", "http://127.0.0.1:1/flashaccess/domainserver/d/").returncode != 0


def test_a_name_that_is_no_domains(client, device):
    assert device().run("join", client.domain_server_url(".hidden")).returncode != 0


def test_a_refusal_names_the_servers_error(gateway_with, domain, device):
    gateway = gateway_with(auto_create_domains="false")
    url = gateway.client.domain_server_url(domain)
    device(of=gateway).fails("join", url, error="UNKNOWN_DOMAIN")


def test_verify_notices_a_changed_file(client, domain, device):
    one = device()
    one("join", client.domain_server_url(domain))
    x5c = client.describe(domain).ok()["x5c"]
    other = client.join(domain + "-other", Machine.ec()).credentials[0]["x5c"]
    changed = 0
    for path in one.directory.rglob("*"):
        if path.is_file() and x5c[0] in (text := path.read_text()):
            path.write_text(text.replace(x5c[0], other[0]))
            changed += 1
    assert changed, "the credential's certificate rests in no file as base64"
    assert one.run("verify").returncode != 0
