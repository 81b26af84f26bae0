"""What a member receives: certificates, the chain to the domain CA, private keys, the JWE."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from admin import Admin
from certificates import (
    check_credential,
    check_private_key,
    extension,
    key_pem,
    new_ca,
    openssl_verify,
    parse_chain,
    public_bytes,
)
from client import jwe_header
from machines import Machine
from strictly import check_strictly


def check_all(client, joined, domain, tmp_path):
    """Every credential of a registration, with its private key; returns the private keys."""
    ca_pem = client.ca_pem()
    keys = []
    for credential, private in zip(joined.credentials, joined.private_keys, strict=True):
        leaf = check_credential(credential, domain, client.domain_server_url(domain), ca_pem)
        keys.append(check_private_key(private, leaf))
        openssl_verify(credential["x5c"], ca_pem, tmp_path)
    return keys


def test_the_chain_in_full(client, domain, tmp_path):
    first, second = Machine.rsa(), Machine.ec()
    client.join(domain, first)
    client.join(domain, second)
    client.leave(domain, first)
    joined = client.join(domain, second)
    assert joined.versions == [1, 2]
    keys = check_all(client, joined, domain, tmp_path)
    assert len({public_bytes(key.public_key()) for key in keys}) == 2
    leaves = [parse_chain(credential["x5c"])[0] for credential in joined.credentials]
    assert len({leaf.serial_number for leaf in leaves}) == 2


def test_serials_differ(client, domain):
    serials = set()
    for number in range(8):
        joined = client.join(f"{domain}-{number}", Machine.ec())
        serials.add(parse_chain(joined.credentials[0]["x5c"])[0].serial_number)
    assert len(serials) == 8


@pytest.mark.parametrize(
    ("setting", "bits"),
    [("RSA-2048", 2048), ("RSA-3072", 3072), ("RSA-4096", 4096), ("EC-P256", None)],
)
def test_every_type_of_domain_key(gateway_with, domain, tmp_path, setting, bits):
    client = gateway_with(domain_key_type=setting).client
    for machine in (Machine.rsa(), Machine.ec()):
        joined = client.join(domain, machine)
        (key,) = check_all(client, joined, domain, tmp_path)
        check_strictly([joined.credentials[0]["x5c"]], client.ca_pem(), tmp_path)
        if bits is None:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            assert key.curve.name == "secp256r1"
        else:
            assert isinstance(key, rsa.RSAPrivateKey)
            assert key.key_size == bits


def test_a_domain_key_is_rsa_2048_unless_told_otherwise(own_gateway, domain):
    client = own_gateway(domain_key_type=None).client
    joined = client.join(domain, Machine.ec())
    private = joined.private_keys[0]
    assert private["kty"] == "RSA"
    leaf = parse_chain(joined.credentials[0]["x5c"])[0]
    assert check_private_key(private, leaf).key_size == 2048


def test_certificates_name_the_public_origin(gateway_with, domain, tmp_path):
    client = gateway_with(public_origin="https://domains.example").client
    joined = client.join(domain, Machine.ec())
    check_all(client, joined, domain, tmp_path)
    names = extension(
        parse_chain(joined.credentials[0]["x5c"])[0], ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    ).value
    assert [name.value for name in names] == [
        f"https://domains.example/flashaccess/domainserver/{domain}/#v1"
    ]


@pytest.mark.parametrize("length", [1, 64, 65, 128])
def test_names_of_every_length_make_certificates(client, tmp_path, length):
    # X.520's upper bound of a common name is 64 characters; the contract's of a domain name is 128.
    name = ("L" + "abcdefghijklmnopqrstuvwxyz0123456789._-" * 4)[: length - 1] + str(length % 10)
    assert len(name) == length
    joined = client.join(name, Machine.ec())
    check_all(client, joined, name, tmp_path)


def test_credential_ttl(gateway_with, domain):
    client = gateway_with(credential_ttl_days="7").client
    joined = client.join(domain, Machine.ec())
    leaf = parse_chain(joined.credentials[0]["x5c"])[0]
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert timedelta(days=6) < life < timedelta(days=8)


def test_an_answer_of_more_than_a_mebibyte(own_gateway, domain, tmp_path):
    """Hosts take a response in pieces: this one is several."""
    root = new_ca("Root", padding=100_000)
    ca, key = new_ca("Domain CA", root)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (ca, root[0]))
    settings = {"ca_certificate": chain, "ca_private_key": key_pem(key)}
    for name, text in settings.items():
        (tmp_path / name).write_bytes(text)
    gateway = own_gateway(**{name: f"@{tmp_path / name}" for name in settings})
    client, admin = gateway.client, Admin(gateway.client, gateway.admin_token)
    machine = Machine.ec()
    client.join(domain, machine)
    for version in range(2, 10):
        assert admin.send("POST", admin.path(domain, "/rollover")).status == 202
        assert client.join(domain, machine, knownKeyVersion=version - 1).versions == [version]
    answer = client.register(domain, machine)
    assert len(answer.body) > 1 << 20
    assert client.join(domain, machine).versions == list(range(1, 10))


@pytest.mark.parametrize("machine", [Machine.rsa, Machine.ec], ids=["RSA", "EC"])
def test_the_jwe_is_made_anew_each_time(client, domain, machine):
    machine = machine()
    tokens = [client.join(domain, machine).body["encryptedKeys"] for _ in range(3)]
    # A content key, a nonce or an ephemeral key that came twice would show here.
    assert len({token.split(".")[2] for token in tokens}) == 3
    if machine.alg == "ES256":
        assert len({jwe_header(token)["epk"]["x"] for token in tokens}) == 3
    else:
        assert len({token.split(".")[1] for token in tokens}) == 3
