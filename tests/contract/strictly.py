"""The server's certificates before strict checkers: `openssl verify -x509_strict`, the verifier of
`cryptography`, and the rules of `rfc5280.py`."""

import base64
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

import rfc5280
from certificates import parse_chain

# Names of domains have up to 128 characters, and are common names whatever their length.
LONG_NAME = "A.1: ub-common-name"


def check_strictly(chains: list[list[str]], ca_pem: bytes, directory: Path):
    """Checks chains (`x5c`) that end in a CA of `ca_pem`, which is the only one that is trusted."""
    issuers = {tuple(chain[1:]) for chain in chains}
    for issuer in issuers:
        leaves = [chain[0] for chain in chains if tuple(chain[1:]) == issuer]
        check_by_openssl(leaves, list(issuer), ca_pem, directory)
        check_by_rules(leaves, list(issuer))
    for chain in chains:
        check_by_cryptography(chain, ca_pem)
    serials = [parse_chain(chain)[0].serial_number for chain in chains]
    distinct = {chain[0] for chain in chains}
    assert len(set(serials)) == len(distinct), "4.1.2.2: a serial number was used twice"


def check_by_openssl(leaves: list[str], issuers: list[str], ca_pem: bytes, directory: Path):
    files = []
    for number, leaf in enumerate(parse_chain(leaves)):
        files.append(f"leaf-{number}.pem")
        (directory / files[-1]).write_bytes(leaf.public_bytes(Encoding.PEM))
    pems = [issuer.public_bytes(Encoding.PEM) for issuer in parse_chain(issuers)]
    (directory / "untrusted.pem").write_bytes(b"".join(pems))
    (directory / "ca.pem").write_bytes(ca_pem)
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "any"]
    command += ["-CAfile", "ca.pem", "-untrusted", "untrusted.pem", *files]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [f"{file}: OK" for file in files]


def check_by_cryptography(chain: list[str], ca_pem: bytes):
    """By the profile of the Web's PKI for clients, in full: it wants no purpose where a certificate
    has none, and any kind of name."""
    leaf, *between = parse_chain(chain)
    verifier = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(ca_pem)))
    verified = verifier.build_client_verifier().verify(leaf, between)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert verified.subjects == list(names)


def check_by_rules(leaves: list[str], issuers: list[str]):
    ca, *above = (base64.b64decode(issuer) for issuer in issuers)
    for below, issuer in zip([ca, *above], [*above, None], strict=True):
        assert rfc5280.breaches(below, issuer) == []
    ca_begins, ca_ends = rfc5280.lifetime(ca)
    for leaf, parsed in zip(leaves, parse_chain(leaves), strict=True):
        leaf = base64.b64decode(leaf)
        common_name = parsed.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        found = rfc5280.breaches(leaf, ca)
        if len(common_name) > 64:
            assert len(found) == 1 and found.pop().startswith(LONG_NAME), found
        assert found == [], common_name
        begins, ends = rfc5280.lifetime(leaf)
        assert ca_begins <= begins <= ends <= ca_ends
