"""Cross-checks: what the server makes is opened by others, and what others make is taken.

The others are jwcrypto, and the RFCs written out over the `openssl` command; joserfc makes and
opens whatever other tests do.
"""

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

import der
from admin import Admin
from certificates import key_pem, new_ca, parse_chain, to_x5c
from client import jwe_header, open_keys
from device import Device, versions
from domain_server import DomainServer
from jose_by_hand import OpenSsl
from machines import Machine, b64url, b64url_decode, compact, ec_key, rsa_key
from tokens import NAMESPACE, usual_claims

MACHINES = {
    "RS256": lambda: Machine.rsa(),
    "PS256": lambda: Machine.rsa(alg="PS256"),
    "ES256": lambda: Machine.ec(),
}


@pytest.fixture
def openssl(tmp_path):
    return OpenSsl(tmp_path)


def jwcrypto_key(key) -> jwcrypto_jwk.JWK:
    return jwcrypto_jwk.JWK.from_pem(key_pem(key))


def jwcrypto_open(token: str, key) -> bytes:
    message = jwcrypto_jwe.JWE(algs=["RSA-OAEP-256", "ECDH-ES", "A256GCM"])
    message.deserialize(token, jwcrypto_key(key))
    return message.payload


@pytest.mark.parametrize("kind", ["RSA-2048", "EC-P256"])
def test_others_open_the_key_set(gateway_with, domain, openssl, kind):
    client = gateway_with(domain_key_type=kind).client
    # Two versions: a member left.
    leaver = Machine.ec()
    client.join(domain, leaver)
    client.leave(domain, leaver)
    for machine in (Machine.rsa(), Machine.ec()):
        joined = client.join(domain, machine)
        assert joined.versions == [1, 2]
        token = joined.body["encryptedKeys"]
        for opened in (jwcrypto_open(token, machine.key), openssl.open(token, machine.key)):
            assert json.loads(opened) == open_keys(token, machine)
        thumbprint = jwcrypto_key(machine.key).thumbprint(hashes.SHA256())
        assert jwe_header(token)["kid"] == thumbprint
        for private, credential in zip(joined.private_keys, joined.credentials, strict=True):
            check_pair(private, credential, openssl)


def check_pair(private: dict, credential: dict, openssl: OpenSsl):
    """jwcrypto reads a domain's private key, OpenSSL signs with it, and the certificate's public
    key verifies that."""
    private = {name: value for name, value in private.items() if name != "kid"}
    pem = jwcrypto_jwk.JWK(**private).export_to_pem(private_key=True, password=None)
    key = serialization.load_pem_private_key(pem, None)
    alg = "ES256" if private["kty"] == "EC" else "PS256"
    certified = parse_chain(credential["x5c"])[0].public_key()
    openssl.verify(certified, alg, b"message", openssl.sign(key, alg, b"message"))


def request_by_jwcrypto(machine: Machine, url: str) -> bytes:
    signed = jwcrypto_jws.JWS(compact(machine.payload()))
    signed.add_signature(
        jwcrypto_key(machine.key), machine.alg, protected=compact(machine.header(url)).decode()
    )
    return signed.serialize().encode()


def request_by_openssl(machine: Machine, url: str, openssl: OpenSsl) -> bytes:
    parts = {
        "protected": b64url(compact(machine.header(url))),
        "payload": b64url(compact(machine.payload())),
    }
    message = f"{parts['protected']}.{parts['payload']}".encode()
    return compact({**parts, "signature": b64url(openssl.sign(machine.key, machine.alg, message))})


@pytest.mark.parametrize("alg", MACHINES)
def test_requests_that_others_sign(client, domain, openssl, alg):
    target = client.path(domain, "register")
    for number, request in enumerate(
        (
            request_by_jwcrypto(MACHINES[alg](), client.url(target)),
            request_by_openssl(MACHINES[alg](), client.url(target), openssl),
        )
    ):
        assert client.post(target, request).ok()["newMember"], number
        changed = json.loads(request)
        signature = bytearray(b64url_decode(changed["signature"]))
        signature[40] ^= 1
        changed["signature"] = b64url(bytes(signature))
        client.post(target, compact(changed)).refused("INVALID_SIGNATURE")


ISSUERS = {
    "RS256": rsa_key(9),
    "PS256": rsa_key(8),
    "ES256": ec_key(),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def test_tokens_that_others_sign(gateway_with, domain, tmp_path, openssl):
    keys = {alg: jwcrypto_key(key) for alg, key in ISSUERS.items()}
    published = [json.loads(key.export_public()) | {"alg": alg} for alg, key in keys.items()]
    (tmp_path / "jwks.json").write_bytes(compact({"keys": published}))
    gateway = gateway_with(auth_jwks=f"@{tmp_path / 'jwks.json'}")
    client, admin = gateway.client, Admin(gateway.client, gateway.admin_token)
    admin.set(domain, authenticationRequired=True, authNamespace=NAMESPACE)
    for alg, key in ISSUERS.items():
        header, claims = compact({"alg": alg, "kid": keys[alg]["kid"]}), compact(usual_claims())
        signed = jwcrypto_jws.JWS(claims)
        signed.add_signature(keys[alg], alg, protected=header.decode())
        by_jwcrypto = signed.serialize(compact=True)
        message = f"{b64url(header)}.{b64url(claims)}"
        by_openssl = f"{message}.{b64url(openssl.sign(key, alg, message.encode()))}"
        for token in (by_jwcrypto, by_openssl):
            client.join(domain, Machine.ec(), token=token)
            other = token.replace(b64url(claims), b64url(compact(usual_claims(sub="other"))))
            refused = client.register(domain, Machine.ec(), token=other)
            refused.refused("DOM_AUTHENTICATION_REQUIRED")


def test_openssl_verifies_what_the_ca_signs(client, domain, openssl):
    x5c = client.join(domain, Machine.ec()).credentials[0]["x5c"]
    ca = parse_chain(x5c)[1].public_key()
    signed, _, signature = der.read(base64.b64decode(x5c[0])).parts
    numbers = (number.integer for number in der.read(signature.content[1:]).parts)
    signature = b"".join(number.to_bytes(32, "big") for number in numbers)
    openssl.verify(ca, "ES256", signed.raw, signature)


def domain_certificate(domain: str, url: str, version: int, key, ca):
    """A domain credential's certificate as the contract describes it, made by `cryptography`."""
    certificate, ca_key = ca
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    uri = x509.UniformResourceIdentifier(f"{url}#v{version}")
    extensions = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
        (x509.SubjectAlternativeName([uri]), False),
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)]))
        .issuer_name(certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(ca_key, hashes.SHA256())


def rfc3339(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.of_sqlite  # It needs no gateway, so one build is enough.
@pytest.mark.parametrize("maker", ["jwcrypto", "by hand"])
@pytest.mark.parametrize(("machine_type", "alg"), [("EC-P256", "ES256"), ("RSA-2048", "RS256")])
def test_a_device_of_a_server_that_others_made(
    programs, tmp_path, openssl, maker, machine_type, alg
):
    domain, ca, keys = "living-room", new_ca("Domain CA"), [ec_key(), rsa_key(6)]
    certificates = []
    requests = []

    def register(body: bytes) -> bytes:
        request = json.loads(body)
        header = json.loads(b64url_decode(request["protected"]))
        assert header["alg"] == alg and header["typ"] == "domain-request"
        machine_key = jwcrypto_jwk.JWK(**header["jwk"])
        # jwcrypto and OpenSSL verify what the device signed.
        jws = jwcrypto_jws.JWS()
        jws.allowed_algs = [alg]
        jws.deserialize(body.decode(), machine_key)
        public = serialization.load_pem_public_key(machine_key.export_to_pem())
        message = f"{request['protected']}.{request['payload']}".encode()
        openssl.verify(public, alg, message, b64url_decode(request["signature"]))
        payload = json.loads(jws.payload)
        requests.append(payload)

        credentials, private = [], []
        for version, (key, certificate) in enumerate(zip(keys, certificates, strict=True), 1):
            kid = f"{domain}/{version}"
            credentials.append(
                {
                    "keyVersion": version,
                    "kid": kid,
                    "x5c": to_x5c(certificate, ca[0]),
                    "notBefore": rfc3339(certificate.not_valid_before_utc),
                    "notAfter": rfc3339(certificate.not_valid_after_utc),
                }
            )
            private.append(jwcrypto_key(key).export_private(as_dict=True) | {"kid": kid})
        key_set = compact({"keys": private})
        thumbprint = machine_key.thumbprint(hashes.SHA256())
        if maker == "by hand":
            token = openssl.seal(key_set, header["jwk"], public, cty="jwk-set+json", kid=thumbprint)
        else:
            jwe_alg = "RSA-OAEP-256" if alg == "RS256" else "ECDH-ES"
            head = {"alg": jwe_alg, "enc": "A256GCM", "cty": "jwk-set+json", "kid": thumbprint}
            if alg == "ES256":
                head |= {"apu": b64url(b"Alice"), "apv": b64url(b"Bob")}
            jwe = jwcrypto_jwe.JWE(
                key_set, compact(head).decode(), algs=[jwe_alg, "A256GCM"], recipient=machine_key
            )
            token = jwe.serialize(compact=True)
        return compact(
            {
                "domain": domain,
                "machineGuid": payload["machineGuid"],
                "newMember": True,
                "registeredAt": rfc3339(datetime.now(UTC)),
                "keyVersion": len(keys),
                "credentials": credentials,
                "encryptedKeys": token,
            }
        )

    device = Device(programs.device, tmp_path / "device", None)
    with DomainServer(register) as server:
        url = server.url(domain)
        certificates += [
            domain_certificate(domain, url, version, key, ca) for version, key in enumerate(keys, 1)
        ]
        device("join", url, "--key-type", machine_type)
    assert versions(device("show")) == [1, 2]
    device("verify")
    assert len(requests) == 1 and abs(requests[0]["iat"] - time.time()) < 300
