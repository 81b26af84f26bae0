"""Malformed requests: the payload, the `url`, the HTTP around them, the domain's name."""

import json
import time
import uuid

from client import Client
from machines import compact
from malformed import REQUEST, Case, Context, Sent

EXPIRED = ("REQUEST_EXPIRED",)
# A time that no clock shows: unfit as a number, or merely far off; the contract does not say.
EXPIRED_OR_UNFIT = EXPIRED + REQUEST
BAD_NAME = ("INVALID_DOMAIN_NAME",)


def payload(c: Context, **changes) -> dict:
    return c.signed(payload=changes)


def _of(c: Context, **changes) -> str:
    return json.dumps({"machineGuid": c.member.guid, "iat": int(time.time()), **changes})


def _another_guid(template: str) -> str:
    return template % f'"machineGuid":"{uuid.uuid4()}"'


PAYLOAD = [
    Case("empty", lambda c: c.raw_payload(""), REQUEST),
    Case("not JSON", lambda c: c.raw_payload("PAYLOAD"), REQUEST),
    Case("an array", lambda c: c.raw_payload("[{PAYLOAD}]"), REQUEST),
    Case("a string", lambda c: c.raw_payload(json.dumps(_of(c))), REQUEST),
    Case("null", lambda c: c.raw_payload("null"), REQUEST),
    Case("text behind it", lambda c: c.raw_payload("{PAYLOAD} x"), REQUEST),
    Case("not UTF-8", lambda c: c.raw_payload(b'{"machineGuid":"\xff\xfe"}'), REQUEST),
    Case("machineGuid twice", lambda c: c.raw_payload(_another_guid("{%s,PAYLOAD}")), REQUEST),
    Case("iat twice", lambda c: c.raw_payload('{PAYLOAD,"iat":1}'), REQUEST),
    Case("an unknown member twice", lambda c: c.raw_payload('{"a":1,PAYLOAD,"a":2}'), REQUEST),
    Case(
        "the same name, escaped",
        lambda c: c.raw_payload('{PAYLOAD,"\\u0069at":1}'),
        REQUEST,
    ),
    Case(
        "preview twice",
        lambda c: c.raw_payload('{PAYLOAD,"preview":true,"preview":false}', "deregister"),
        REQUEST,
        "deregister",
    ),
]


def guid(name: str, change) -> Case:
    """A case whose `machineGuid` is `change` of a random one; None leaves it out."""
    return Case(f"machineGuid {name}", lambda c: payload(c, machineGuid=change(_uuid())), REQUEST)


def _uuid() -> str:
    return str(uuid.uuid4())


GUID = [
    guid("missing", lambda g: None),
    guid("empty", lambda g: ""),
    guid("nil", lambda g: str(uuid.UUID(int=0))),
    guid("max", lambda g: str(uuid.UUID(int=2**128 - 1))),
    guid("max in capitals", lambda g: str(uuid.UUID(int=2**128 - 1)).upper()),
    guid("without hyphens", lambda g: g.replace("-", "")),
    guid("with its hyphens elsewhere", lambda g: f"{g.replace('-', '')[:30]}----{g[-2:]}"),
    guid("in braces", lambda g: f"{{{g}}}"),
    guid("as a URN", lambda g: f"urn:uuid:{g}"),
    guid("a digit short", lambda g: g[:-1]),
    guid("a digit long", lambda g: g + "0"),
    guid("not hexadecimal", lambda g: "g" + g[1:]),
    guid("in full-width digits", lambda g: "\uff10" + g[1:]),
    guid("with a space before", lambda g: " " + g),
    guid("with a line break behind", lambda g: g + "\n"),
    guid("with a NUL behind", lambda g: g + "\0"),
    guid("of 10,000 characters", lambda g: g * 278),
    guid("a number", lambda g: 12),
    guid("an array", lambda g: [g]),
    guid("true", lambda g: True),
    Case("machineGuid null", lambda c: c.raw_payload(_of(c, machineGuid=None)), REQUEST),
]


def iat(name: str, value: str, errors=REQUEST) -> Case:
    text = f'{{"machineGuid":"{_uuid()}","iat":{value}}}'
    return Case(f"iat {name}", lambda c: c.raw_payload(text), errors)


def late(name: str, seconds: int) -> Case:
    return Case(f"iat {name}", lambda c: payload(c, iat=int(time.time()) + seconds), EXPIRED)


IAT = [
    Case("iat missing", lambda c: payload(c, iat=None), REQUEST),
    iat("null", "null"),
    iat("a string", '"1800000000"'),
    iat("true", "true"),
    iat("an array", "[1800000000]"),
    iat("an ISO date", '"2026-11-22T19:41:28Z"'),
    iat("NaN", "NaN"),
    iat("Infinity", "Infinity"),
    iat("with a leading zero", "01800000000"),
    iat("1e400", "1e400", EXPIRED_OR_UNFIT),
    iat("-1e400", "-1e400", EXPIRED_OR_UNFIT),
    iat("negative", "-1800000000", EXPIRED_OR_UNFIT),
    iat("zero", "0", EXPIRED),
    iat("2^63", str(2**63), EXPIRED_OR_UNFIT),
    iat("2^64 and now", str(2**64 + int(time.time())), EXPIRED_OR_UNFIT),
    iat("of 400 digits", "9" * 400, EXPIRED_OR_UNFIT),
    late("of an hour ago", -3600),
    late("of ten minutes ago", -600),
    late("in ten minutes", 600),
    late("in a year", 31_536_000),
    iat("in milliseconds", str(int(time.time()) * 1000), EXPIRED_OR_UNFIT),
    Case(
        "iat of an hour ago, to leave",
        lambda c: c.raw_payload(_of(c, iat=int(time.time()) - 3600), "deregister"),
        EXPIRED,
        "deregister",
    ),
]


MEMBERS = (
    [
        Case(
            f"preview {name}",
            lambda c, v=value: c.raw_payload(f'{{PAYLOAD,"preview":{v}}}', "deregister"),
            REQUEST,
            "deregister",
        )
        for name, value in {
            "a string": '"true"',
            "0": "0",
            "1": "1",
            "null": "null",
            "an object": "{}",
        }.items()
    ]
    + [
        Case(
            f"knownKeyVersion {name}",
            lambda c, v=value: c.raw_payload(f'{{PAYLOAD,"knownKeyVersion":{v}}}'),
            REQUEST,
        )
        for name, value in {
            "0": "0",
            "-1": "-1",
            "1.5": "1.5",
            "a string": '"1"',
            "true": "true",
            "null": "null",
            "an array": "[1]",
            "1e400": "1e400",
        }.items()
    ]
    + [
        Case(
            f"currentDomain {name}",
            lambda c, v=value: c.raw_payload(f'{{PAYLOAD,"currentDomain":{v}}}'),
            REQUEST,
        )
        for name, value in {"a number": "7", "null": "null", "an array": '["d"]'}.items()
    ]
)


def url(name: str, change, public_origin=False) -> Case:
    """A case whose `url` is `change` of the right one; None leaves it out."""

    def build(c: Context) -> dict:
        return c.signed(header={"url": change(c.url())})

    return Case(f"url {name}", build, REQUEST, with_public_origin=public_origin)


URL = [
    url("missing", lambda u: None),
    url("empty", lambda u: ""),
    url("a number", lambda u: 1),
    url("an array", lambda u: [u]),
    url("relative", lambda u: "/" + u.split("/", 3)[3]),
    url("without a scheme", lambda u: u.split(":", 1)[1]),
    url("no URL", lambda u: "register"),
    url("of de-registration", lambda u: u.replace("register", "deregister")),
    url("of another domain", lambda u: u.replace("/register", "x/register")),
    url("of an alias", lambda u: u.replace("register", "flashaccess/domain/v3")),
    url("in other capitals", lambda u: u.replace("flashaccess", "FlashAccess")),
    url("of the root", lambda u: "/".join(u.split("/", 3)[:3]) + "/"),
    url("of another host", lambda u: u.replace("domains.example", "evil.example"), True),
    url("of another scheme", lambda u: u.replace("https:", "http:"), True),
    url("of another port", lambda u: u.replace(".example", ".example:8443"), True),
    url("of a longer host", lambda u: u.replace(".example", ".example.evil"), True),
    url("with the host as a user", lambda u: u.replace(".example", ".example@evil"), True),
]


def usual(c: Context) -> bytes:
    return compact(c.signed())


def large(c: Context, size: int) -> bytes:
    """A valid request but for its length, `size` bytes."""
    signed = {**c.signed(), "padding": ""}
    return compact({**signed, "padding": "x" * (size - len(compact(signed)))})


TOO_LARGE = ("PAYLOAD_TOO_LARGE",)
WRONG_TYPE = ("UNSUPPORTED_MEDIA_TYPE",)

HTTP = [
    Case("64 KiB and a byte", lambda c: large(c, 65537), TOO_LARGE),
    Case("1 MiB", lambda c: large(c, 1 << 20), TOO_LARGE),
    Case("64 KiB and a byte, chunked", lambda c: Sent(large(c, 65537), chunked=True), TOO_LARGE),
    Case("no media type", lambda c: Sent(usual(c), media_type=None), WRONG_TYPE),
    Case("empty media type", lambda c: Sent(usual(c), media_type=""), WRONG_TYPE),
] + [
    Case(f"media type {m}", lambda c, m=m: Sent(usual(c), media_type=m), WRONG_TYPE)
    for m in (
        "application/json",
        "application/jose",
        "text/plain",
        "application/jose+jsonx",
        "application/x-www-form-urlencoded",
    )
]

NAMES = {
    "an encoded slash": "a%2Fb",
    "an encoded backslash": "a%5Cb",
    "a leading dot": ".hidden",
    "a leading hyphen": "-a",
    "a leading underscore": "_a",
    "two dots, encoded": "%2E%2E",
    "129 characters": "a" * 129,
    "1,000 characters": "a" * 1_000,
    "a letter beyond ASCII": "caf%C3%A9",
    "not UTF-8": "a%FF",
    "a full-width letter": "%EF%BD%81",
    "encoded twice": "a%2562",
    "a percent sign": "a%25",
    "half an escape": "a%4",
    "no escape": "a%zz",
    "a space": "a%20b",
    "a plus": "a+b",
    "a NUL": "a%00",
    "a line break behind": "a%0A",
    "a tilde": "a~b",
    "a colon": "a:b",
    "a semicolon": "a;b",
    "an at sign": "a@b",
    "an asterisk": "*",
}


def badly_named(what: str, name: str, action: str) -> Case:
    def build(c: Context) -> Sent:
        target = Client.path(name, action)
        if action == "":
            return Sent(target=target, method="GET", media_type=None)
        return Sent(c.machine.request(c.client.url(target)), target=target)

    return Case(f"name with {what}, {action or 'description'}", build, BAD_NAME)


NAME = [
    badly_named(what, name, action)
    for what, name in NAMES.items()
    for action in ("register", "deregister", "")
] + [badly_named("a leading dot, by an alias", ".a", "flashaccess/domain/v3")]
