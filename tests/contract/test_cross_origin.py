"""Web pages of other origins (CORS): `cors_origins`, through the gateway."""

import subprocess

import pytest

from client import JOSE
from machines import Machine

PAGE = "https://tv.example"
EXPOSED = "date, link, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id"


def preflight(client, target, origin=PAGE):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return client.send("OPTIONS", target, headers=headers)


def said(answer) -> dict[str, str]:
    prefix = "access-control-"
    names = [name for name in answer.headers if name.startswith(prefix)]
    return {name.removeprefix(prefix): answer.header(name) for name in names}


@pytest.fixture(scope="module")
def shared(gateway_with):
    return gateway_with(cors_origins=f"{PAGE} http://127.0.0.1:8080")


def test_an_allowed_page_joins(shared, domain):
    client = shared.client
    target = client.path(domain, "register")
    granted = preflight(client, target)
    assert granted.status == 204 and granted.body == b""
    assert said(granted) == {
        "allow-origin": PAGE,
        "allow-methods": "POST",
        "allow-headers": "authorization, content-type, traceparent, x-request-id",
        "max-age": "7200",
        "expose-headers": EXPOSED,
    }
    assert granted.header("vary") == "origin"
    body = Machine.ec().request(client.url(target))
    joined = client.send("POST", target, body, {"Content-Type": JOSE, "Origin": PAGE})
    assert joined.ok()["newMember"] is True
    assert said(joined) == {"allow-origin": PAGE, "expose-headers": EXPOSED}
    refused = client.get(client.path(f"{domain}-unknown"), headers={"Origin": PAGE})
    refused.refused("UNKNOWN_DOMAIN")
    assert said(refused) == {"allow-origin": PAGE, "expose-headers": EXPOSED}
    pem = client.get("/flashaccess/domainserver/ca.pem", headers={"Origin": PAGE})
    assert said(pem)["allow-origin"] == PAGE and pem.header("vary") == "origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://tv.example", "null", "*"])
def test_another_page_does_not(shared, domain, origin):
    client = shared.client
    answer = preflight(client, client.path(domain, "register"), origin)
    answer.refused("METHOD_NOT_ALLOWED")
    assert said(answer) == {} and answer.header("vary") == "origin"


@pytest.mark.parametrize("target", ["/admin/v1/domains", "/healthz", "/openapi.json"])
def test_other_paths_are_not_opened(shared, target):
    assert said(preflight(shared.client, target)) == {}
    assert said(shared.client.get(target, headers={"Origin": PAGE})) == {}


def test_it_is_off_by_default(client, domain):
    answer = preflight(client, client.path(domain, "register"))
    answer.refused("METHOD_NOT_ALLOWED")
    assert said(answer) == {} and answer.header("vary") is None


@pytest.mark.of_the_gateway
def test_a_page_can_read_the_gateways_own_refusals(own_gateway, domain):
    gateway = own_gateway("--rate-limit-client", "1/s:5", cors_origins=PAGE)
    target = gateway.client.path(domain)
    for origin, expected in [
        (PAGE, {"allow-origin": PAGE, "expose-headers": EXPOSED}),
        ("https://evil.example", {}),
    ]:
        for _ in range(60):
            answer = gateway.client.get(target, headers={"Origin": origin})
            if answer.status == 429:
                break
        answer.refused("RATE_LIMITED")
        assert said(answer) == expected and answer.header("vary") == "origin"
        assert int(answer.header("retry-after")) >= 1


@pytest.mark.of_the_gateway
def test_a_bad_origin_is_refused_at_the_start(programs, tmp_path):
    command = [str(programs.gateway), "check-config", "--component", str(programs.component)]
    command += ["--state", str(tmp_path / "state"), "--set", "cors_origins=*"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert checked.returncode != 0
    assert "cors_origins" in checked.stderr + checked.stdout, checked
