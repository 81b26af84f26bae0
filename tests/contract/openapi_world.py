"""The domains and machines that generated requests meet again and again.

Else every request would be somebody's first one. It is the same in each process that imports it.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from admin import Admin
from machines import Machine

OPEN, FULL, LOCKED = ["living-room", "A.b_c-9"], ["full", "Full"], "locked"
DOMAINS = [FULL[0], OPEN[0], LOCKED, FULL[1], OPEN[1]]
GUIDS = [f"{number:08x}-0000-4000-8000-00000000000{number}" for number in range(1, 8)]
MEMBERS, BLOCKED = GUIDS[::2], GUIDS[-2]

_KEYS = [ec.derive_private_key(secret, ec.SECP256R1()) for secret in (1, 2, 3)]


def machine(guid: str, another: bool = False) -> Machine:
    """The machine of that GUID; with `another`, one that has its GUID, but not its key."""
    number = int(hashlib.sha256(guid.encode()).hexdigest(), 16)
    return Machine(_KEYS[(number + another) % len(_KEYS)], guid=guid)


def populate(gateway):
    client, admin = gateway.client, Admin(gateway.client, gateway.admin_token)
    for domain in OPEN + FULL:
        for guid in MEMBERS:
            client.join(domain, machine(guid))
        assert admin.block(domain, BLOCKED).status == 204
    for domain in FULL:
        admin.set(domain, maxMembership=0)
    admin.set(LOCKED, authenticationRequired=True, authNamespace="ns")
