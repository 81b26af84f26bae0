"""What a table of malformed requests is made of: a case, and the context that it builds from."""

from collections.abc import Callable
from dataclasses import dataclass

from client import JOSE, Client
from machines import Machine, compact, resign

# The contract names both errors and draws no line between them for a header or a key that is unfit.
REQUEST = ("INVALID_REQUEST",)
SIGNATURE = ("INVALID_SIGNATURE",)
EITHER = REQUEST + SIGNATURE


@dataclass
class Context:
    """A domain with a member; `machine` and `rsa` are none, so that an accepted join would show."""

    client: Client
    domain: str
    member: Machine
    machine: Machine
    rsa: Machine

    def target(self, action: str = "register") -> str:
        return self.client.path(self.domain, action)

    def url(self, action: str = "register") -> str:
        return self.client.url(self.target(action))

    def signed(self, machine=None, header=None, payload=None, alg=None) -> dict:
        """A usual request with changes to its header and payload; None leaves a member out."""
        machine = machine or self.machine
        protected = compact(machine.header(self.url(), **(header or {})))
        return machine.forge(protected, compact(machine.payload(**(payload or {}))), alg)

    def raw_header(self, text: str, machine=None) -> dict:
        """Signed over a header's text, in which HEADER stands for the usual members."""
        machine = machine or self.machine
        usual = compact(machine.header(self.url())).decode()[1:-1]
        protected = text.replace("HEADER", usual).encode()
        return machine.forge(protected, compact(machine.payload()))

    def raw_payload(self, text: str | bytes, action: str = "register", machine=None) -> dict:
        """Signed over a payload's text, in which PAYLOAD stands for the usual members."""
        machine = machine or (self.member if action == "deregister" else self.machine)
        usual = compact(machine.payload()).decode()[1:-1]
        payload = text if isinstance(text, bytes) else text.replace("PAYLOAD", usual).encode()
        return machine.forge(compact(machine.header(self.url(action))), payload)

    def resigned(self, machine=None, alg=None, **parts) -> dict:
        """A usual request whose encoded parts are replaced, signed over what they then are."""
        machine = machine or self.machine
        return resign({**self.signed(machine), **parts}, machine.key, alg or machine.alg)


@dataclass
class Sent:
    """One HTTP request; the usual one but for what a case changes."""

    body: bytes = b""
    target: str | None = None
    method: str = "POST"
    media_type: str | None = JOSE
    chunked: bool = False


@dataclass
class Case:
    """A name, what builds the request, and the errors that are right for it."""

    name: str
    build: Callable[[Context], Sent | dict | bytes | str]
    errors: tuple[str, ...]
    action: str = "register"
    with_public_origin: bool = False

    def send(self, context: Context):
        sent = self.build(context)
        if isinstance(sent, dict):
            sent = Sent(compact(sent))
        elif isinstance(sent, str | bytes):
            sent = Sent(sent.encode() if isinstance(sent, str) else sent)
        target = sent.target or context.target(self.action)
        headers = {"Content-Type": sent.media_type} if sent.media_type is not None else {}
        body = sent.body
        if sent.chunked:
            headers["Transfer-Encoding"] = "chunked"
            body = iter([sent.body[at : at + 4096] for at in range(0, len(sent.body), 4096)])
        return context.client.send(sent.method, target, body, headers, chunked=sent.chunked)
