"""Checks of a domain credential, with `cryptography` and with the `openssl` command."""

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID
from joserfc import jwk


def parse_chain(x5c: list[str]) -> list[x509.Certificate]:
    """Standard base64, padded and without white space (RFC 7515 section 4.1.6)."""
    return [x509.load_der_x509_certificate(base64.b64decode(c, validate=True)) for c in x5c]


def parse_time(text: str) -> datetime:
    """An RFC 3339 time in UTC, such as `2026-11-22T19:41:28Z`."""
    assert text.endswith("Z") and "T" in text, text
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)


def public_bytes(key) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def extension(certificate: x509.Certificate, oid):
    return certificate.extensions.get_extension_for_oid(oid)


def check_ca(ca_pem: bytes) -> list[x509.Certificate]:
    """The domain CA's certificates: each is a CA, in date."""
    authorities = x509.load_pem_x509_certificates(ca_pem)
    assert authorities, "ca.pem holds no certificate"
    assert b"PRIVATE" not in ca_pem
    now = datetime.now(UTC)
    for authority in authorities:
        constraints = extension(authority, ExtensionOID.BASIC_CONSTRAINTS)
        assert constraints.critical and constraints.value.ca
        assert extension(authority, ExtensionOID.KEY_USAGE).value.key_cert_sign
        assert authority.not_valid_before_utc <= now <= authority.not_valid_after_utc
    return authorities


def check_credential(credential: dict, domain: str, domain_server_url: str, ca_pem: bytes):
    """One credential in full. Returns the leaf certificate."""
    chain = parse_chain(credential["x5c"])
    authorities = check_ca(ca_pem)
    leaf = chain[0]

    assert leaf.version is x509.Version.v3
    assert 64 <= leaf.serial_number.bit_length() <= 159, "serial of 64 to 159 bits, positive"
    assert leaf.serial_number > 0
    assert [(a.oid, a.value) for a in leaf.subject] == [(NameOID.COMMON_NAME, domain)]

    names = extension(leaf, ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == [f"{domain_server_url}#v{credential['keyVersion']}"]
    assert len(list(names)) == 1

    constraints = extension(leaf, ExtensionOID.BASIC_CONSTRAINTS)
    assert constraints.critical and not constraints.value.ca
    usage = extension(leaf, ExtensionOID.KEY_USAGE)
    assert usage.critical
    assert not usage.value.key_cert_sign and not usage.value.crl_sign

    assert extension(leaf, ExtensionOID.SUBJECT_KEY_IDENTIFIER).value.digest
    authority_id = extension(leaf, ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value.key_identifier
    issuer = chain[1]
    issuer_id = extension(issuer, ExtensionOID.SUBJECT_KEY_IDENTIFIER).value.digest
    assert authority_id == issuer_id

    for certificate, signer in zip(chain, chain[1:], strict=False):
        certificate.verify_directly_issued_by(signer)
    assert chain[-1] in authorities, "the chain ends in the domain CA"

    assert parse_time(credential["notBefore"]) == leaf.not_valid_before_utc
    assert parse_time(credential["notAfter"]) == leaf.not_valid_after_utc
    now = datetime.now(UTC)
    assert leaf.not_valid_before_utc <= now + timedelta(seconds=5)
    assert now < leaf.not_valid_after_utc
    return leaf


def check_private_key(private_jwk: dict, leaf: x509.Certificate):
    """The private JWK is complete, consistent, and the certificate's. Returns the private key."""
    key = jwk.import_key(private_jwk)
    private = key.private_key
    if isinstance(private, rsa.RSAPrivateKey):
        assert {"n", "e", "d", "p", "q", "dp", "dq", "qi"} <= set(private_jwk)
        assert private.public_key().public_numbers().e == 65537
        # Loading from PKCS #8 runs OpenSSL's consistency checks of the CRT parameters.
    serialization.load_der_private_key(
        private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        None,
    )
    assert public_bytes(private.public_key()) == public_bytes(leaf.public_key())
    return private


def openssl_verify(x5c: list[str], ca_pem: bytes, directory: Path, *flags: str):
    """`openssl verify` accepts the chain, with only the domain CA trusted."""
    pems = [c.public_bytes(serialization.Encoding.PEM) for c in parse_chain(x5c)]
    for name, data in (
        ("ca.pem", ca_pem),
        ("leaf.pem", pems[0]),
        ("untrusted.pem", b"".join(pems[1:])),
    ):
        (directory / name).write_bytes(data)
    command = ["openssl", "verify", *flags, "-CAfile", "ca.pem"]
    command += ["-untrusted", "untrusted.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "leaf.pem: OK"


def self_signed(key, common_name: str = "machine", days: int = 30) -> x509.Certificate:
    """A certificate over a machine's key, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def to_x5c(*certificates: x509.Certificate) -> list[str]:
    return [
        base64.b64encode(c.public_bytes(serialization.Encoding.DER)).decode() for c in certificates
    ]


def new_ca(name: str, issuer=None, padding: int = 0, key=None):
    """A CA of ten years, and its key; by itself, or by another CA and its key. With so many bytes
    in an extension that means nothing."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    unused = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **unused)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    if padding:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")
        extension = x509.UnrecognizedExtension(oid, bytes(padding))
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def key_pem(key) -> bytes:
    """A private key as PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
