"""Malformed requests: the JSON, the JWS around it, base64url, the protected header."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from machines import b64url, compact, resign
from malformed import EITHER, REQUEST, Case, Context

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def text(c: Context) -> str:
    return compact(c.signed()).decode()


def changed(c: Context, **parts) -> dict:
    """A usual request with members of its JSON replaced after it was signed; None removes one."""
    return {k: v for k, v in {**c.signed(), **parts}.items() if v is not None}


def general(c: Context) -> dict:
    signed = c.signed()
    payload = signed.pop("payload")
    return {"payload": payload, "signatures": [signed]}


def joined_parts(c: Context) -> str:
    signed = c.signed()
    return ".".join(signed[name] for name in ("protected", "payload", "signature"))


def with_padding(part: str) -> str:
    return part + "=" * (-len(part) % 4 or 4)


def loose_bits(part: str) -> str:
    """The same bytes with the unused bits of the last character set; `part` must have some."""
    assert len(part) % 4 in (2, 3)
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) | 1]


def other_alphabet(part: str) -> str:
    assert "_" in part
    return part.replace("-", "+").replace("_", "/")


def uneven(c: Context, name: str) -> str:
    """A part of a usual request with unused bits in its last character and `_` in its midst."""
    for pad in range(3):
        machine = c.machine
        header = {**machine.header(c.url()), "pad": "?" * (6 + pad)}
        payload = {**machine.payload(), "pad": "?" * (6 + pad)}
        part = b64url(compact(header if name == "protected" else payload))
        if len(part) % 4 in (2, 3):
            return part
    raise AssertionError("three lengths in a row cannot all be whole")


def header(c: Context, machine=None, alg=None, **changes) -> dict:
    return c.signed(machine, header=changes, alg=alg)


def under_alg(c: Context, alg, machine=None, signed_by=None) -> dict:
    machine = machine or c.machine
    return c.signed(machine, header={"alg": alg}, alg=signed_by or machine.alg)


def without_alg(c: Context) -> dict:
    members = c.machine.header(c.url())
    del members["alg"]
    return c.machine.forge(compact(members), compact(c.machine.payload()))


def jwk_member_twice(c: Context) -> str:
    x = c.machine.public_jwk["x"]
    usual = compact(c.machine.header(c.url())).decode()
    return usual.replace('"jwk":{', f'"jwk":{{"x":"{x}",')


def unencoded(c: Context) -> dict:
    """RFC 7797: the payload as it is, and the signature over that."""
    protected = b64url(compact({**c.machine.header(c.url()), "b64": False, "crit": ["b64"]}))
    payload = compact(c.machine.payload()).decode()
    return resign({"protected": protected, "payload": payload}, c.machine.key, "ES256")


def hs256_with_the_public_key(c: Context, form: str) -> dict:
    machine = c.rsa
    public = machine.key.public_key()
    key = {
        "PEM": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "modulus": public.public_numbers().n.to_bytes(256, "big"),
        "JWK": compact(machine.public_jwk),
    }[form]
    parts = c.signed(machine, header={"alg": "HS256"}, alg="RS256")
    return resign(parts, key, "HS256")


def oct_key(c: Context) -> dict:
    key = b"0123456789abcdef0123456789abcdef"
    jwk = {"kty": "oct", "k": b64url(key)}
    return resign(c.signed(header={"alg": "HS256", "jwk": jwk}), key, "HS256")


def ed25519_key(c: Context) -> dict:
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url(key.public_key().public_bytes_raw())}
    parts = c.signed(header={"alg": "EdDSA", "jwk": jwk})
    message = f"{parts['protected']}.{parts['payload']}".encode()
    return {**parts, "signature": b64url(key.sign(message))}


ENVELOPE = [
    Case("empty body", lambda c: b"", REQUEST),
    Case("not JSON", lambda c: b"machineGuid=1", REQUEST),
    Case("cut short", lambda c: text(c)[:-1], REQUEST),
    Case("text after the JSON", lambda c: text(c) + "{}", REQUEST),
    Case("not UTF-8", lambda c: b'{"payload":"\xff"}', REQUEST),
    Case("an array", lambda c: f"[{text(c)}]", REQUEST),
    Case("a string", lambda c: json.dumps(text(c)), REQUEST),
    Case("null", lambda c: b"null", REQUEST),
    Case("an empty object", lambda c: b"{}", REQUEST),
    Case("60,000 brackets", lambda c: b"[" * 60_000, REQUEST),
    Case("compact serialization", joined_parts, REQUEST),
    Case("general serialization", general, REQUEST),
    Case(
        "general and flattened at once",
        lambda c: {**c.signed(), "signatures": general(c)["signatures"]},
        REQUEST,
    ),
    Case("no payload", lambda c: changed(c, payload=None), REQUEST),
    Case("no protected header", lambda c: changed(c, protected=None), REQUEST),
    Case("no signature", lambda c: changed(c, signature=None), REQUEST),
    Case("payload not a string", lambda c: changed(c, payload={"iat": 1}), REQUEST),
    Case("protected not a string", lambda c: changed(c, protected=7), REQUEST),
    Case("signature not a string", lambda c: changed(c, signature=["x"]), REQUEST),
    Case("an unprotected header", lambda c: changed(c, header={"kid": "x"}), REQUEST),
    Case(
        "alg in the unprotected header alone",
        lambda c: {**c.signed(header={"alg": None}), "header": {"alg": "ES256"}},
        REQUEST,
    ),
] + [
    Case(
        f"{member} twice",
        lambda c, m=member: text(c)[:-1] + f',"{m}":{json.dumps(c.signed()[m])}}}',
        REQUEST,
    )
    for member in ("payload", "protected", "signature")
]


ENCODING = [
    Case(f"{part}: {what}", lambda c, p=part, f=change: c.resigned(**{p: f(uneven(c, p))}), EITHER)
    for part in ("protected", "payload")
    for what, change in (
        ("padding", with_padding),
        ("unused bits", loose_bits),
        ("the other alphabet", other_alphabet),
        ("a line break", lambda part: part[:4] + "\n" + part[4:]),
        ("one character too many", lambda part: part + "A" * ((1 - len(part)) % 4 or 4)),
    )
] + [
    Case(
        "signature: padding",
        lambda c: changed(c, signature=with_padding(c.signed()["signature"])),
        EITHER,
    ),
    Case(
        "signature: unused bits",
        lambda c: {**(s := c.signed()), "signature": loose_bits(s["signature"])},
        EITHER,
    ),
    Case(
        "signature: white space",
        lambda c: {**(s := c.signed()), "signature": s["signature"] + "\n"},
        EITHER,
    ),
]


HEADER = [
    Case("header not JSON", lambda c: c.raw_header("HEADER"), EITHER),
    Case("header an array", lambda c: c.raw_header("[{HEADER}]"), EITHER),
    Case("header empty", lambda c: c.resigned(protected=""), EITHER),
    Case("typ twice", lambda c: c.raw_header('{HEADER,"typ":"domain-request"}'), EITHER),
    Case("alg twice", lambda c: c.raw_header('{"alg":"none",HEADER}'), EITHER),
    Case("url twice", lambda c: c.raw_header('{"url":"http://x/",HEADER}'), EITHER),
    Case("an unknown member twice", lambda c: c.raw_header('{"a":1,"a":1,HEADER}'), EITHER),
    Case("jwk member twice", lambda c: c.raw_header(jwk_member_twice(c)), EITHER),
    Case("typ missing", lambda c: header(c, typ=None), EITHER),
    Case("typ JWT", lambda c: header(c, typ="JWT"), EITHER),
    Case("typ a number", lambda c: header(c, typ=1), EITHER),
    Case("alg missing", without_alg, EITHER),
    Case("alg none", lambda c: {**under_alg(c, "none"), "signature": ""}, EITHER),
    Case("alg None, signed", lambda c: under_alg(c, "None"), EITHER),
    Case("alg in lower case", lambda c: under_alg(c, "es256"), EITHER),
    Case("alg unknown", lambda c: under_alg(c, "XS256"), EITHER),
    Case("alg a number", lambda c: under_alg(c, 256), EITHER),
    Case("alg ES256K", lambda c: under_alg(c, "ES256K"), EITHER),
    Case("alg EdDSA on an EC key", lambda c: under_alg(c, "EdDSA"), EITHER),
    Case("alg RS512", lambda c: under_alg(c, "RS512", c.rsa, "RS512"), EITHER),
    Case("alg PS384", lambda c: under_alg(c, "PS384", c.rsa, "PS384"), EITHER),
    Case("alg ES512 on P-256", lambda c: under_alg(c, "ES512", None, "ES512"), EITHER),
    Case("HS256 with the key's PEM", lambda c: hs256_with_the_public_key(c, "PEM"), EITHER),
    Case("HS256 with the modulus", lambda c: hs256_with_the_public_key(c, "modulus"), EITHER),
    Case("HS256 with the JWK", lambda c: hs256_with_the_public_key(c, "JWK"), EITHER),
    Case("HS256 with an oct key", oct_key, EITHER),
    Case("EdDSA with an Ed25519 key", ed25519_key, EITHER),
    Case("ES256 with an RSA key", lambda c: under_alg(c, "ES256", c.rsa, "RS256"), EITHER),
    Case("RS256 with an EC key", lambda c: under_alg(c, "RS256", None, "ES256"), EITHER),
    Case("PS256 with an EC key", lambda c: under_alg(c, "PS256", None, "ES256"), EITHER),
    Case("crit of a known name", lambda c: header(c, crit=["url"]), EITHER),
    Case("crit unknown", lambda c: header(c, crit=["x"], x=1), EITHER),
    Case("crit empty", lambda c: header(c, crit=[]), EITHER),
    Case("crit not an array", lambda c: header(c, crit="x", x=1), EITHER),
    Case("b64 false", unencoded, EITHER),
]
