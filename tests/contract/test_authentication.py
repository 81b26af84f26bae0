"""Authentication tokens: which are valid, which are not, and the challenges."""

import json
import time

import pytest
from cryptography.hazmat.primitives import serialization

from admin import Admin
from client import Answer
from machines import Machine, b64url, b64url_decode, compact, rsa_key
from tokens import AUDIENCE, ISSUER, NAMESPACE, TokenKey, jwks, usual_claims

# "ES256-fixed" publishes its own alg; the two RSA keys differ; one key has no kid.
KEYS = {
    "RS256": TokenKey("RS256", "rsa-1", alg="RS256"),
    "PS256": TokenKey("PS256", "rsa-2", key=rsa_key(8)),
    "ES256": TokenKey("ES256", "ec-1", alg="ES256", use="sig"),
    "EdDSA": TokenKey("EdDSA", "ed-1"),
    "ES256 without kid": TokenKey("ES256", None),
}


@pytest.fixture(scope="session")
def locked(gateway_with, tmp_path_factory):
    """A gateway that knows the issuer's keys."""
    path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    path.write_text(jwks(*KEYS.values()))
    return gateway_with(auth_jwks=f"@{path}", auth_issuer=ISSUER, auth_audience=AUDIENCE)


@pytest.fixture
def client(locked):
    return locked.client


@pytest.fixture
def admin(locked):
    return Admin(locked.client, locked.admin_token)


@pytest.fixture
def closed(admin, domain) -> str:
    """A domain that needs a token of the usual namespace."""
    admin.set(domain, authenticationRequired=True, authNamespace=NAMESPACE)
    return domain


def challenged(answer: Answer, token_sent: bool):
    answer.refused("DOM_AUTHENTICATION_REQUIRED")
    challenge = 'Bearer error="invalid_token"' if token_sent else "Bearer"
    assert answer.header("www-authenticate") == challenge


@pytest.mark.parametrize("name", KEYS)
def test_a_token_of_every_algorithm(client, closed, name):
    machine = Machine.ec()
    token = KEYS[name].token()
    assert client.join(closed, machine, token=token).new_member
    client.leave(closed, machine, preview=True, token=token)
    client.leave(closed, machine, token=token)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_found_without_a_kid(client, closed, name):
    client.join(closed, Machine.ec(), token=KEYS[name].token(header={"kid": None}))


def test_every_request_needs_one(locked, client, closed, store_unchanged):
    machine = Machine.ec()
    good, bad = KEYS["ES256"].token(), KEYS["ES256"].token(ns="other")
    client.join(closed, machine, token=good)
    with store_unchanged(locked):
        for token in (None, bad, "not-a-token"):
            for stranger in (machine, Machine.ec()):
                challenged(client.register(closed, stranger, token=token), token is not None)
                challenged(client.deregister(closed, stranger, token=token), token is not None)
                challenged(
                    client.deregister(closed, stranger, preview=True, token=token),
                    token is not None,
                )
    assert not client.join(closed, machine, token=good).new_member


def test_authentication_comes_before_membership(client, closed):
    # A stranger learns nothing of who is a member.
    challenged(client.deregister(closed, Machine.ec()), False)


def test_a_domain_without_a_namespace_takes_any(client, admin, domain):
    admin.set(domain, authenticationRequired=True)
    for namespace in (NAMESPACE, "other", "", 1, None):
        client.join(domain, Machine.ec(), token=KEYS["ES256"].token(ns=namespace))
    challenged(client.register(domain, Machine.ec()), False)


def test_an_open_domain_ignores_tokens(client, domain):
    client.join(domain, Machine.ec(), token=KEYS["ES256"].token(exp=1))
    client.join(domain, Machine.ec(), token="garbage")


def test_the_scheme_is_case_insensitive(client, closed):
    target = client.path(closed, "register")
    headers = {
        "Content-Type": "application/jose+json",
        "Authorization": "bearer " + KEYS["ES256"].token(),
    }
    answer = client.send("POST", target, Machine.ec().request(client.url(target)), headers)
    assert answer.ok()["newMember"] is True


def ask_with(client, domain, *values: str) -> Answer:
    """Register with these Authorization fields, each on a line of its own."""
    target = client.path(domain, "register")
    fields = [("Content-Type", "application/jose+json")]
    fields += [("Authorization", value) for value in values]
    return client.send_fields("POST", target, Machine.ec().request(client.url(target)), fields)


@pytest.mark.parametrize(
    "value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Token x", "Bearers x.y.z", "DPoP x.y.z"]
)
def test_another_scheme_is_no_token(client, closed, value):
    challenged(ask_with(client, closed, value), False)


def test_what_is_not_one_token_is_not_valid(client, closed):
    good = KEYS["ES256"].token()
    for values in (
        [f"Bearer {good}, Bearer {good}"],
        [f"Bearer {good} {good}"],
        [f'Bearer "{good}"'],
        [f"Bearer token={good}"],
        [f"Bearer {good}", f"Bearer {good}"],
        [f"Bearer {good}", "Basic dXNlcjpwYXNz"],
        ["Basic dXNlcjpwYXNz", f"Bearer {good}"],
    ):
        challenged(ask_with(client, closed, *values), True)
    assert ask_with(client, closed, f"Bearer   {good}").ok()["newMember"]


def in_future(seconds: int) -> int:
    return int(time.time()) + seconds


GOOD_CLAIMS = {
    "expired within the leeway": lambda: {"exp": in_future(-20)},
    "not yet, within the leeway": lambda: {"nbf": in_future(20)},
    "nbf past": lambda: {"nbf": in_future(-20)},
    "a fraction of a second": lambda: {"exp": time.time() + 100.5},
    "one of several audiences": lambda: {"aud": ["x", AUDIENCE]},
    "unknown claims": lambda: {"colour": {"a": [1]}},
}


@pytest.mark.parametrize("name", GOOD_CLAIMS)
def test_claims_that_are_valid(client, closed, name):
    client.join(closed, Machine.ec(), token=KEYS["ES256"].token(**GOOD_CLAIMS[name]()))


BAD_CLAIMS = {
    "expired": lambda: {"exp": in_future(-120)},
    "exp missing": lambda: {"exp": None},
    "exp a string": lambda: {"exp": str(in_future(600))},
    "exp huge and negative": lambda: {"exp": -(10**30)},
    "exp true": lambda: {"exp": True},
    "nbf ahead": lambda: {"nbf": in_future(120)},
    "nbf a string": lambda: {"nbf": "0"},
    "another issuer": lambda: {"iss": ISSUER + "/"},
    "issuer missing": lambda: {"iss": None},
    "issuer an array": lambda: {"iss": [ISSUER]},
    "another audience": lambda: {"aud": "other"},
    "audience missing": lambda: {"aud": None},
    "audiences without ours": lambda: {"aud": ["x", "y"]},
    "no audience": lambda: {"aud": []},
    "audience a number": lambda: {"aud": 1},
    "another namespace": lambda: {"ns": "other"},
    "namespace missing": lambda: {"ns": None},
    "namespace in capitals": lambda: {"ns": NAMESPACE.upper()},
    "namespace with a space": lambda: {"ns": NAMESPACE + " "},
    "a longer namespace": lambda: {"ns": NAMESPACE + "x"},
    "namespace an array": lambda: {"ns": [NAMESPACE]},
    "namespace a number": lambda: {"ns": 1},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
def test_claims_that_are_not_valid(locked, client, closed, store_unchanged, name):
    token = KEYS["ES256"].token(**BAD_CLAIMS[name]())
    with store_unchanged(locked):
        challenged(client.register(closed, Machine.ec(), token=token), True)


def test_the_namespace_is_compared_byte_for_byte(client, admin, domain):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    admin.set(domain, authenticationRequired=True, authNamespace=composed)
    client.join(domain, Machine.ec(), token=KEYS["ES256"].token(ns=composed))
    wrong = KEYS["ES256"].token(ns=decomposed)
    challenged(client.register(domain, Machine.ec(), token=wrong), True)


def pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def forged(name: str, header=None, key=None, alg=None, claims: bytes | None = None) -> str:
    issuer = KEYS[name]
    protected = header if isinstance(header, bytes) else compact(issuer.header(**(header or {})))
    return issuer.forge(protected, claims or compact(usual_claims()), key, alg)


def unsigned(alg: str) -> str:
    return forged("ES256", {"alg": alg}).rsplit(".", 1)[0] + "."


def embedded(**header) -> str:
    """Signed by a stranger's key, which the header offers."""
    stranger = TokenKey("ES256", "ec-1")
    header = {k: v(stranger) if callable(v) else v for k, v in header.items()}
    return stranger.token(header=header)


def with_signature(token: str, change) -> str:
    head, signature = token.rsplit(".", 1)
    return f"{head}.{b64url(change(b64url_decode(signature)))}"


def unused_bits_set(token: str) -> str:
    """Another text of the same 64 octets: the last of its characters has four unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def twice(member: str) -> bytes:
    return b"{" + member.encode() + b"," + compact(KEYS["ES256"].header())[1:]


def claims_twice(member: str) -> bytes:
    return b"{" + member.encode() + b"," + compact(usual_claims())[1:]


BAD_TOKENS = {
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg none, signed": lambda: forged("ES256", {"alg": "none"}),
    "alg missing": lambda: forged("ES256", {"alg": None}),
    "HS256 by the RSA key's PEM": lambda: forged(
        "RS256", {"alg": "HS256"}, pem(KEYS["RS256"].key), "HS256"
    ),
    "HS256 by the RSA key's JWK": lambda: forged(
        "RS256", {"alg": "HS256"}, compact(KEYS["RS256"].public), "HS256"
    ),
    "HS256 by the EC key's PEM": lambda: forged(
        "ES256", {"alg": "HS256"}, pem(KEYS["ES256"].key), "HS256"
    ),
    "HS256 by nothing": lambda: forged("ES256", {"alg": "HS256"}, b"", "HS256"),
    "RS512": lambda: forged("RS256", {"alg": "RS512"}, None, "RS512"),
    "PS256 by a key for RS256": lambda: forged("RS256", {"alg": "PS256"}, None, "PS256"),
    "RS256 called PS256": lambda: forged("PS256", {"alg": "PS256"}, None, "RS256"),
    "ES256 under the RSA key's kid": lambda: forged("ES256", {"kid": "rsa-1"}),
    "RS256 under the EC key's kid": lambda: forged("RS256", {"kid": "ec-1"}),
    "kid unknown": lambda: forged("ES256", {"kid": "ec-9"}),
    "kid a number": lambda: forged("ES256", {"kid": 1}),
    "an embedded jwk": lambda: embedded(kid=None, jwk=lambda k: k.public),
    "an embedded jwk and a known kid": lambda: embedded(jwk=lambda k: k.public),
    "a jku": lambda: embedded(jku="http://127.0.0.1:1/jwks.json"),
    "an unknown key under a known kid": embedded,
    "crit unknown": lambda: forged("ES256", {"crit": ["x"], "x": 1}),
    "crit empty": lambda: forged("ES256", {"crit": []}),
    "crit of exp": lambda: forged("ES256", {"crit": ["exp"], "exp": 1}),
    "b64 false": lambda: forged("ES256", {"b64": False, "crit": ["b64"]}),
    "alg twice": lambda: forged("ES256", twice('"alg":"none"')),
    "kid twice": lambda: forged("ES256", twice('"kid":"rsa-1"')),
    "exp twice": lambda: forged("ES256", claims=claims_twice('"exp":1')),
    "ns twice": lambda: forged("ES256", claims=claims_twice('"ns":"other"')),
    "claims an array": lambda: forged("ES256", claims=b"[%s]" % compact(usual_claims())),
    "claims not JSON": lambda: forged("ES256", claims=b"acme"),
    "exp 1e400": lambda: forged(
        "ES256", claims=compact(usual_claims(exp="X")).replace(b'"X"', b"1e400")
    ),
    "r and s of zero": lambda: with_signature(forged("ES256"), lambda s: bytes(64)),
    "r and s of ones": lambda: with_signature(forged("ES256"), lambda s: b"\xff" * 64),
    "a bit of the signature": lambda: with_signature(
        forged("ES256"), lambda s: s[:9] + bytes([s[9] ^ 1]) + s[10:]
    ),
    "a bit of EdDSA": lambda: with_signature(
        forged("EdDSA"), lambda s: s[:9] + bytes([s[9] ^ 1]) + s[10:]
    ),
    "EdDSA of zeros": lambda: with_signature(forged("EdDSA"), lambda s: bytes(64)),
    "no signature": lambda: forged("ES256").rsplit(".", 1)[0],
    "five parts": lambda: forged("ES256") + ".x.y",
    "unused bits that are set": lambda: unused_bits_set(forged("EdDSA")),
    "padding": lambda: forged("ES256") + "==",
    "JSON serialization": lambda: "eyJ" + b64url(json.dumps({"payload": ""}).encode()),
    "empty parts": lambda: "..",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_tokens_that_are_not_valid(locked, client, closed, store_unchanged, name):
    with store_unchanged(locked):
        challenged(client.register(closed, Machine.ec(), token=BAD_TOKENS[name]()), True)


def test_the_forgeries_controls_are_valid(client, closed):
    for name in KEYS:
        client.join(closed, Machine.ec(), token=forged(name))


def test_the_namespace_claims_name_is_configurable(gateway_with, tmp_path, domain):
    path = tmp_path / "jwks.json"
    path.write_text(jwks(KEYS["ES256"]))
    gateway = gateway_with(auth_jwks=f"@{path}", auth_namespace_claim="https://x.example/ns")
    Admin(gateway.client, gateway.admin_token).set(
        domain, authenticationRequired=True, authNamespace=NAMESPACE
    )
    key = KEYS["ES256"]
    # Neither issuer nor audience is configured here: any will do.
    claims = {"https://x.example/ns": NAMESPACE, "ns": None, "iss": "any", "aud": None}
    gateway.client.join(domain, Machine.ec(), token=key.token(**claims))
    challenged(gateway.client.register(domain, Machine.ec(), token=key.token()), True)


def test_without_a_jwks_no_token_is_valid(gateway_with, domain):
    gateway = gateway_with()
    Admin(gateway.client, gateway.admin_token).set(domain, authenticationRequired=True)
    challenged(gateway.client.register(domain, Machine.ec()), False)
    token = KEYS["ES256"].token()
    challenged(gateway.client.register(domain, Machine.ec(), token=token), True)


SECRET = b64url(b"0123456789abcdef0123456789abcdef")
UNUSABLE_JWKS = {
    "only a symmetric key": [{"kty": "oct", "k": SECRET, "kid": "secret", "alg": "HS256"}],
    "a private key": [KEYS["EdDSA"].public, KEYS["ES256"].jwk.as_dict(private=True)],
    "one kid twice": [KEYS["ES256"].public, {**KEYS["RS256"].public, "kid": "ec-1"}],
    "no key for signatures": [{**KEYS["ES256"].public, "use": "enc"}],
    "an alg of another kind": [{**KEYS["ES256"].public, "alg": "RS256"}],
}


@pytest.mark.parametrize("name", UNUSABLE_JWKS)
def test_an_unusable_jwks_is_told_to_the_operator(own_gateway, tmp_path, domain, name):
    path = tmp_path / "jwks.json"
    path.write_text(compact({"keys": UNUSABLE_JWKS[name]}).decode())
    gateway = own_gateway(auth_jwks=f"@{path}")
    health = gateway.client.get("/healthz")
    assert health.status == 503
    assert "auth_jwks" in health.json()["detail"]
    assert SECRET not in health.body.decode() + "".join(gateway.log)
    gateway.client.register(domain, Machine.ec()).refused("INTERNAL")


def test_a_symmetric_key_in_the_jwks_is_never_used(own_gateway, tmp_path, domain):
    secret = b"0123456789abcdef0123456789abcdef"
    symmetric = {"kty": "oct", "k": b64url(secret), "kid": "secret", "alg": "HS256"}
    path = tmp_path / "jwks.json"
    path.write_text(compact({"keys": [symmetric, KEYS["ES256"].public]}).decode())
    gateway = own_gateway(auth_jwks=f"@{path}")
    Admin(gateway.client, gateway.admin_token).set(domain, authenticationRequired=True)
    forgery = forged("ES256", {"alg": "HS256", "kid": "secret"}, secret, "HS256")
    challenged(gateway.client.register(domain, Machine.ec(), token=forgery), True)
    gateway.client.join(domain, Machine.ec(), token=KEYS["ES256"].token())


def test_the_issuer_changes_its_keys(own_gateway, tmp_path, domain):
    old, new = TokenKey("ES256", "2025"), TokenKey("ES256", "2026")
    path = tmp_path / "jwks.json"
    path.write_text(jwks(old))
    gateway = own_gateway(auth_jwks=f"@{path}")
    Admin(gateway.client, gateway.admin_token).set(domain, authenticationRequired=True)
    for published, valid, invalid in (
        ([old], [old], [new]),
        ([old, new], [old, new], []),
        ([new], [new], [old]),
    ):
        if published != [old]:
            gateway.stop()
            path.write_text(jwks(*published))
            gateway.start()
        for header in ({}, {"kid": None}):
            for key in valid:
                gateway.client.join(domain, Machine.ec(), token=key.token(header=header))
            for key in invalid:
                token = key.token(header=header)
                challenged(gateway.client.register(domain, Machine.ec(), token=token), True)
