"""The whole table of malformed requests, by a name that says the group and the case."""

from malformed_jws import ENCODING, ENVELOPE, HEADER
from malformed_keys import KEY, SIGNATURES
from malformed_payload import GUID, HTTP, IAT, MEMBERS, NAME, PAYLOAD, URL

GROUPS = {
    "envelope": ENVELOPE,
    "encoding": ENCODING,
    "header": HEADER,
    "key": KEY,
    "signature": SIGNATURES,
    "payload": PAYLOAD + GUID + IAT + MEMBERS,
    "url": URL,
    "http": HTTP,
    "name": NAME,
}
CASES = {f"{group}: {case.name}": case for group, cases in GROUPS.items() for case in cases}
