"""Replacing the key-encryption key and the domain CA: nothing is lost, nothing of old is needed."""

import json
import secrets
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from admin import Admin
from certificates import (
    check_credential,
    check_private_key,
    key_pem,
    new_ca,
    openssl_verify,
    parse_chain,
)
from client import Joined
from machines import Machine
from strictly import check_strictly
from waiting import until

TIMEOUT_S = 180
DOMAINS = [f"rotated-{number}" for number in range(6)]


@pytest.fixture
def domainctl(programs):
    """`domainctl` against a gateway: the exit code must be 0; gives the JSON that it printed."""

    def run(gateway, *arguments: str) -> dict:
        command = [str(programs.domainctl), "--json", *gateway.commands_flags]
        command += ["--token-file", str(gateway.state / "admin-token"), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    return run


def key_encryption_keys(gateway, *keys: str):
    """Restart it with these, the newest first."""
    gateway.stop()
    (gateway.state / "key-encryption-key").write_text("".join(f"{key}\n" for key in keys))
    gateway.start()


def private_keys(client, domain, machine, tmp_path) -> list[dict]:
    """A member's private keys by version, each of which fits its certificate."""
    joined = client.join(domain, machine)
    for credential, private in zip(joined.credentials, joined.private_keys, strict=True):
        ca_pem, url = client.ca_pem(), client.domain_server_url(domain)
        check_private_key(private, check_credential(credential, domain, url, ca_pem))
        openssl_verify(credential["x5c"], ca_pem, tmp_path)
    return [private["d"] for private in joined.private_keys]


@contextmanager
def load(gateway):
    """Machines that come and go in all domains meanwhile, and are never given another key for a
    version; yields the private keys that they were given, by domain."""
    known: dict[str, list[str]] = {domain: [] for domain in DOMAINS}
    # How often each of them was in a domain, and everything that it asked for was done.
    visits = [0] * 3
    stop, lock = threading.Event(), threading.Lock()

    def work(number: int):
        machine, resident = Machine.ec(), Machine.ec()
        while not stop.is_set():
            domain = DOMAINS[(number + visits[number]) % len(DOMAINS)]
            # It may be being started again.
            with suppress(OSError):
                visits[number] += visit(domain, machine, resident)
            time.sleep(0.2)

    def visit(domain, machine, resident) -> bool:
        statuses = []
        for each in (resident, machine):
            answer = gateway.client.register(domain, each)
            statuses.append(answer.status)
            if answer.status == 200:
                note(domain, each, answer)
        statuses.append(gateway.client.deregister(domain, machine).status)
        return set(statuses) == {200}

    def note(domain, machine, answer):
        keys = [private["d"] for private in Joined(answer.json(), machine).private_keys]
        with lock:
            before = known[domain]
            shorter = min(len(before), len(keys))
            assert keys[:shorter] == before[:shorter], domain
            known[domain] = max(before, keys, key=len)

    with ThreadPoolExecutor(len(visits)) as pool:
        working = [pool.submit(work, number) for number in range(len(visits))]

        def is_enough() -> bool:
            # Twice in each domain, so that each has another key in the end. Who ended has failed.
            return min(visits) >= 2 * len(DOMAINS) or any(each.done() for each in working)

        try:
            yield known
            until(is_enough, "the machines are not served")
        finally:
            stop.set()
        for each in working:
            each.result()


def test_a_key_encryption_key_is_replaced(own_gateway, domainctl, tmp_path):
    gateway = own_gateway(max_key_versions_per_day="100000")
    resident = Machine.ec()
    for domain in DOMAINS:
        gateway.client.join(domain, resident)
    old = (gateway.state / "key-encryption-key").read_text().strip()
    new = secrets.token_hex(32)
    admin = Admin(gateway.client, gateway.admin_token)
    with load(gateway) as known:
        key_encryption_keys(gateway, new, old)
        page = admin.send("POST", "/reseal?limit=2").ok()
        # Two domains; or one, where that took as long as a page may take.
        assert page["remaining"] in (4, 5), page
        assert page["next"] == DOMAINS[len(DOMAINS) - page["remaining"] - 1], page
        # Interrupted, and taken up again.
        gateway.stop()
        gateway.start()
        resealed = domainctl(gateway, "key-encryption-key", "reseal")
        assert resealed["remaining"] == 0 and resealed["resealed"] >= 4
        key_encryption_keys(gateway, new)
        assert gateway.client.get("/healthz").status == 200
        assert domainctl(gateway, "key-encryption-key", "reseal")["resealed"] == 0
    for domain in DOMAINS:
        keys = private_keys(gateway.client, domain, resident, tmp_path)
        assert keys[: len(known[domain])] == known[domain]
        assert len(known[domain]) > 1

    key_encryption_keys(gateway, old)
    health = gateway.client.get("/healthz")
    assert health.status == 503
    assert "another key_encryption_key" in health.json()["detail"]
    gateway.client.register(DOMAINS[0], resident).refused("INTERNAL")
    assert old not in "".join(gateway.log) and new not in "".join(gateway.log)


def pem(*certificates) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def test_the_domain_ca_is_replaced(own_gateway, domainctl, tmp_path):
    gateway = own_gateway(max_key_versions_per_day="100000")
    resident = Machine.ec()
    for domain in DOMAINS:
        gateway.client.join(domain, resident)
    old = gateway.client.ca_pem()
    (old_ca,) = domainctl(gateway, "ca", "show")["certificates"]
    certificate, key = new_ca("The next CA")
    (tmp_path / "ca-next.pem").write_bytes(pem(certificate))

    # Announce.
    gateway.stop()
    gateway.settings["ca_certificate_next"] = f"@{tmp_path / 'ca-next.pem'}"
    gateway.start()
    answer = gateway.client.get("/flashaccess/domainserver/ca.pem")
    assert answer.body == old
    assert answer.header("link") == '<ca-next.pem>; rel="next"'
    answer = gateway.client.get("/flashaccess/domainserver/ca-next.pem")
    assert (answer.status, answer.body) == (200, pem(certificate))
    shown = domainctl(gateway, "ca", "show")["certificates"]
    assert [one["role"] for one in shown] == ["current", "next"]
    assert shown[1]["serial"] == f"{certificate.serial_number:x}".zfill(len(shown[1]["serial"]))

    # Switch, with both trusted; and reissue.
    with load(gateway) as known:
        gateway.stop()
        del gateway.settings["ca_certificate_next"]
        (gateway.state / "ca.pem").write_bytes(old + pem(certificate))
        (gateway.state / "ca-key.pem").write_bytes(key_pem(key))
        gateway.start()
        assert gateway.client.ca_pem() == pem(certificate) + old
        gateway.client.get("/flashaccess/domainserver/ca-next.pem").refused("NOT_FOUND")
        for domain in DOMAINS:
            private_keys(gateway.client, domain, resident, tmp_path)
        reissued = domainctl(gateway, "ca", "reissue", "--all")
        assert reissued["domains"] == len(DOMAINS) and reissued["reissued"] >= len(DOMAINS)
        one = domainctl(gateway, "ca", "reissue", DOMAINS[0])
        assert one["domains"] == 1
    for domain in DOMAINS:
        joined = gateway.client.join(domain, resident)
        chains = [credential["x5c"] for credential in joined.credentials]
        for chain in chains:
            leaf, issuer = parse_chain(chain)
            assert issuer == certificate
            leaf.verify_directly_issued_by(certificate)
        # A device that trusts the new CA alone.
        check_strictly(chains, pem(certificate), tmp_path)

    # Withdraw the old one.
    gateway.stop()
    (gateway.state / "ca.pem").write_bytes(pem(certificate))
    gateway.start()
    assert gateway.client.ca_pem() == pem(certificate)
    shown = domainctl(gateway, "ca", "show")["certificates"]
    assert [one["role"] for one in shown] == ["current"]
    assert shown[0]["sha256"] != old_ca["sha256"]
    for domain in DOMAINS:
        keys = private_keys(gateway.client, domain, resident, tmp_path)
        assert keys[: len(known[domain])] == known[domain]
