"""The rules of `rfc5280.py` themselves: certificates that keep all of them, and that break one."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

import der
from certificates import new_ca, public_bytes
from machines import ec_key, rsa_key
from rfc5280 import ALT_NAME, AUTHORITY_ID, CONSTRAINTS, EXTENDED, KEY_ID, KEY_USAGE, breaches

pytestmark = pytest.mark.of_sqlite  # They need no server, so once is enough.

NULL, TRUE, FALSE = b"\x05\x00", b"\x01\x01\xff", b"\x01\x01\x00"
KEY = ec_key()


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    octets = length.to_bytes(max(1, (length.bit_length() + 7) // 8), "big")
    return (
        bytes([tag]) + (octets if length < 128 else bytes([0x80 | len(octets)]) + octets) + content
    )


def sequence(*contents: bytes) -> bytes:
    return tlv(der.SEQUENCE, *contents)


def oid(dotted: str) -> bytes:
    first, second, *others = map(int, dotted.split("."))
    content = b""
    for arc in (40 * first + second, *others):
        octets = [arc & 0x7F]
        while arc := arc >> 7:
            octets.insert(0, 0x80 | arc & 0x7F)
        content += bytes(octets)
    return tlv(der.OID, content)


def name(text: str, tag: int = der.UTF8, attribute: str = "2.5.4.3") -> bytes:
    value = tlv(tag, text.encode())
    return sequence(tlv(der.SET, sequence(oid(attribute), value)))


def extension(which: str, value: bytes, critical: bytes = b"") -> bytes:
    return sequence(oid(which), critical, tlv(der.OCTET_STRING, value))


def usage(*octets: int) -> bytes:
    return extension(KEY_USAGE, tlv(der.BIT_STRING, bytes(octets)), TRUE)


def alt_name(tag: int, text: str, critical: bytes = b"") -> bytes:
    return extension(ALT_NAME, sequence(tlv(tag, text.encode())), critical)


SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
URI, DNS, ADDRESS = 0x86, 0x82, 0x87

USUAL = {
    "version": tlv(0xA0, tlv(der.INTEGER, b"\x02")),
    "serial": tlv(der.INTEGER, bytes(range(1, 17))),
    "algorithm": SHA256,
    "issuer": name("CA"),
    "not_before": tlv(der.UTC_TIME, b"261129000000Z"),
    "not_after": tlv(der.UTC_TIME, b"491231235959Z"),
    "subject": name("room"),
    "key": public_bytes(KEY.public_key()),
    "unique": b"",
    "constraints": extension(CONSTRAINTS, sequence(), TRUE),
    "usage": usage(3, 0x88),
    "key_id": extension(KEY_ID, tlv(der.OCTET_STRING, b"own")),
    "authority": extension(AUTHORITY_ID, sequence(tlv(0x80, b"the CA's"))),
    "alt_name": alt_name(URI, "https://domains.example/room/#v1"),
    "more": b"",
    "outer": SHA256,
}


def certificate(**parts: bytes) -> bytes:
    """A certificate of these parts, and of the usual ones; its signature is over something else."""
    part = {**USUAL, **parts}
    extensions = [
        part[name] for name in ("constraints", "usage", "key_id", "authority", "alt_name")
    ]
    tbs = sequence(
        part["version"],
        part["serial"],
        part["algorithm"],
        part["issuer"],
        sequence(part["not_before"], part["not_after"]),
        part["subject"],
        part["key"],
        part["unique"],
        tlv(0xA3, sequence(*extensions, part["more"])),
    )
    signature = part.get("signature", KEY.sign(b"another", ec.ECDSA(hashes.SHA256())))
    return sequence(tbs, part["outer"], tlv(der.BIT_STRING, b"\x00", signature))


CA_PARTS = {
    "subject": name("CA"),
    "constraints": extension(CONSTRAINTS, sequence(TRUE, tlv(der.INTEGER, b"\x00")), TRUE),
    "usage": usage(1, 0x06),
    "key_id": extension(KEY_ID, tlv(der.OCTET_STRING, b"the CA's")),
    "authority": b"",
    "alt_name": b"",
}
CA = certificate(**CA_PARTS)


def test_certificates_that_keep_the_rules():
    assert breaches(CA) == []
    assert breaches(certificate(), CA) == []
    after_2049 = tlv(der.GENERALIZED_TIME, b"20500101000000Z")
    assert breaches(certificate(not_after=after_2049), CA) == []
    unnamed = {"subject": sequence(), "alt_name": alt_name(DNS, "a.example", TRUE)}
    assert breaches(certificate(**unnamed), CA) == []
    ca, key = new_ca("Another", key=rsa_key(0))
    below, _ = new_ca("Below", (ca, key))
    encoded = [one.public_bytes(Encoding.DER) for one in (ca, below)]
    assert breaches(encoded[0]) == []
    # `new_ca` gives it no authority key identifier.
    assert breaches(encoded[1], encoded[0]) == ["4.2.1.1: it has no authorityKeyIdentifier"]


RSA_SPKI = public_bytes(rsa_key(0).public_key())
P384 = public_bytes(ec.generate_private_key(ec.SECP384R1()).public_key())

BREACHES = {
    "4.1.1.2": {"outer": sequence(oid("1.2.840.113549.1.1.11"), NULL)},
    "RFC 5758, 3.2": dict.fromkeys(
        ("algorithm", "outer"), sequence(oid("1.2.840.10045.4.3.2"), NULL)
    ),
    "RFC 4055, 5": dict.fromkeys(("algorithm", "outer"), sequence(oid("1.2.840.113549.1.1.11"))),
    "RFC 5758, 3:": dict.fromkeys(("algorithm", "outer"), sequence(oid("1.2.840.10045.4.3.3"))),
    "RFC 3279, 2.2.3": {"signature": sequence(tlv(2, b"\x01"), tlv(2, b"\xff"))},
    "4.1.2.1": {"version": b""},
    "4.1.2.2: the serial number is not": {"serial": tlv(der.INTEGER, b"\x80" + bytes(15))},
    "4.1.2.2: the serial number has": {"serial": tlv(der.INTEGER, b"\x01" + bytes(20))},
    "CA/Browser Forum, 7.1": {"serial": tlv(der.INTEGER, bytes(range(1, 8)))},
    "4.1.2.4: the issuer's name is empty": {"issuer": sequence()},
    "4.1.2.4: the issuer's name is not": {"issuer": name("CA", der.PRINTABLE)},
    "4.1.2.4: an attribute": {"subject": name("room", der.TELETEX)},
    "4.1.2.4: a relative name": {"subject": sequence(tlv(der.SET))},
    "A.1: ub-common-name": {"subject": name("r" * 65)},
    "A.1: countryName": {"subject": name("NOR", der.PRINTABLE, "2.5.4.6")},
    "4.1.2.5: until 2049": {"not_after": tlv(der.GENERALIZED_TIME, b"20491231235959Z")},
    "4.1.2.5: it ends": {"not_after": tlv(der.UTC_TIME, b"501231235959Z")},
    "X.690, 11.7, 11.8": {"not_after": tlv(der.UTC_TIME, b"4912312359Z")},
    "4.1.2.6": {"subject": sequence()},
    "4.1.2.8": {"unique": tlv(0x81, b"\x00\x01")},
    "4.1: critical is FALSE": {"key_id": extension(KEY_ID, tlv(der.OCTET_STRING, b"own"), FALSE)},
    "4.2: extension 2.5.29.14": {"more": extension(KEY_ID, tlv(der.OCTET_STRING, b"own"))},
    "4.2: nobody knows": {"more": extension("1.3.6.1.4.1.32473.1", NULL, TRUE)},
    "4.2.1.1: it has no": {"authority": b""},
    "4.2.1.1: authorityKeyIdentifier is not": {
        "authority": extension(AUTHORITY_ID, sequence(tlv(0x80, b"another's")))
    },
    "4.2.1.1: authorityKeyIdentifier is critical": {
        "authority": extension(AUTHORITY_ID, sequence(tlv(0x80, b"the CA's")), TRUE)
    },
    "4.2.1.2: it has no": {"key_id": b""},
    "4.2.1.2: subjectKeyIdentifier is critical": {
        "key_id": extension(KEY_ID, tlv(der.OCTET_STRING, b"own"), TRUE)
    },
    "4.2.1.3: keyUsage is not critical": {
        "usage": extension(KEY_USAGE, tlv(der.BIT_STRING, b"\x03\x88"))
    },
    "4.2.1.3: keyUsage has no bit": {"usage": usage(0)},
    "X.690, 11.2.2": {"usage": usage(2, 0x88)},
    "X.690, 11.2.1": {"usage": usage(3, 0x89)},
    "4.2.1.3, 4.2.1.9": {"usage": usage(2, 0x84)},
    "4.2.1.3: encipherOnly": {"usage": usage(0, 0x81)},
    "RFC 8813, 3": {"usage": usage(5, 0xA0)},
    "RFC 3279, 2.3.1: an RSA key": {"key": RSA_SPKI},
    "RFC 3279, 2.3.1: the parameters": {
        "key": sequence(
            sequence(oid("1.2.840.113549.1.1.1")),
            *(part.raw for part in der.read(RSA_SPKI).parts[1:]),
        ),
        "usage": usage(5, 0xA0),
    },
    "RFC 5480, 2.1.1.1": {"key": P384},
    "4.2.1.6: subjectAltName": {"alt_name": extension(ALT_NAME, sequence())},
    "4.2.1.6: with a subject": {"alt_name": alt_name(URI, "https://domains.example/", TRUE)},
    "4.2.1.6: a URI": {"alt_name": alt_name(URI, "/room")},
    "4.2.1.6: a dNSName": {"alt_name": alt_name(DNS, "a..example")},
    "4.2.1.6: an iPAddress": {"alt_name": alt_name(ADDRESS, "127.0.0.1")},
    "4.2.1.9: cA is FALSE": {"constraints": extension(CONSTRAINTS, sequence(FALSE), TRUE)},
    "4.2.1.9: only a CA": {
        "constraints": extension(CONSTRAINTS, sequence(tlv(der.INTEGER, b"\x00")), TRUE)
    },
    "4.2.1.12: extKeyUsage": {"more": extension(EXTENDED, sequence())},
    "4.2.1.12: keyUsage": {
        "usage": usage(6, 0x40),
        "more": extension(EXTENDED, sequence(oid("1.3.6.1.5.5.7.3.2"))),
    },
    "X.690, 8.3.2": {"serial": tlv(der.INTEGER, b"\x00" + bytes(range(1, 17)))},
    "X.690, 8.23": {"subject": sequence(tlv(der.SET, sequence(oid("2.5.4.3"), tlv(12, b"\xff"))))},
    "X.690, 10.3": {
        "subject": sequence(
            tlv(der.SET, *(der.read(name(text)).only().only().raw for text in ("b", "a")))
        )
    },
}


@pytest.mark.parametrize("rule", BREACHES)
def test_a_breach_of_each_rule(rule):
    found = breaches(certificate(**BREACHES[rule]), CA)
    assert [breach for breach in found if breach.startswith(rule)], found


CA_BREACHES = {
    "4.1.2.6: a CA's name": {"subject": sequence(), "issuer": sequence()},
    "4.2.1.2: it has no": {"key_id": b""},
    "4.2.1.3: a CA has no": {"usage": b""},
    "4.2.1.3, 4.2.1.9": {"usage": usage(1, 0x02)},
    "4.2.1.9: a CA's": {"constraints": extension(CONSTRAINTS, sequence(TRUE))},
    "4.2.1.9: pathLenConstraint is": {
        "constraints": extension(CONSTRAINTS, sequence(TRUE, tlv(der.INTEGER, b"\xff")), TRUE)
    },
    "X.690, 11.1": {
        "constraints": extension(CONSTRAINTS, sequence(tlv(der.BOOLEAN, b"\x01")), TRUE)
    },
}


@pytest.mark.parametrize("rule", CA_BREACHES)
def test_a_breach_of_each_rule_for_cas(rule):
    found = breaches(certificate(**{**CA_PARTS, **CA_BREACHES[rule]}))
    assert [breach for breach in found if breach.startswith(rule)], found


def test_an_issuer_is_a_ca_and_may_issue():
    leaf = certificate(subject=name("CA"), key_id=CA_PARTS["key_id"])
    assert "6.1.4: the issuer is no CA" in breaches(certificate(), leaf)
    below = {**CA_PARTS, "subject": name("Below"), "authority": USUAL["authority"]}
    assert "6.1.4: the issuer issues no CAs" in breaches(certificate(**below), CA)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x81\x02\x05\x00",
        b"\x30\x03\x05\x00",
        b"\x30\x02\x05\x00" * 2,
        b"\x1f\x81\x01\x00",
        b"\x24\x02\x04\x00",
        CA + b"\x00",
        CA[:-1],
    ],
)
def test_what_is_no_der(data):
    assert breaches(data)


def test_times():
    for year, digits in ((1950, b"500101000000Z"), (2049, b"490101000000Z")):
        time = der.read(tlv(der.UTC_TIME, digits)).time
        assert time == datetime(year, 1, 1, tzinfo=UTC)
