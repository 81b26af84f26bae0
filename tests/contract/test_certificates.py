"""Certificates that are made, before strict checkers: see `strictly.py`. Those over each type of
key are in test_credentials.py, and those of another CA in test_rotation.py.

What does not depend on how the component was built is marked `of_sqlite`: it runs with one build.
"""

import base64
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

import rfc5280
from certificates import key_pem, new_ca
from machines import Machine, rsa_key
from strictly import check_strictly

NAMES = ["0", "a-", "x.._-Z", "Q" * 63, "R" * 64, "S" * 65, "T" * 127 + "."]


def joined_chains(client, names, machine=None) -> list[list[str]]:
    machine = machine or Machine.ec()
    return [
        credential["x5c"] for name in names for credential in client.join(name, machine).credentials
    ]


def test_names_of_all_kinds_and_rollovers(client, admin, domain, tmp_path):
    machine = Machine.ec()
    chains = joined_chains(client, NAMES, machine)
    client.join(domain, machine)
    for _ in range(2):
        assert admin.send("POST", admin.path(domain, "/rollover")).status == 202
        chains += joined_chains(client, [domain], machine)
    chains.append(client.describe(domain).ok()["x5c"])
    keys = admin.get(domain, "/keys").ok()["keys"]
    assert len(keys) == 3
    chains += [key["x5c"] for key in keys]
    check_strictly(chains, client.ca_pem(), tmp_path)


def configured(own_gateway, tmp_path, pems: bytes, key, **settings):
    """A gateway whose domain CA is given to it."""
    for name, data in (("ca_certificate", pems), ("ca_private_key", key_pem(key))):
        (tmp_path / name).write_bytes(data)
        settings[name] = f"@{tmp_path / name}"
    return own_gateway(**settings)


def pem(*certificates) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


@pytest.mark.of_sqlite
def test_an_rsa_ca_below_another(own_gateway, domain, tmp_path):
    root = new_ca("Root")
    # One that says whose key it is signed with, which `new_ca` leaves out.
    ca, key = new_ca("Domain CA", root, key=rsa_key(7), states_issuer=True)
    client = configured(own_gateway, tmp_path, pem(ca, root[0]), key).client
    chains = joined_chains(client, [domain])
    assert len(chains[0]) == 3
    check_strictly(chains, pem(root[0]), tmp_path)


def odd_ca(not_after: datetime):
    """A CA whose name has several attributes, of several types, two of which stand together."""
    usual, key = new_ca("Domain CA")
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "NO")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Größe & Söhne, "AS"'),
                    x509.NameAttribute(NameOID.COMMON_NAME, "Domain CA", _ASN1Type.PrintableString),
                ]
            ),
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ca@domains.example")]
            ),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(not_after)
    )
    for each in usual.extensions:
        builder = builder.add_extension(each.value, each.critical)
    return builder.sign(key, hashes.SHA256()), key


@pytest.mark.of_sqlite
def test_a_ca_with_an_odd_name_until_after_2049(own_gateway, domain, tmp_path):
    """From 2050 on times are of another type (RFC 5280 section 4.1.2.5)."""
    ca, key = odd_ca(datetime(2080, 1, 1, tzinfo=UTC))
    gateway = configured(own_gateway, tmp_path, pem(ca), key, credential_ttl_days="36525")
    chains = joined_chains(gateway.client, [domain])
    _, ends = rfc5280.lifetime(base64.b64decode(chains[0][0]))
    assert ends == datetime(2080, 1, 1, tzinfo=UTC)
    check_strictly(chains, pem(ca), tmp_path)


@pytest.mark.of_the_gateway
@pytest.mark.of_sqlite
def test_a_tls_certificate_of_the_gateways_own(own_gateway, tmp_path):
    gateway = own_gateway("--tls-self-signed", plain=True)
    data = gateway.certificate.read_bytes()
    encoded = x509.load_pem_x509_certificate(data).public_bytes(serialization.Encoding.DER)
    assert rfc5280.breaches(encoded) == []
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-check_ss_sig"]
    for host in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
        named = [*command, *host, "-CAfile", gateway.certificate, gateway.certificate]
        assert subprocess.run(named, capture_output=True, check=False).returncode == 0
