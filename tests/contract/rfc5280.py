"""Rules of RFC 5280 for certificates, and of what it refers to, on a certificate's bytes.

Each breach begins with the section of RFC 5280 that has the rule, or with that of another document.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import der
from der import Value

ECDSA_SHA256, RSA_SHA256 = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11"
EC_KEY, RSA_KEY, P256 = "1.2.840.10045.2.1", "1.2.840.113549.1.1.1", "1.2.840.10045.3.1.7"
KEY_ID, KEY_USAGE, ALT_NAME, CONSTRAINTS, AUTHORITY_ID, EXTENDED = (
    f"2.5.29.{number}" for number in (14, 15, 17, 19, 35, 37)
)

# Upper bounds of attributes of names, in characters (appendix A.1).
BOUNDS = {
    "2.5.4.3": ("ub-common-name", 64),
    "2.5.4.5": ("ub-serial-number", 64),
    "2.5.4.6": ("countryName", 2),
    "2.5.4.7": ("ub-locality-name", 128),
    "2.5.4.8": ("ub-state-name", 128),
    "2.5.4.10": ("ub-organization-name", 64),
    "2.5.4.11": ("ub-organizational-unit-name", 64),
}

# Attributes that are IA5Strings: domainComponent and emailAddress.
IA5_ATTRIBUTES = {"0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"}

# Bits of keyUsage.
SIGNATURE, KEY_ENCIPHERMENT, DATA_ENCIPHERMENT, KEY_AGREEMENT, CERT_SIGN = 0, 2, 3, 4, 5
ENCIPHER_ONLY, DECIPHER_ONLY = 7, 8


@dataclass
class Extension:
    critical: bool
    value: Value


class Parsed:
    """A certificate's parts. What keeps it from being read whole is a breach too."""

    def __init__(self, data: bytes):
        self.breaches: list[str] = []
        certificate = der.read(data)
        tbs, self.algorithm, self.signature = certificate.parts
        fields = tbs.parts
        self.version = fields.pop(0).only().integer + 1 if fields[0].is_context(0) else 1
        self.serial, self.inner_algorithm, self.issuer, validity, self.subject, self.key = fields[
            :6
        ]
        self.not_before, self.not_after = validity.parts
        self.optional = fields[6:]
        self.extensions: dict[str, Extension] = {}
        for field in self.optional:
            if field.is_context(3):
                for extension in field.only().parts:
                    self._add(extension.parts)

    def _add(self, parts: list[Value]):
        name, value = parts[0].oid, parts[-1]
        critical = len(parts) == 3 and parts[1].content == b"\xff"
        if len(parts) == 3 and not critical:
            self.breaches.append("4.1: critical is FALSE, which is the default and not encoded")
        if name in self.extensions:
            self.breaches.append(f"4.2: extension {name} is there twice")
        self.extensions[name] = Extension(critical, der.read(value.content))

    def extension(self, name: str) -> Value | None:
        return self.extensions[name].value if name in self.extensions else None

    def critical(self, name: str) -> bool:
        return name in self.extensions and self.extensions[name].critical

    @property
    def is_ca(self) -> bool:
        """What basicConstraints says, before it is known whether it says so correctly."""
        constraints = self.extension(CONSTRAINTS)
        return constraints is not None and constraints.content[:3] == b"\x01\x01\xff"

    @property
    def usages(self) -> set[int]:
        usage = self.extension(KEY_USAGE)
        return set() if usage is None else {bit for bit, on in enumerate(usage.bits) if on}

    @property
    def is_self_issued(self) -> bool:
        return self.issuer.raw == self.subject.raw


def breaches(data: bytes, issuer: bytes | None = None) -> list[str]:
    """What is against the rules in a certificate, which `issuer` issued, or else itself."""
    try:
        own = Parsed(data)
        theirs = Parsed(issuer) if issuer else own
        checks = (_fields, _names, _times, _key, _constraints, _usage, _extended, _alt_name, _ids)
        found = [breach for check in checks for breach in check(own)]
        return own.breaches + found + list(_issued(own, theirs))
    except der.NotDer as error:
        return [f"X.690, {error}"]
    except (ValueError, IndexError) as error:
        return [f"4.1: it is not of the right form: {error}"]


def _fields(own: Parsed):
    if own.algorithm.raw != own.inner_algorithm.raw:
        yield "4.1.1.2: the two signature algorithms differ"
    name, *parameters = own.algorithm.parts
    if name.oid == ECDSA_SHA256:
        if parameters:
            yield "RFC 5758, 3.2: ecdsa-with-SHA256 has no parameters"
        numbers = der.read(own.signature.content[1:]).parts
        if len(numbers) != 2 or any(number.integer < 1 for number in numbers):
            yield "RFC 3279, 2.2.3: a signature is two positive numbers"
    elif name.oid == RSA_SHA256:
        if [part.tag for part in parameters] != [der.NULL]:
            yield "RFC 4055, 5: the parameters of sha256WithRSAEncryption are NULL"
    else:
        yield f"RFC 5758, 3: the signature algorithm {name.oid} is none of this server's"
    if own.version != 3:
        yield "4.1.2.1: with extensions it is of version 3"
    if own.serial.integer <= 0:
        yield "4.1.2.2: the serial number is not positive"
    if len(own.serial.content) > 20:
        yield "4.1.2.2: the serial number has more than 20 octets"
    if own.serial.integer.bit_length() < 64:
        yield "CA/Browser Forum, 7.1: the serial number has less than 64 bits"
    for field in own.optional:
        if not field.is_context(3):
            yield "4.1.2.8: it has a unique identifier"
    for name in own.extensions:
        known = {KEY_ID, KEY_USAGE, ALT_NAME, CONSTRAINTS, AUTHORITY_ID, EXTENDED}
        if own.critical(name) and name not in known:
            yield f"4.2: nobody knows the critical extension {name}"


def _names(own: Parsed):
    if not own.issuer.parts:
        yield "4.1.2.4: the issuer's name is empty"
    if not own.subject.parts:
        if own.is_ca:
            yield "4.1.2.6: a CA's name is empty"
        if not own.critical(ALT_NAME):
            yield "4.1.2.6: without a subject, subjectAltName is there and critical"
    for relative in own.issuer.parts + own.subject.parts:
        if relative.tag != der.SET or not relative.parts:
            yield "4.1.2.4: a relative name is a set of attributes"
        for attribute in relative.parts:
            name, value = attribute.parts
            is_ia5 = name.oid in IA5_ATTRIBUTES
            if value.tag not in ([der.IA5] if is_ia5 else [der.UTF8, der.PRINTABLE]):
                yield "4.1.2.4: an attribute is a PrintableString or UTF8String"
                continue
            bound, longest = BOUNDS.get(name.oid, ("ub-name", 32768))
            length = len(value.content.decode())
            if not 1 <= length <= longest:
                yield f"A.1: {bound}: {length} characters"


def _times(own: Parsed):
    for time in (own.not_before, own.not_after):
        if time.tag == der.GENERALIZED_TIME and time.time.year < 2050:
            yield "4.1.2.5: until 2049 a time is a UTCTime"
        elif time.tag not in (der.UTC_TIME, der.GENERALIZED_TIME):
            yield "4.1.2.5: a time is neither UTCTime nor GeneralizedTime"
    if own.not_before.time > own.not_after.time:
        yield "4.1.2.5: it ends before it begins"


def _key(own: Parsed):
    algorithm, bits = own.key.parts
    name, *parameters = algorithm.parts
    point = bits.content[1:]
    if bits.content[0]:
        yield "4.1.2.7: a key has whole octets"
    if name.oid == RSA_KEY:
        if [part.tag for part in parameters] != [der.NULL]:
            yield "RFC 3279, 2.3.1: the parameters of rsaEncryption are NULL"
        modulus, exponent = (number.integer for number in der.read(point).parts)
        if modulus.bit_length() < 2048 or modulus % 2 == 0:
            yield "RFC 8017, 3.1: the modulus is even, or of less than 2048 bits"
        if exponent != 65537:
            yield "CA/Browser Forum, 6.1.6: the exponent is not 65537"
    elif name.oid == EC_KEY:
        if [part.oid for part in parameters] != [P256]:
            yield "RFC 5480, 2.1.1.1: the parameters name no curve, or not P-256"
        if (len(point), point[0]) != (65, 4):
            yield "RFC 5480, 2.2: the point is not of 65 octets"
    else:
        yield f"RFC 3279, 2.3: the key's algorithm {name.oid} is none of this server's"


def _constraints(own: Parsed):
    constraints = own.extension(CONSTRAINTS)
    if constraints is None:
        return
    parts = constraints.parts
    states_ca = parts and parts[0].tag == der.BOOLEAN
    if states_ca and parts.pop(0).content == b"\x00":
        yield "4.2.1.9: cA is FALSE, which is the default and not encoded"
    if parts and not (own.is_ca and CERT_SIGN in own.usages):
        yield "4.2.1.9: only a CA that signs certificates has a pathLenConstraint"
    if any(part.integer < 0 for part in parts):
        yield "4.2.1.9: pathLenConstraint is negative"
    if own.is_ca and not own.critical(CONSTRAINTS):
        yield "4.2.1.9: a CA's basicConstraints is not critical"


def _usage(own: Parsed):
    usage, usages = own.extension(KEY_USAGE), own.usages
    if usage is None:
        if own.is_ca:
            yield "4.2.1.3: a CA has no keyUsage"
        return
    if not own.critical(KEY_USAGE):
        yield "4.2.1.3: keyUsage is not critical"
    if not usages:
        yield "4.2.1.3: keyUsage has no bit"
    elif not usage.bits[-1]:
        yield "X.690, 11.2.2: keyUsage has zeros at its end"
    if (CERT_SIGN in usages) != own.is_ca:
        yield "4.2.1.3, 4.2.1.9: keyCertSign and cA do not agree"
    if usages & {ENCIPHER_ONLY, DECIPHER_ONLY} and KEY_AGREEMENT not in usages:
        yield "4.2.1.3: encipherOnly and decipherOnly are about keyAgreement"
    algorithm = own.key.parts[0].parts[0].oid
    if algorithm == EC_KEY and usages & {KEY_ENCIPHERMENT, DATA_ENCIPHERMENT}:
        yield "RFC 8813, 3: an EC key enciphers nothing"
    if algorithm == RSA_KEY and KEY_AGREEMENT in usages:
        yield "RFC 3279, 2.3.1: an RSA key agrees on nothing"


def _extended(own: Parsed):
    extended = own.extension(EXTENDED)
    if extended is None:
        return
    purposes = [purpose.oid for purpose in extended.parts]
    if not purposes or len(purposes) > len(set(purposes)):
        yield "4.2.1.12: extKeyUsage names no purpose, or one twice"
    # serverAuth, clientAuth: what section 4.2.1.12 says of each.
    allowed = {SIGNATURE, KEY_ENCIPHERMENT, KEY_AGREEMENT}
    is_for_tls = set(purposes) & {"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}
    if is_for_tls and own.usages and not own.usages & allowed:
        yield "4.2.1.12: keyUsage allows nothing that its purpose needs"


def _alt_name(own: Parsed):
    alt_name = own.extension(ALT_NAME)
    if alt_name is None:
        return
    if not alt_name.parts:
        yield "4.2.1.6: subjectAltName is empty"
    if own.subject.parts and own.critical(ALT_NAME):
        yield "4.2.1.6: with a subject, subjectAltName is not critical"
    for name in alt_name.parts:
        text = name.content
        if name.is_context(2) and not is_host(text.decode("ascii")):
            yield "4.2.1.6: a dNSName is no DNS name"
        elif name.is_context(6) and not is_absolute_uri(text):
            yield "4.2.1.6: a URI is not absolute, or has no host"
        elif name.is_context(7) and len(text) not in (4, 16):
            yield "4.2.1.6: an iPAddress is not of 4 or 16 octets"
        elif not any(name.is_context(kind) for kind in (2, 6, 7)):
            yield "4.2.1.6: a name is of a kind that this server has none of"


def is_host(text: str) -> bool:
    """A DNS name (RFC 1123 section 2.1). With underscores, which names of machines do have."""
    labels = text.split(".")
    form = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
    return len(text) <= 253 and all(form.fullmatch(label) for label in labels)


def is_absolute_uri(octets: bytes) -> bool:
    """An absolute URI (RFC 3986 section 4.3), here with a fragment, whose host is a DNS name or an
    address."""
    if not re.fullmatch(rb"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", octets):
        return False
    try:
        parts = urlsplit(octets.decode("ascii"))
        _ = parts.port
        host = parts.hostname or ""
        if parts.netloc.startswith("["):
            return bool(parts.scheme and ipaddress.IPv6Address(host)) and "%" not in host
        return bool(parts.scheme) and is_host(host.removesuffix("."))
    except ValueError:
        return False


def _ids(own: Parsed):
    for name, what in ((KEY_ID, "4.2.1.2: subject"), (AUTHORITY_ID, "4.2.1.1: authority")):
        if own.critical(name):
            yield f"{what}KeyIdentifier is critical"
    identifier = own.extension(KEY_ID)
    if identifier is None:
        yield "4.2.1.2: it has no subjectKeyIdentifier"
    elif identifier.tag != der.OCTET_STRING or not identifier.content:
        yield "4.2.1.2: subjectKeyIdentifier is no octet string"


def _issued(own: Parsed, theirs: Parsed):
    """What a certificate and its issuer's must have in common."""
    if own.issuer.raw != theirs.subject.raw:
        yield "4.1.2.4: the issuer's name is not the CA's, byte for byte"
    authority, identifier = own.extension(AUTHORITY_ID), theirs.extension(KEY_ID)
    if authority is None:
        if own is not theirs:
            yield "4.2.1.1: it has no authorityKeyIdentifier"
    else:
        first = authority.parts[0]
        if not first.is_context(0) or identifier is None or first.content != identifier.content:
            yield "4.2.1.1: authorityKeyIdentifier is not the CA's subjectKeyIdentifier"
    if own is theirs:
        return
    if not theirs.is_ca or CERT_SIGN not in theirs.usages:
        yield "6.1.4: the issuer is no CA"
    limits = [part for part in theirs.extension(CONSTRAINTS).parts if part.tag == der.INTEGER]
    if own.is_ca and not own.is_self_issued and any(limit.integer < 1 for limit in limits):
        yield "6.1.4: the issuer issues no CAs"


def lifetime(data: bytes) -> tuple[datetime, datetime]:
    """From when until when a certificate is good."""
    own = Parsed(data)
    return own.not_before.time, own.not_after.time
