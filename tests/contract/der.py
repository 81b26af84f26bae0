"""DER (X.690), read strictly: each value in the one way that there is to write it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 1, 2, 3, 4, 5, 6
UTF8, PRINTABLE, TELETEX, IA5, UTC_TIME, GENERALIZED_TIME = 12, 19, 20, 22, 23, 24
SEQUENCE, SET = 0x30, 0x31

_PRINTABLE = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?"
)


class NotDer(ValueError):
    """The bytes are no DER; the text says where in X.690 that is."""


@dataclass(frozen=True)
class Value:
    """A value: its first octet (class, constructed, number), contents, and all of its bytes."""

    tag: int
    content: bytes
    raw: bytes

    @property
    def parts(self) -> list["Value"]:
        """The values that a constructed one is made of."""
        if not self.tag & 0x20:
            raise NotDer(f"8.9, 8.11: tag {self.tag:#x} is not constructed")
        return list(values(self.content))

    def only(self) -> "Value":
        (part,) = self.parts
        return part

    def is_context(self, number: int) -> bool:
        """Whether it is tagged [number]."""
        return self.tag & 0xC0 == 0x80 and self.tag & 0x1F == number

    @property
    def integer(self) -> int:
        return int.from_bytes(self.content, "big", signed=True)

    @property
    def oid(self) -> str:
        """Dotted, as `2.5.29.15`."""
        arcs, arc = [], 0
        for octet in self.content:
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))

    @property
    def bits(self) -> list[bool]:
        """A bit string's, from bit 0 on."""
        unused = self.content[0]
        bits = [bool(octet >> 7 - bit & 1) for octet in self.content[1:] for bit in range(8)]
        return bits[: len(bits) - unused]

    @property
    def time(self) -> datetime:
        pattern = "%y%m%d%H%M%SZ" if self.tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        time = datetime.strptime(self.content.decode("ascii"), pattern).replace(tzinfo=UTC)
        # RFC 5280 section 4.1.2.5.1; Python's century begins in 1969.
        if self.tag == UTC_TIME and time.year >= 2050:
            time = time.replace(year=time.year - 100)
        return time


def read(data: bytes) -> Value:
    """The one value of these bytes, all of which are checked. Raises NotDer."""
    found = list(values(data))
    if len(found) != 1:
        raise NotDer(f"{len(found)} values instead of one")
    _check(found[0])
    return found[0]


def values(data: bytes) -> Iterator[Value]:
    """The values in these bytes, one after another."""
    at = 0
    while at < len(data):
        start = at
        tag = data[at]
        if tag & 0x1F == 0x1F:
            raise NotDer("8.1.2: a tag of several octets")
        length, at = _length(data, at + 1)
        if at + length > len(data):
            raise NotDer("8.1.3: the contents end before their length")
        yield Value(tag, data[at : at + length], data[start : at + length])
        at += length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length, and where the contents begin."""
    if at >= len(data):
        raise NotDer("8.1.3: no length")
    first, at = data[at], at + 1
    if first < 0x80:
        return first, at
    octets = data[at : at + (first & 0x7F)]
    length = int.from_bytes(octets, "big")
    if first == 0x80:
        raise NotDer("10.1: a length that is not definite")
    if not octets or octets[0] == 0 or length < 0x80:
        raise NotDer("10.1: a length in more octets than it needs")
    return length, at + len(octets)


def _check(value: Value):
    """A value and those in it. Of tagged values the tag does not tell what they are."""
    content = value.content
    if value.tag & 0x20:
        if not value.tag & 0xC0 and value.tag not in (SEQUENCE, SET):
            raise NotDer("10.2: a string that is constructed")
        parts = value.parts
        for part in parts:
            _check(part)
        raws = [part.raw for part in parts]
        if value.tag == SET and raws != sorted(raws):
            raise NotDer("10.3: a SET OF that is not in order")
        return
    problem = None
    match value.tag:
        case 0x10 | 0x11:
            problem = "8.9, 8.11: a SEQUENCE or SET that is not constructed"
        case 1 if content not in (b"\x00", b"\xff"):
            problem = "11.1: a BOOLEAN that is neither 00 nor FF"
        case 2 if not content:
            problem = "8.3.1: an INTEGER without octets"
        case 2 if len(content) > 1 and (content[0], content[1] >> 7) in ((0, 0), (0xFF, 1)):
            problem = "8.3.2: an INTEGER in more octets than it needs"
        case 3 if not content or content[0] > 7 or (len(content) == 1 and content[0]):
            problem = "8.6.2: a BIT STRING with a wrong number of unused bits"
        case 3 if content[-1] & (1 << content[0]) - 1:
            problem = "11.2.1: unused bits of a BIT STRING that are not zero"
        case 5 if content:
            problem = "8.8.2: a NULL with contents"
        case 6 if not content or content[-1] & 0x80:
            problem = "8.19: an OBJECT IDENTIFIER that does not end"
        case 6 if content[0] == 0x80 or b"\x80" in _starts(content):
            problem = "8.19.2: an arc in more octets than it needs"
        case 12:
            try:
                content.decode()
            except UnicodeDecodeError:
                problem = "8.23: a UTF8String that is not UTF-8"
        case 19 if not set(content) <= _PRINTABLE:
            problem = "X.680, 41.4: a PrintableString with other characters"
        case 22 if not content.isascii():
            problem = "X.680, 41: an IA5String with other characters"
        case 23 | 24 if not _is_time(value):
            problem = "11.7, 11.8: a time not to the second, or not in Z"
    if problem:
        raise NotDer(problem)


def _is_time(value: Value) -> bool:
    digits = value.content[:-1]
    if len(digits) != (12 if value.tag == UTC_TIME else 14) or not digits.isdigit():
        return False
    try:
        return value.time is not None
    except ValueError:
        return False


def _starts(content: bytes) -> bytes:
    """The octets of an OBJECT IDENTIFIER with which its arcs after the first begin."""
    return bytes(
        octet for before, octet in zip(content, content[1:], strict=False) if not before & 0x80
    )
