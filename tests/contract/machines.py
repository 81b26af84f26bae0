"""Machines: a GUID and a key pair, and the requests that they sign.

The ordinary path signs with joserfc. `forge` signs arbitrary header and payload bytes, for requests
that no JOSE library would agree to make.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
import warnings
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwk, jws
from joserfc.errors import SecurityWarning

ALGORITHMS = ["RS256", "PS256", "ES256"]

_pool_lock = threading.Lock()


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64url_decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value) -> bytes:
    """JSON without white space, as UTF-8."""
    return json.dumps(value, separators=(",", ":")).encode()


@cache
def _rsa_key(bits: int, index: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def rsa_key(index: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The pool's key of that number: RSA keys are slow to make, so tests share them."""
    with _pool_lock:
        return _rsa_key(bits, index)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def import_key(key) -> jwk.RSAKey | jwk.ECKey:
    """The key as joserfc has it; kept, because importing an RSA key checks it at length."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # Some tests want small keys.
        return jwk.import_key(pem, "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC")


class Machine:
    """A machine that was individualized: a random GUID and a key pair of its own."""

    def __init__(self, key, alg: str | None = None, guid: str | None = None):
        self.key = key
        self.guid = guid or str(uuid.uuid4())
        self.alg = alg or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
        self.jwk = import_key(key)
        self.public_jwk = {
            name: value for name, value in self.jwk.as_dict(private=False).items() if name != "kid"
        }

    @classmethod
    def rsa(cls, index: int = 0, bits: int = 2048, **named) -> "Machine":
        return cls(rsa_key(index, bits), **named)

    @classmethod
    def ec(cls, **named) -> "Machine":
        return cls(ec_key(), **named)

    def twin(self, **named) -> "Machine":
        """The same GUID under another key, or the same key under another GUID."""
        return Machine(named.pop("key", self.key), guid=named.pop("guid", self.guid), **named)

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 SHA-256 thumbprint, computed here and not by the library."""
        names = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}[self.public_jwk["kty"]]
        return b64url(hashlib.sha256(compact({n: self.public_jwk[n] for n in names})).digest())

    def header(self, target_url: str, /, **changes) -> dict:
        """The protected header; a change to None leaves the member out."""
        header = {
            "typ": "domain-request",
            "alg": self.alg,
            "jwk": self.public_jwk,
            "url": target_url,
        }
        header.update(changes)
        return {name: value for name, value in header.items() if value is not None}

    def payload(self, **changes) -> dict:
        """The payload; a change to None leaves the member out."""
        payload = {"machineGuid": self.guid, "iat": int(time.time())}
        payload.update(changes)
        return {name: value for name, value in payload.items() if value is not None}

    def request(self, url: str, header: dict | None = None, **payload) -> bytes:
        """A signed request: a flattened JWS in JSON, made by joserfc."""
        protected = self.header(url, **(header or {}))
        signed = jws.serialize_json(
            {"protected": protected},
            compact(self.payload(**payload)),
            self.jwk,
            registry=jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False),
        )
        return compact(signed)

    def forge(self, protected: bytes, payload: bytes, alg: str | None = None) -> dict:
        """A flattened JWS over exactly these bytes, signed under `alg` whatever they say."""
        parts = {"protected": b64url(protected), "payload": b64url(payload)}
        return resign(parts, self.key, alg or self.alg)


def resign(parts: dict, key, alg: str) -> dict:
    """Sign the encoded `protected` and `payload` as they stand."""
    message = f"{parts['protected']}.{parts['payload']}".encode()
    return {**parts, "signature": b64url(sign(key, alg, message))}


def sign(key, alg: str, message: bytes) -> bytes:
    """A raw JWS signature (RFC 7518 section 3), algorithms that the contract refuses among them."""
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[alg[2:]]
    if alg.startswith("RS"):
        return key.sign(message, padding.PKCS1v15(), digest)
    if alg.startswith("PS"):
        return key.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    if alg.startswith("ES"):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        size = (key.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if alg.startswith("HS"):
        return hmac.digest(key, message, f"sha{alg[2:]}")
    raise ValueError(alg)
