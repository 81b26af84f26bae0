"""Authentication tokens of an OpenID provider that nobody here wrote: npm's oidc-provider."""

import base64
import json
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from admin import Admin
from client import Answer
from machines import Machine, b64url_decode

SOURCE = Path(__file__).parent / "issuer"
AUDIENCE = "anonymous-domains"
CLIENTS = {
    "home": {"secret": "home-secret", "namespace": "acme"},
    "neighbour": {"secret": "neighbour-secret", "namespace": "other"},
}
NODE_MIN = 20
START_S = 60
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]


class Issuer:
    """The provider, by its origin, which is also what `iss` is."""

    def __init__(self, origin: str):
        self.origin = origin

    def jwks(self) -> str:
        with urllib.request.urlopen(f"{self.origin}/jwks", timeout=START_S) as answer:
            return answer.read().decode()

    def token(self, algorithm: str, client: str = "home") -> str:
        """An access token by the client credentials grant (RFC 6749 section 4.4)."""
        secret = f"{client}:{CLIENTS[client]['secret']}"
        form = {
            "grant_type": "client_credentials",
            "resource": f"urn:anonymous-domains:{algorithm}",
        }
        request = urllib.request.Request(
            f"{self.origin}/token",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()},
        )
        with urllib.request.urlopen(request, timeout=START_S) as answer:
            token = json.load(answer)["access_token"]
        header = json.loads(b64url_decode(token.split(".")[0]))
        assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
        return token


def node() -> str | None:
    """The command, if there is one that is new enough."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    return found if int(version.stdout.lstrip("v").split(".")[0]) >= NODE_MIN else None


@pytest.fixture(scope="session")
def issuer(tmp_path_factory):
    command = node()
    if command is None:
        pytest.skip(f"needs node {NODE_MIN} or later, and npm")
    directory = tmp_path_factory.mktemp("issuer")
    for name in ("package.json", "package-lock.json", "issuer.mjs"):
        shutil.copy(SOURCE / name, directory)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(install, cwd=directory, check=True)
    told = json.dumps({"audience": AUDIENCE, "clients": CLIENTS})
    process = subprocess.Popen(
        [command, "issuer.mjs", told], cwd=directory, stdout=subprocess.PIPE, text=True
    )
    # Ends the wait for its first line if it does not come.
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        origin = process.stdout.readline().strip()
        watchdog.cancel()
        assert origin, "the issuer did not start"
        yield Issuer(origin)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def gateway(issuer, gateway_with, tmp_path_factory):
    """A gateway that was told the issuer, and the keys that it publishes."""
    path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    path.write_text(issuer.jwks())
    return gateway_with(auth_jwks=f"@{path}", auth_issuer=issuer.origin, auth_audience=AUDIENCE)


@pytest.fixture
def closed(gateway, domain) -> str:
    """A domain that needs a token of `home`'s namespace."""
    admin = Admin(gateway.client, gateway.admin_token)
    admin.set(domain, authenticationRequired=True, authNamespace="acme")
    return domain


def invalid_token(answer: Answer):
    answer.refused("DOM_AUTHENTICATION_REQUIRED")
    assert answer.header("www-authenticate") == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_its_tokens_are_valid(issuer, gateway, closed, algorithm):
    machine = Machine.ec()
    token = issuer.token(algorithm)
    assert gateway.client.join(closed, machine, token=token).new_member
    gateway.client.leave(closed, machine, preview=True, token=token)
    gateway.client.leave(closed, machine, token=issuer.token(algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_its_tokens_for_another_namespace_are_not(issuer, gateway, closed, algorithm):
    token = issuer.token(algorithm, client="neighbour")
    invalid_token(gateway.client.register(closed, Machine.ec(), token=token))


def test_another_provider_of_its_kind_is_not_it(issuer, gateway_with, domain, tmp_path):
    path = tmp_path / "jwks.json"
    path.write_text(issuer.jwks())
    for expected_issuer, expected_audience in (
        (issuer.origin + "/", AUDIENCE),
        (issuer.origin, "urn:anonymous-domains:ES256"),
    ):
        gateway = gateway_with(
            auth_jwks=f"@{path}", auth_issuer=expected_issuer, auth_audience=expected_audience
        )
        Admin(gateway.client, gateway.admin_token).set(domain, authenticationRequired=True)
        token = issuer.token("ES256")
        invalid_token(gateway.client.register(domain, Machine.ec(), token=token))
