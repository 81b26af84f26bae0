"""Secrets, the forms that one may be written in, and a process' memory to look for them in."""

import base64
import os
import re
import signal
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from machines import b64url_decode
from waiting import until

# How much of a long secret is looked for. Its first bytes may be zeros, and a copy may be cut off.
SKIPPED, LOOKED_FOR = 8, 32

# What wasmtime calls the initial content of a WebAssembly memory, which it maps into the middle.
IMAGE = "wasm-memory-image"


@dataclass(frozen=True)
class Secret:
    """A secret by a name that a failure may print, and every form that is looked for."""

    name: str
    forms: frozenset[bytes]

    @classmethod
    def of_bytes(cls, name: str, raw: bytes) -> "Secret":
        """Of bytes: as they are, reversed, and as hex, base64 and numbers."""
        if len(raw) > SKIPPED + LOOKED_FOR:
            raw = raw[SKIPPED : SKIPPED + LOOKED_FOR]
        numbers = [", ".join(map(str, raw)), ",".join(map(str, raw))]
        texts = [raw.hex(), raw.hex().upper(), *numbers, *base64_forms(raw)]
        return cls(name, frozenset([raw, raw[::-1], *(text.encode() for text in texts)]))

    @classmethod
    def of_text(cls, name: str, text: str) -> "Secret":
        """Of text, such as a token. One of hexadecimal digits may be written as what they say."""
        forms = cls.of_bytes(name, text.encode()).forms | {text.encode()}
        if re.fullmatch(r"([0-9a-f]{2})+", text):
            forms |= cls.of_bytes(name, bytes.fromhex(text)).forms
        return cls(name, forms)

    @classmethod
    def of_pem(cls, name: str, pem: bytes) -> "Secret":
        """Of a P-256 private key: its scalar."""
        key = serialization.load_pem_private_key(pem, None)
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        return cls.of_bytes(name, scalar)


def base64_forms(raw: bytes) -> list[str]:
    """What of these bytes is in base64 text, wherever in the encoded bytes they begin."""
    found = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode()
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found += [text[first:last], text[first:last].replace("+", "-").replace("/", "_")]
    return found


def of_private_jwk(name: str, key: dict) -> list[Secret]:
    """The secret members of a private JWK, each by itself."""
    members = [member for member in ("d", "p", "q", "dp", "dq", "qi") if member in key]
    return [Secret.of_bytes(f"{name}: {member}", b64url_decode(key[member])) for member in members]


def of_token(name: str, token: str) -> Secret:
    """A JWT by its signature, without which nobody can use the rest."""
    signature = token.rsplit(".", 1)[1]
    found = Secret.of_bytes(name, b64url_decode(signature))
    return Secret(name, found.forms | {signature.encode()})


def of_gateway(gateway) -> list[Secret]:
    """What its state directory holds."""
    read = lambda name: (gateway.state / name).read_bytes()  # noqa: E731
    found = [
        Secret.of_pem("the CA's key", read("ca-key.pem")),
        Secret.of_text("the key-encryption key", read("key-encryption-key").decode().strip()),
        Secret.of_text("the admin token", gateway.admin_token),
    ]
    if gateway.certificate:
        found.append(Secret.of_pem("the key for TLS", read("tls-key.pem")))
    return found


def found_in(data: bytes, secrets: Iterable[Secret]) -> set[str]:
    """The names of those that are in it, in any form, also broken into lines, as PEM is."""
    data += b"\0" + data.replace(b"\\n", b"").replace(b"\r", b"").replace(b"\n", b"")
    return {secret.name for secret in secrets if any(form in data for form in secret.forms)}


@dataclass(frozen=True)
class Region:
    """What a core dump has of one mapping."""

    kind: str
    content: bytes


# Of Linux' /proc/PID/pagemap: an entry's size, and its bits for a page in memory or swapped.
PAGE, ENTRY, IS_THERE = os.sysconf("SC_PAGE_SIZE"), 8, 0b11 << 62

MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)")


def memory(pid: int) -> list[Region]:
    """All that a process can write to, as it is at one moment. A core dump has the same.

    A region's kind is `instance`, a WebAssembly memory, or `host`: heap, stacks and statics.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: _is_stopped(pid), "it does not stop")
        return list(_regions(pid))
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    """Whether all threads are: each stops for itself, soon after the signal."""
    try:
        stats = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False  # One has ended meanwhile.
    # The state comes after the name, which is in parentheses.
    return {stat.rsplit(") ", 1)[1][0] for stat in stats} == {"T"}


def dumped(pid: int, secrets: list[Secret]) -> dict[str, set[str]]:
    """Which of these secrets a core dump has, by the kind of region."""
    found: dict[str, set[str]] = {"instance": set(), "host": set()}
    for region in memory(pid):
        found[region.kind] |= found_in(region.content, secrets)
    return found


def _regions(pid: int) -> Iterable[Region]:
    mappings = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        begin, end, may, name = MAPPING.fullmatch(line).groups()
        mappings.append((int(begin, 16), int(end, 16), may, name))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for at, (begin, end, may, _) in enumerate(mappings):
            if not may.startswith("rw"):
                continue
            kind = "instance" if _is_of_an_instance(mappings, at) else "host"
            for first, last in _touched(pid, begin, end):
                file.seek(first)
                yield Region(kind, file.read(last - first))


def _is_of_an_instance(mappings: list[tuple], at: int) -> bool:
    """Whether a WebAssembly memory's image is among the mappings that adjoin this one."""
    first = last = at
    while first > 0 and _adjoin(mappings[first - 1], mappings[first]):
        first -= 1
    while last + 1 < len(mappings) and _adjoin(mappings[last], mappings[last + 1]):
        last += 1
    return any(IMAGE in name for _, _, _, name in mappings[first : last + 1])


def _adjoin(lower: tuple, upper: tuple) -> bool:
    """Whether two mappings can be written to, without a guard between them."""
    return lower[1] == upper[0] and lower[2].startswith("rw") and upper[2].startswith("rw")


def _touched(pid: int, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """Where pages are that were ever written: the others, most of a pool of instances, are 0."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        file.seek(begin // PAGE * ENTRY)
        entries = array("Q", file.read((end - begin) // PAGE * ENTRY))
    run = None
    for page, entry in enumerate([*entries, 0]):
        is_there = entry & IS_THERE
        if is_there and run is None:
            run = begin + page * PAGE
        elif not is_there and run is not None:
            yield run, begin + page * PAGE
            run = None
