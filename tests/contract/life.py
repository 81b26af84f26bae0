"""A life of a gateway: what clients, operators and devices do, and the secrets that come of it."""

import hashlib
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwk

import held
from admin import Admin
from client import Client, jwe_header
from gateway import Gateway, Programs
from held import Secret
from machines import Machine, b64url_decode
from tokens import AUDIENCE, ISSUER, NAMESPACE, TokenKey, jwks
from waiting import until

INTERNAL = "internal listener on http://"
TIMEOUT_S = 180
CROWD = 4
ISSUERS_KEY = TokenKey("ES256", "key-1")
REGISTER = Client.path("closed", "register")

# Files that are there to hold a secret. Nobody else may read them.
SECRET_FILES = {"ca-key.pem", "key-encryption-key", "admin-token", "read-token"}
SECRET_FILES |= {"tls-key.pem", "machine-key.pem"}


class Recorder(Client):
    """A client that keeps all that it was answered."""

    def __init__(self, client: Client, answers: list[bytes]):
        super().__init__(client.origin, client.public_origin, client.trusted)
        self.answers = answers

    def send(self, *arguments, **named):
        return self.keep(super().send(*arguments, **named))

    def send_fields(self, *arguments, **named):
        return self.keep(super().send_fields(*arguments, **named))

    def keep(self, answer):
        self.answers.append(repr(answer.headers).encode() + answer.body)
        return answer


def settings(tmp_path: Path) -> dict[str, str]:
    """A gateway's that knows an issuer, and has a token for reading in a file."""
    (tmp_path / "jwks.json").write_text(jwks(ISSUERS_KEY))
    token = tmp_path / "read-token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    return {
        "auth_jwks": f"@{tmp_path / 'jwks.json'}",
        "auth_issuer": ISSUER,
        "auth_audience": AUDIENCE,
        "admin_read_token": f"@{token}",
    }


def content_keys(name: str, body: dict, machine: Machine) -> list[Secret]:
    """What opens an answer besides the machine's key (RFC 7518 sections 4.3 and 4.6)."""
    token = body["encryptedKeys"]
    if machine.public_jwk["kty"] == "RSA":
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
        key = machine.key.decrypt(b64url_decode(token.split(".")[1]), oaep)
        return [Secret.of_bytes(f"{name}: content key", key)]
    ephemeral = jwk.import_key(jwe_header(token)["epk"]).public_key
    shared = machine.key.exchange(ec.ECDH(), ephemeral)
    lengths = b"\0\0\0\x07A256GCM" + bytes(8) + (256).to_bytes(4, "big")
    key = hashlib.sha256(b"\0\0\0\x01" + shared + lengths).digest()
    return [
        Secret.of_bytes(f"{name}: shared secret", shared),
        Secret.of_bytes(f"{name}: content key", key),
    ]


def names(listed: list[Secret]) -> set[str]:
    return {secret.name for secret in listed}


class Life:
    """What clients and operators do, the secrets that come of it, and all that was written."""

    def __init__(self, gateway: Gateway, programs: Programs, tmp_path: Path):
        self.gateway, self.programs, self.tmp_path = gateway, programs, tmp_path
        self.written: dict[str, list[bytes]] = {"answers": []}
        self.secrets = [Secret.of_text("the token for reading", self.read_token)]
        self.domain_keys: list[Secret] = []
        self.content_keys: list[Secret] = []
        self.tokens: list[Secret] = []
        # The names of those that are random numbers just as they were drawn.
        self.drawn: set[str] = set()
        self.starts = 1

    def restart(self, **changed: str):
        self.gateway.stop()
        self.gateway.settings |= changed
        self.gateway.start()
        self.starts += 1

    @property
    def read_token(self) -> str:
        return (self.tmp_path / "read-token").read_text()

    @property
    def client(self) -> Recorder:
        return Recorder(self.gateway.client, self.written["answers"])

    @property
    def operators(self) -> Client:
        lines = lambda: [line for line in self.gateway.log if line.startswith(INTERNAL)]  # noqa: E731
        until(lambda: len(lines()) == self.starts, "there is no internal listener")
        client = Client("http://" + lines()[-1].removeprefix(INTERNAL).strip())
        return Recorder(client, self.written["answers"])

    @property
    def admin(self) -> Admin:
        return Admin(self.operators, self.gateway.admin_token)

    def token(self, name: str, **claims) -> str:
        token = ISSUERS_KEY.token(**claims)
        self.tokens.append(held.of_token(name, token))
        return token

    def join(self, name: str, machine: Machine, token: str | None = None):
        joined = self.client.join("closed", machine, token=token)
        for private in joined.private_keys:
            found = held.of_private_jwk(f"the key {private['kid']}", private)
            self.domain_keys += found
            if private["kty"] == "EC":
                self.drawn |= names(found)
        found = content_keys(name, joined.body, machine)
        self.content_keys += found
        if machine.public_jwk["kty"] == "RSA":
            self.drawn |= names(found)

    def refused(self):
        """What is refused, with tokens that others would take."""
        bad = self.token("a token of another issuer", iss="https://other.example")
        self.client.register("closed", Machine.ec(), token=bad).refused(
            "DOM_AUTHENTICATION_REQUIRED"
        )
        wrong = secrets.token_hex(32)
        self.tokens.append(Secret.of_text("a wrong admin token", wrong))
        refused = self.admin.send("GET", "/domains", token=wrong)
        refused.refused("ADMIN_AUTHENTICATION_REQUIRED")
        read_only = Admin(self.operators, self.read_token)
        read_only.send("GET", "/domains").ok()
        read_only.put("closed").refused("ADMIN_FORBIDDEN")
        token = self.token("a token with a malformed request")
        self.client.post(REGISTER, b'{"protected":"', token).refused("INVALID_REQUEST")
        fields = [("Host", "a"), ("Host", "b"), ("Authorization", f"Bearer {token}")]
        assert self.client.send_fields("POST", REGISTER, b"", fields).status == 400

    def live(self):
        self.secrets += held.of_gateway(self.gateway)
        self.admin.set("closed", authenticationRequired=True, authNamespace=NAMESPACE)
        machines = {"an EC machine": Machine.ec(), "an RSA machine": Machine.rsa()}
        for name, machine in machines.items():
            self.join(name, machine, self.token(f"the token of {name}"))
        self.refused()
        leaver = machines["an RSA machine"]
        self.client.leave("closed", leaver, token=self.token("a leaver's token"))
        self.join("it again", leaver, self.token("a token after leaving"))
        assert self.admin.send("POST", Admin.path("closed", "/rollover")).status == 202
        self.join("an EC machine", machines["an EC machine"], self.token("a last token"))

    def join_anew(self):
        """A member gets a new key, and so does a machine that joins."""
        assert self.admin.send("POST", Admin.path("closed", "/rollover")).status == 202
        for name, machine in (("another", Machine.ec()), ("a second RSA machine", Machine.rsa())):
            self.join(name, machine, self.token(f"the token of {name}"))

    def join_at_once(self):
        """Machines that join together, so that several instances are there."""

        def join(number: int):
            name = f"machine {number}"
            self.join(name, Machine.rsa(), self.token(f"the token of {name}"))

        with ThreadPoolExecutor(CROWD) as pool:
            list(pool.map(join, range(2 * CROWD)))

    @property
    def all_secrets(self) -> list[Secret]:
        return self.secrets + self.domain_keys + self.content_keys + self.tokens

    def run(self, program: Path, *arguments: str, code: int = 0) -> str:
        command = [str(program), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        self.written.setdefault(f"{program.name} {arguments[-1]}", []).extend(
            [done.stdout, done.stderr]
        )
        return done.stdout.decode()

    def domainctl(self, *arguments: str, code: int = 0) -> str:
        token = self.gateway.state / "admin-token"
        server = ["--server", self.operators.origin, "--token-file", str(token)]
        return self.run(self.programs.domainctl, *server, *arguments, code=code)

    def commands(self):
        """What operators and devices run."""
        for line in (
            ["domain", "list"],
            ["domain", "show", "closed"],
            ["member", "list", "closed"],
            ["keys", "closed"],
            ["--json", "keys", "closed"],
            ["export"],
            ["check"],
            ["ca", "reissue", "--all"],
            ["key-encryption-key", "reseal"],
        ):
            self.domainctl(*line)
        for line in (["ca", "show"], ["health"]):
            self.run(self.programs.domainctl, *self.gateway.commands_flags, *line)
        wrong = ["--server", self.operators.origin, "--token-file", str(self.tmp_path / "wrong")]
        (self.tmp_path / "wrong").write_text(secrets.token_hex(32))
        self.run(self.programs.domainctl, *wrong, "domain", "list", code=1)

        state = ["--state", str(self.gateway.state)]
        if self.gateway.store is None:
            self.run(self.programs.gateway, "backup", *state, str(self.tmp_path / "backup.db"))
        literally = ["--set", f"admin_token={self.gateway.admin_token}"]
        self.run(self.programs.gateway, "check-config", *state, *literally, code=1)

        url = self.gateway.client.domain_server_url("closed")
        (self.tmp_path / "token").write_text(self.token("a device's token"))
        flags = ["--dir", str(self.tmp_path / "device"), "--trace", "--json"]
        flags += ["--token-file", str(self.tmp_path / "token")]
        flags += ["--tls-ca-file", str(self.gateway.certificate)]
        for command in (["join", url], ["show"], ["verify"]):
            self.run(self.programs.device, *flags, *command)
        machine_key = (self.tmp_path / "device" / "machine-key.pem").read_bytes()
        self.secrets.append(Secret.of_pem("the device's key", machine_key))

    def files(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """All files but those that the test wrote; then those that are there to hold secrets."""
        device_domains = self.tmp_path / "device" / "domains"
        given = {self.tmp_path / name for name in ("token", "wrong")}
        found: tuple[dict, dict] = ({}, {})
        for path in self.tmp_path.rglob("*"):
            if path.is_file() and path not in given:
                holds_secrets = path.name in SECRET_FILES or path.parent == device_domains
                assert not holds_secrets or path.stat().st_mode & 0o077 == 0, path
                found[holds_secrets][str(path.relative_to(self.tmp_path))] = path.read_bytes()
        return found
