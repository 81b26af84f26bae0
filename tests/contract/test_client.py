"""The suite's own tools against themselves and against the RFCs' vectors: no server takes part."""

import base64
import json

import pytest
from joserfc import jwe, jwk, jws

from certificates import check_private_key, parse_chain, self_signed, to_x5c
from client import Answer, Client, Joined, jwe_header, open_keys
from gateway import Programs, difference
from machines import ALGORITHMS, Machine, b64url_decode, compact, ec_key, import_key, rsa_key
from malformed import Context, Sent
from malformed_table import CASES

URL = "https://domains.example/flashaccess/domainserver/d/register"

MACHINES = {
    "RS256": lambda: Machine.rsa(alg="RS256"),
    "PS256": lambda: Machine.rsa(alg="PS256"),
    "ES256": Machine.ec,
}


def verify(signed: dict, machine: Machine, algorithms=ALGORITHMS):
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = 1 << 14
    return jws.deserialize_json(signed, jwk.import_key(machine.public_jwk), registry=registry)


@pytest.mark.parametrize("alg", MACHINES)
def test_a_request_is_a_flattened_jws_that_verifies(alg):
    machine = MACHINES[alg]()
    signed = json.loads(machine.request(URL, preview=True))
    assert set(signed) == {"protected", "payload", "signature"}
    opened = verify(signed, machine)
    header = json.loads(b64url_decode(signed["protected"]))
    assert header == {
        "typ": "domain-request",
        "alg": alg,
        "jwk": machine.public_jwk,
        "url": URL,
    }
    assert not {"d", "p", "q", "kid"} & set(header["jwk"])
    payload = json.loads(opened.payload)
    assert payload["machineGuid"] == machine.guid and payload["preview"] is True
    assert type(payload["iat"]) is int


@pytest.mark.parametrize("alg", MACHINES)
def test_a_forged_request_is_signed_as_joserfc_would(alg):
    machine = MACHINES[alg]()
    signed = machine.forge(compact(machine.header(URL)), compact(machine.payload()))
    assert verify(signed, machine).payload


def test_thumbprint_is_rfc_7638s():
    machine = Machine.ec()
    assert machine.thumbprint == jwk.import_key(machine.public_jwk).thumbprint()
    machine.public_jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo"
        "c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
        "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4"
        "vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
    }
    # RFC 7638 section 3.1
    assert machine.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("key", [rsa_key, ec_key], ids=["RSA", "EC"])
@pytest.mark.parametrize("machine", [Machine.rsa, Machine.ec], ids=["RSA", "EC"])
def test_keys_for_a_machine_open_and_fit_their_certificate(machine, key):
    machine, key = machine(), key()
    certificate = self_signed(key, "d")
    x5c = to_x5c(certificate)
    assert parse_chain(x5c) == [certificate]
    private = {**import_key(key).as_dict(private=True), "kid": "d/1", "x5c": x5c}
    alg = "RSA-OAEP-256" if machine.alg == "RS256" else "ECDH-ES"
    header = {"alg": alg, "enc": "A256GCM", "cty": "jwk-set+json", "kid": machine.thumbprint}
    token = jwe.encrypt_compact(
        header,
        compact({"keys": [private]}),
        jwk.import_key(machine.public_jwk),
        algorithms=[alg, "A256GCM"],
    )
    assert jwe_header(token)["kid"] == machine.thumbprint
    assert open_keys(token, machine)["keys"][0]["kid"] == "d/1"
    check_private_key(private, certificate)
    body = {
        "domain": "d",
        "machineGuid": machine.guid,
        "newMember": True,
        "registeredAt": "2026-11-22T19:41:28Z",
        "keyVersion": 1,
        "credentials": [
            {"keyVersion": 1, "kid": "d/1", "x5c": x5c, "notBefore": "", "notAfter": ""}
        ],
        "encryptedKeys": token,
    }
    assert Joined(body, machine).versions == [1]
    with pytest.raises(AssertionError):
        check_private_key(private, self_signed(ec_key()))
    with pytest.raises(AssertionError):
        Joined({**body, "credentials": []}, machine)
    with pytest.raises(AssertionError):
        open_keys(token, Machine.rsa(1))


def problem(**changes) -> Answer:
    document = {
        "type": "urn:anonymous-domains:error:dom-limit-reached",
        "title": "full",
        "status": 409,
        "detail": "the domain is full",
        "error": "DOM_LIMIT_REACHED",
        "code": 502,
    }
    document.update(changes)
    return Answer(409, {"content-type": ["application/problem+json"]}, compact(document))


def test_a_problem_document_is_checked_whole():
    assert problem().refused("DOM_LIMIT_REACHED")
    for changes in (
        {"type": "about:blank"},
        {"status": 502},
        {"code": 409},
        {"code": "502"},
        {"title": ""},
        {"detail": None},
        {"error": "UNKNOWN_DOMAIN"},
    ):
        with pytest.raises(AssertionError):
            problem(**changes).refused("DOM_LIMIT_REACHED")


def test_a_repeated_member_of_an_answer_is_noticed():
    with pytest.raises(AssertionError):
        Answer(200, {"content-type": ["application/json"]}, b'{"a":1,"a":2}').ok()


def test_differences_between_snapshots_are_found():
    before = {"t": [(1, b"a"), (2, b"b")]}
    assert difference(before, {"t": [(1, b"a"), (2, b"b")]}) == []
    assert len(difference(before, {"t": [(1, b"a"), (2, b"c")]})) == 2
    assert len(difference(before, {"t": [(1, b"a"), (2, b"b")], "u": [(3,)]})) == 1
    assert len(difference(before, {"t": [(1, b"a")]})) == 1


def test_missing_programs_are_named(monkeypatch, tmp_path):
    for name in ("GATEWAY", "COMPONENT", "DEVICE"):
        monkeypatch.delenv(f"ANONYMOUS_DOMAINS_{name}", raising=False)
    with pytest.raises(ValueError, match="ANONYMOUS_DOMAINS_GATEWAY is not set"):
        Programs.from_environment()
    monkeypatch.setenv("ANONYMOUS_DOMAINS_GATEWAY", str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="absolute path of a file"):
        Programs.from_environment()


def test_base64_of_x5c_is_the_standard_alphabet():
    (text,) = to_x5c(self_signed(ec_key()))
    assert base64.b64encode(base64.b64decode(text, validate=True)).decode() == text


@pytest.mark.parametrize("name", CASES)
def test_every_malformed_request_can_be_built(name):
    client = Client("http://127.0.0.1:1", "https://domains.example")
    context = Context(client, "d", Machine.ec(), Machine.ec(), Machine.rsa())
    built = CASES[name].build(context)
    assert isinstance(built, (dict, str, bytes, Sent))
