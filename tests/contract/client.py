"""A client of the wire contract that shares no code with the server.

`Client` speaks HTTP to one server. It uses `http.client`, which puts a request target on the wire
as it is given: double slashes, percent-encodings and missing headers arrive as a test wrote them.
"""

import http.client
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from joserfc import jwe, jwk

from certificates import parse_chain, public_bytes
from machines import Machine, b64url_decode

JOSE = "application/jose+json"
# The gateway itself ends a request long before, unless it is told otherwise.
TIMEOUT_S = 120

# Each error of the contract: HTTP status and, for the reference implementation's own, its number.
ERRORS = {
    "DOM_AUTHENTICATION_REQUIRED": (401, 503),
    "DOM_LIMIT_REACHED": (409, 502),
    "DOM_REG_DENIED": (403, 501),
    "DEREG_DENIED": (403, 401),
    "INVALID_DOMAIN_NAME": (400, None),
    "INVALID_REQUEST": (400, None),
    "INVALID_SIGNATURE": (400, None),
    "REQUEST_EXPIRED": (400, None),
    "MACHINE_KEY_MISMATCH": (403, None),
    "MACHINE_NOT_TRUSTED": (403, None),
    "ADMIN_AUTHENTICATION_REQUIRED": (401, None),
    "ADMIN_FORBIDDEN": (403, None),
    "UNKNOWN_DOMAIN": (404, None),
    "NOT_FOUND": (404, None),
    "METHOD_NOT_ALLOWED": (405, None),
    "REQUEST_REPLAYED": (409, None),
    "PRECONDITION_FAILED": (412, None),
    "PAYLOAD_TOO_LARGE": (413, None),
    "UNSUPPORTED_MEDIA_TYPE": (415, None),
    "INTERNAL": (500, None),
    "RATE_LIMITED": (429, None),
    "STORE_UNAVAILABLE": (503, None),
}


def _unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"duplicate members: {names}"
    return dict(pairs)


@dataclass
class Answer:
    """What came back. Header names are in lower case; a repeated header keeps all its values."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @classmethod
    def of(cls, response: http.client.HTTPResponse) -> "Answer":
        found: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            found.setdefault(name.lower(), []).append(value)
        return cls(response.status, found, response.read())

    def header(self, name: str) -> str | None:
        values = self.headers.get(name.lower())
        return ", ".join(values) if values else None

    @property
    def media_type(self) -> str | None:
        value = self.header("content-type")
        return value.split(";")[0].strip().lower() if value else None

    def json(self) -> dict:
        return json.loads(self.body, object_pairs_hook=_unique)

    def ok(self) -> dict:
        """The JSON body of a 200."""
        assert self.status == 200, f"{self.status}: {self.body[:2000]!r}"
        assert self.media_type == "application/json"
        return self.json()

    def refused(self, *names: str) -> dict:
        """The problem document, checked whole; its error must be one of `names`."""
        assert self.media_type == "application/problem+json", (
            f"{self.status} {self.media_type}: {self.body[:2000]!r}"
        )
        problem = self.json()
        error = problem.get("error")
        assert error in names, f"wanted {' or '.join(names)}, not {problem}"
        status, code = ERRORS[error]
        assert self.status == status, problem
        assert problem["status"] == status
        assert problem["type"] == "urn:anonymous-domains:error:" + error.lower().replace("_", "-")
        for member in ("title", "detail"):
            assert isinstance(problem[member], str) and problem[member].strip(), problem
        if code is None:
            assert "code" not in problem, problem
        else:
            assert problem["code"] == code and type(problem["code"]) is int, problem
        return problem


class Client:
    """One server, by its origin (`http://host:port`), and over TLS by its certificate."""

    def __init__(
        self,
        origin: str,
        public_origin: str | None = None,
        trusted: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ):
        self.origin = origin
        self.trusted = trusted
        self.timeout_s = timeout_s
        self.public_origin = public_origin or origin

    def connection(self) -> http.client.HTTPConnection:
        """A new one, not yet open."""
        where = urlsplit(self.origin)
        if where.scheme == "http":
            return http.client.HTTPConnection(where.netloc, timeout=self.timeout_s)
        context = ssl.create_default_context(cafile=self.trusted)
        return http.client.HTTPSConnection(where.netloc, timeout=self.timeout_s, context=context)

    def send(self, method: str, target: str, body=None, headers=None, chunked=False) -> Answer:
        """One request on its own connection; only Host and the length are added to `headers`."""
        connection = self.connection()
        try:
            connection.request(method, target, body, dict(headers or {}), encode_chunked=chunked)
            return Answer.of(connection.getresponse())
        finally:
            connection.close()

    def send_fields(self, method: str, target: str, body: bytes, fields) -> Answer:
        """One request whose header fields are a list of names and values, repeated ones too."""
        connection = self.connection()
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in [*fields, ("Content-Length", str(len(body)))]:
                connection.putheader(name, value)
            connection.endheaders(body)
            return Answer.of(connection.getresponse())
        finally:
            connection.close()

    def get(self, target: str, **named) -> Answer:
        return self.send("GET", target, **named)

    def post(self, target: str, body: bytes, token: str | None = None, media_type=JOSE) -> Answer:
        headers = {"Content-Type": media_type} if media_type else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.send("POST", target, body, headers)

    @staticmethod
    def path(domain: str, tail: str = "") -> str:
        return f"/flashaccess/domainserver/{domain}{'/' if tail else ''}{tail}"

    def url(self, target: str) -> str:
        """The absolute URL that a request to `target` must name."""
        return self.public_origin + target

    def domain_server_url(self, domain: str) -> str:
        return self.url(self.path(domain) + "/")

    def ask(self, machine: Machine, target: str, token=None, header=None, **payload) -> Answer:
        """Send what `machine` signs for `target`."""
        body = machine.request(self.url(target), header, **payload)
        return self.post(target, body, token)

    def register(self, domain: str, machine: Machine, **named) -> Answer:
        return self.ask(machine, self.path(domain, "register"), **named)

    def deregister(self, domain: str, machine: Machine, **named) -> Answer:
        return self.ask(machine, self.path(domain, "deregister"), **named)

    def describe(self, domain: str) -> Answer:
        return self.get(self.path(domain))

    def ca_pem(self) -> bytes:
        answer = self.get("/flashaccess/domainserver/ca.pem")
        assert answer.status == 200, answer.body
        return answer.body

    def join(self, domain: str, machine: Machine, **named) -> "Joined":
        """Register, and check everything about the answer but the certificates."""
        answer = self.register(domain, machine, **named)
        joined = Joined(answer.ok(), machine)
        assert answer.header("cache-control") == "no-store"
        assert joined.body["domain"] == domain
        assert joined.body["machineGuid"].lower() == machine.guid.lower()
        return joined

    def join_many(self, domain: str, number: int) -> list[Machine]:
        """Register so many new machines."""
        machines = [Machine.ec() for _ in range(number)]
        for machine in machines:
            self.join(domain, machine)
        return machines

    def leave(self, domain: str, machine: Machine, preview=None, **named) -> dict:
        """De-register (or ask first), and check the answer whole."""
        answer = self.deregister(domain, machine, preview=preview, **named).ok()
        guid = answer.pop("machineGuid")
        assert guid.lower() == machine.guid.lower()
        asked_first = bool(preview)
        assert answer == {
            "domain": domain,
            "preview": asked_first,
            "deregistered": not asked_first,
        }
        return answer


class _RoomyRegistry(jwe.JWERegistry):
    """joserfc's own limit on a ciphertext (64 KiB) is too low for a domain of many versions."""

    max_ciphertext_length = 1 << 22


@dataclass
class Joined:
    """A registration's answer, opened with the machine's key."""

    body: dict
    machine: Machine
    private_keys: list[dict] = field(default_factory=list)

    def __post_init__(self):
        assert set(self.body) == {
            "domain",
            "machineGuid",
            "newMember",
            "registeredAt",
            "keyVersion",
            "credentials",
            "encryptedKeys",
        }, self.body.keys()
        assert type(self.body["newMember"]) is bool
        assert type(self.body["keyVersion"]) is int
        for credential in self.credentials:
            assert set(credential) == {"keyVersion", "kid", "x5c", "notBefore", "notAfter"}
            assert credential["kid"] == f"{self.body['domain']}/{credential['keyVersion']}"
        assert self.versions == sorted(set(self.versions))
        if self.body["encryptedKeys"] is None:
            assert self.credentials == []
            return
        assert self.credentials, "encryptedKeys without credentials"
        self.private_keys = open_keys(self.body["encryptedKeys"], self.machine)["keys"]
        for key, credential in zip(self.private_keys, self.credentials, strict=True):
            assert key["kid"] == credential["kid"]
            assert key.get("x5c", credential["x5c"]) == credential["x5c"]
            leaf = parse_chain(credential["x5c"])[0]
            assert public_bytes(public_key(key)) == public_bytes(leaf.public_key())

    @property
    def credentials(self) -> list[dict]:
        return self.body["credentials"]

    @property
    def versions(self) -> list[int]:
        return [credential["keyVersion"] for credential in self.credentials]

    @property
    def new_member(self) -> bool:
        return self.body["newMember"]


def public_key(private_jwk: dict):
    public = {"kty", "crv", "x", "y", "n", "e"} & set(private_jwk)
    return jwk.import_key({name: private_jwk[name] for name in public}).public_key


def jwe_header(token: str) -> dict:
    parts = token.split(".")
    assert len(parts) == 5, "not a compact JWE"
    return json.loads(b64url_decode(parts[0]), object_pairs_hook=_unique)


def open_keys(token: str, machine: Machine) -> dict:
    """Decrypt `encryptedKeys` with joserfc, and check its header."""
    header = jwe_header(token)
    is_rsa = machine.public_jwk["kty"] == "RSA"
    expected = {
        "alg": "RSA-OAEP-256" if is_rsa else "ECDH-ES",
        "enc": "A256GCM",
        "cty": "jwk-set+json",
        "kid": machine.thumbprint,
    }
    assert {name: header.get(name) for name in expected} == expected
    if not is_rsa:
        assert header["epk"]["kty"] == "EC" and header["epk"]["crv"] == "P-256"
        assert "d" not in header["epk"]
        assert token.split(".")[1] == "", "ECDH-ES has no encrypted key"
    registry = _RoomyRegistry(algorithms=[expected["alg"], expected["enc"]])
    plaintext = jwe.decrypt_compact(token, machine.jwk, registry=registry).plaintext
    keys = json.loads(plaintext, object_pairs_hook=_unique)
    for key in keys["keys"]:
        assert jwk.import_key(key).is_private, "a private JWK was promised"
    return keys
