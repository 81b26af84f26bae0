"""Malformed requests: the machine's key and the signature."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certificates import self_signed, to_x5c
from machines import Machine, b64url, b64url_decode, ec_key, rsa_key, sign
from malformed import EITHER, SIGNATURE, Case, Context
from malformed_jws import changed, header, under_alg

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_jwk(c: Context, machine: Machine, names: str) -> dict:
    private = machine.jwk.as_dict(private=True)
    return {**machine.public_jwk, **{name: private[name] for name in names.split()}}


def with_jwk(c: Context, machine=None, **changes) -> dict:
    machine = machine or c.machine
    changed_jwk = {k: v for k, v in {**machine.public_jwk, **changes}.items() if v is not None}
    return c.signed(machine, header={"jwk": changed_jwk})


def other_key(c: Context, key, alg: str) -> dict:
    machine = Machine(key, alg=alg)
    return c.signed(machine)


def with_x5c(c: Context, value, machine=None) -> dict:
    return c.signed(machine, header={"jwk": None, "x5c": value})


def own_chain(c: Context) -> list[str]:
    return to_x5c(self_signed(c.machine.key))


def rsa_e3(c: Context) -> dict:
    return other_key(c, rsa.generate_private_key(public_exponent=3, key_size=2048), "RS256")


def ec_key_on(curve):
    return ec.generate_private_key(curve)


def huge_modulus(c: Context) -> dict:
    return with_jwk(c, c.rsa, n=b64url(b"\xff" * 1024))


def with_url_alphabet(c: Context) -> str:
    while True:
        (one,) = own_chain(c)
        if {"+", "/"} & set(one):
            return one.replace("+", "-").replace("/", "_")


def x5c_of(c: Context, key) -> dict:
    machine = Machine(key, alg="ES384" if hasattr(key, "curve") else "RS256")
    return c.signed(machine, header={"jwk": None, "x5c": to_x5c(self_signed(key))})


def with_ecdsa(c: Context, change) -> dict:
    """A usual request with `change(r, s)` instead of its signature: the new bytes."""
    signed = c.signed()
    raw = b64url_decode(signed["signature"])
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return {**signed, "signature": b64url(change(r, s))}


def raw_signature(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def flip(signed: dict) -> dict:
    raw = bytearray(b64url_decode(signed["signature"]))
    raw[len(raw) // 2] ^= 1
    return {**signed, "signature": b64url(bytes(raw))}


def payload_of_another(c: Context) -> dict:
    other = c.signed(payload={"machineGuid": Machine.ec().guid})
    return {**c.signed(), "payload": other["payload"]}


def cut(c: Context, machine: Machine) -> dict:
    signed = c.signed(machine)
    return {**signed, "signature": b64url(b64url_decode(signed["signature"])[:-1])}


def zeros(c: Context, machine: Machine) -> dict:
    return {**c.signed(machine), "signature": b64url(bytes(256))}


def over_the_payload(c: Context) -> dict:
    signed = c.signed()
    message = signed["payload"].encode()
    return {**signed, "signature": b64url(sign(c.machine.key, "ES256", message))}


KEY = [
    Case("neither jwk nor x5c", lambda c: header(c, jwk=None), EITHER),
    Case("both jwk and x5c", lambda c: header(c, x5c=own_chain(c)), EITHER),
    Case("jwk a string", lambda c: header(c, jwk="x"), EITHER),
    Case("jwk empty", lambda c: header(c, jwk={}), EITHER),
    Case("jwk without kty", lambda c: with_jwk(c, kty=None), EITHER),
    Case("jwk with d (EC)", lambda c: header(c, jwk=private_jwk(c, c.machine, "d")), EITHER),
    Case("jwk with d (RSA)", lambda c: header(c, c.rsa, jwk=private_jwk(c, c.rsa, "d")), EITHER),
    Case(
        "jwk with p and q",
        lambda c: header(c, c.rsa, jwk=private_jwk(c, c.rsa, "p q dp dq qi")),
        EITHER,
    ),
    Case("RSA of 1024 bits", lambda c: other_key(c, rsa_key(0, 1024), "RS256"), EITHER),
    Case("RSA of 2040 bits", lambda c: other_key(c, rsa_key(0, 2040), "RS256"), EITHER),
    Case("RSA of 4104 bits", lambda c: other_key(c, rsa_key(0, 4104), "RS256"), EITHER),
    Case("RSA modulus of 8192 bits", huge_modulus, EITHER),
    Case("RSA exponent 3", rsa_e3, EITHER),
    Case("RSA exponent 1", lambda c: with_jwk(c, c.rsa, e="AQ"), EITHER),
    Case("RSA exponent of 32 bytes", lambda c: with_jwk(c, c.rsa, e=b64url(b"\xff" * 32)), EITHER),
    Case(
        "RSA modulus padded", lambda c: with_jwk(c, c.rsa, n=c.rsa.public_jwk["n"] + "=="), EITHER
    ),
    Case("RSA modulus a number", lambda c: with_jwk(c, c.rsa, n=5), EITHER),
    Case("RSA modulus empty", lambda c: with_jwk(c, c.rsa, n=""), EITHER),
    Case("EC point off the curve", lambda c: with_jwk(c, y=c.machine.public_jwk["x"]), EITHER),
    Case(
        "EC point of zeros", lambda c: with_jwk(c, x=b64url(bytes(32)), y=b64url(bytes(32))), EITHER
    ),
    Case("EC coordinate beyond the field", lambda c: with_jwk(c, x=b64url(b"\xff" * 32)), EITHER),
    Case("EC coordinate of 31 bytes", lambda c: with_jwk(c, x=b64url(b"\x01" * 31)), EITHER),
    Case(
        "EC coordinate of 33 bytes",
        lambda c: with_jwk(c, x=b64url(b"\0" + b64url_decode(c.machine.public_jwk["x"]))),
        EITHER,
    ),
    Case("EC without y", lambda c: with_jwk(c, y=None), EITHER),
    Case("EC without crv", lambda c: with_jwk(c, crv=None), EITHER),
    Case("EC curve misnamed", lambda c: with_jwk(c, crv="P-384"), EITHER),
    Case("EC P-384", lambda c: other_key(c, ec_key_on(ec.SECP384R1()), "ES384"), EITHER),
    Case("EC secp256k1", lambda c: other_key(c, ec_key_on(ec.SECP256K1()), "ES256"), EITHER),
    Case("x5c empty", lambda c: with_x5c(c, []), EITHER),
    Case("x5c a string", lambda c: with_x5c(c, own_chain(c)[0]), EITHER),
    Case("x5c of numbers", lambda c: with_x5c(c, [1]), EITHER),
    Case("x5c no certificate", lambda c: with_x5c(c, ["AAAA"]), EITHER),
    Case("x5c not base64", lambda c: with_x5c(c, ["?"]), EITHER),
    Case("x5c in base64url", lambda c: with_x5c(c, [with_url_alphabet(c)]), EITHER),
    Case("x5c cut short", lambda c: with_x5c(c, [own_chain(c)[0][:-40]]), EITHER),
    Case("x5c with garbage behind", lambda c: with_x5c(c, [*own_chain(c), "AAAA"]), EITHER),
    Case("x5c of another key", lambda c: with_x5c(c, to_x5c(self_signed(ec_key()))), SIGNATURE),
    Case("x5c of P-384", lambda c: x5c_of(c, ec_key_on(ec.SECP384R1())), EITHER),
    Case("x5c of RSA 1024", lambda c: x5c_of(c, rsa_key(0, 1024)), EITHER),
]


SIGNATURES = [
    Case("one bit of ES256", lambda c: flip(c.signed()), SIGNATURE),
    Case("one bit of RS256", lambda c: flip(c.signed(c.rsa)), SIGNATURE),
    Case("one bit of PS256", lambda c: flip(under_alg(c, "PS256", c.rsa, "PS256")), SIGNATURE),
    Case("empty", lambda c: changed(c, signature=""), EITHER),
    Case("another machine's key", lambda c: header(c, jwk=Machine.ec().public_jwk), SIGNATURE),
    Case("another payload", payload_of_another, SIGNATURE),
    Case(
        "another header",
        lambda c: changed(c, protected=c.signed(header={"x": 1})["protected"]),
        SIGNATURE,
    ),
    Case("PS256 called RS256", lambda c: under_alg(c, "RS256", c.rsa, "PS256"), SIGNATURE),
    Case("RS256 called PS256", lambda c: under_alg(c, "PS256", c.rsa, "RS256"), SIGNATURE),
    Case("RS512 called RS256", lambda c: under_alg(c, "RS256", c.rsa, "RS512"), SIGNATURE),
    Case("RS256 a byte short", lambda c: cut(c, c.rsa), SIGNATURE),
    Case("RS256 of zeros", lambda c: zeros(c, c.rsa), SIGNATURE),
    Case("ES256 r = 0", lambda c: with_ecdsa(c, lambda r, s: raw_signature(0, s)), SIGNATURE),
    Case("ES256 s = 0", lambda c: with_ecdsa(c, lambda r, s: raw_signature(r, 0)), SIGNATURE),
    Case("ES256 r = s = 0", lambda c: with_ecdsa(c, lambda r, s: bytes(64)), SIGNATURE),
    Case(
        "ES256 r = n", lambda c: with_ecdsa(c, lambda r, s: raw_signature(P256_ORDER, s)), SIGNATURE
    ),
    Case(
        "ES256 s = n", lambda c: with_ecdsa(c, lambda r, s: raw_signature(r, P256_ORDER)), SIGNATURE
    ),
    Case("ES256 r and s of ones", lambda c: with_ecdsa(c, lambda r, s: b"\xff" * 64), SIGNATURE),
    Case("ES256 in DER", lambda c: with_ecdsa(c, encode_dss_signature), SIGNATURE),
    Case("ES256 a byte short", lambda c: cut(c, c.machine), SIGNATURE),
    Case(
        "ES256 a byte long",
        lambda c: with_ecdsa(c, lambda r, s: raw_signature(r, s) + b"\0"),
        SIGNATURE,
    ),
    Case(
        "ES256 in 96 bytes",
        lambda c: with_ecdsa(c, lambda r, s: r.to_bytes(48, "big") + s.to_bytes(48, "big")),
        SIGNATURE,
    ),
    Case("over the payload alone", over_the_payload, SIGNATURE),
]
