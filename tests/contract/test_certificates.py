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


def odd_ca(issuer, key, not_after: datetime) -> x509.Certificate:
    """A CA's certificate whose name has several attributes, of several types, two of which stand
    together."""
    certificate, issuer_key = issuer
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "NO")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Größe & Söhne, "AS"'),
                    x509.NameAttribute(NameOID.SERIAL_NUMBER, "1"),
                ]
            ),
            x509.RelativeDistinguishedName(
                [x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ca@domains.example")]
            ),
        ]
    )
    public, above = key.public_key(), issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    )
    for kind in (x509.BasicConstraints, x509.KeyUsage):
        same = certificate.extensions.get_extension_for_class(kind)
        builder = builder.add_extension(same.value, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.mark.of_sqlite
def test_a_ca_of_another_kind(own_gateway, domain, tmp_path):
    """With an RSA key, an odd name and a root above it, until after 2049: from 2050 on times are of
    another type (RFC 5280 section 4.1.2.5)."""
    root, key, until = new_ca("Root"), rsa_key(7), datetime(2080, 1, 1, tzinfo=UTC)
    ca = odd_ca(root, key, until)
    pems = [one.public_bytes(serialization.Encoding.PEM) for one in (ca, root[0])]
    settings = {"credential_ttl_days": "36525"}
    for name, data in (("ca_certificate", b"".join(pems)), ("ca_private_key", key_pem(key))):
        (tmp_path / name).write_bytes(data)
        settings[name] = f"@{tmp_path / name}"
    chains = joined_chains(own_gateway(**settings).client, [domain])
    assert len(chains[0]) == 3
    _, ends = rfc5280.lifetime(base64.b64decode(chains[0][0]))
    assert ends == until
    check_strictly(chains, pems[1], tmp_path)


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
