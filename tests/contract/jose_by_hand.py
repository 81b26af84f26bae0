"""JOSE without a JOSE library: what RFC 7515, 7516 and 7518 say, written out over the `openssl`
command. AES-GCM, which the command does not have, is from `cryptography`, which is OpenSSL's too.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certificates import key_pem
from machines import b64url, b64url_decode, compact

_OAEP = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
_PSS = ("rsa_padding_mode:pss", "rsa_pss_saltlen:32", "rsa_mgf1_md:sha256")


def public_pem(key) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class OpenSsl:
    """The `openssl` command, with files in a directory of its own."""

    def __init__(self, directory: Path):
        self.directory = directory

    def file(self, name: str, data: bytes) -> str:
        (self.directory / name).write_bytes(data)
        return name

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["openssl", *arguments]
        done = subprocess.run(
            command, cwd=self.directory, input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout + done.stderr!r}"
        return done.stdout

    def sign(self, key, alg: str, message: bytes) -> bytes:
        """A signature as JWS has it (RFC 7518 section 3, RFC 8037 section 3.1)."""
        file = self.file("key.pem", key_pem(key))
        if alg == "EdDSA":
            text = self.file("message", message)
            return self.run("pkeyutl", "-sign", "-rawin", "-in", text, "-inkey", file)
        signature = self.run("dgst", "-sha256", "-sign", file, *_padding(alg), given=message)
        if alg != "ES256":
            return signature
        return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))

    def verify(self, key, alg: str, message: bytes, signature: bytes):
        """That a signature, as JWS has it, is the key's."""
        if alg == "ES256":
            halves = (signature[:32], signature[32:])
            assert len(signature) == 64
            signature = encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))
        file = self.file("public.pem", public_pem(key))
        theirs = self.file("signature", signature)
        said = self.run(
            "dgst", "-sha256", "-verify", file, *_padding(alg), "-signature", theirs, given=message
        )
        assert said.strip() == b"Verified OK"

    def open(self, token: str, key) -> bytes:
        """The plaintext of a compact JWE (RFC 7516 section 5.2)."""
        protected, encrypted_key, iv, text, tag = token.split(".")
        header = json.loads(b64url_decode(protected))
        assert header["enc"] == "A256GCM"
        file = self.file("key.pem", key_pem(key))
        if header["alg"] == "RSA-OAEP-256":
            flags = [flag for option in _OAEP for flag in ("-pkeyopt", option)]
            given = b64url_decode(encrypted_key)
            content_key = self.run("pkeyutl", "-decrypt", "-inkey", file, *flags, given=given)
        else:
            assert header["alg"] == "ECDH-ES" and encrypted_key == ""
            shared = self._agree(file, point_of(header["epk"]))
            content_key = concat_kdf(shared, header)
        sealed = b64url_decode(text) + b64url_decode(tag)
        return AESGCM(content_key).decrypt(b64url_decode(iv), sealed, protected.encode())

    def seal(self, plaintext: bytes, public_jwk: dict, key, **header) -> str:
        """A compact JWE to a public key (RFC 7516 section 5.1)."""
        header = {"enc": "A256GCM", **header}
        content_key, encrypted_key = os.urandom(32), b""
        if public_jwk["kty"] == "RSA":
            header["alg"] = "RSA-OAEP-256"
            file = self.file("public.pem", public_pem(key))
            flags = [flag for option in _OAEP for flag in ("-pkeyopt", option)]
            encrypted_key = self.run(
                "pkeyutl", "-encrypt", "-pubin", "-inkey", file, *flags, given=content_key
            )
        else:
            ephemeral = ec.generate_private_key(ec.SECP256R1())
            numbers = ephemeral.public_key().public_numbers()
            x, y = (b64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
            header |= {"alg": "ECDH-ES", "epk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}}
            file = self.file("ephemeral.pem", key_pem(ephemeral))
            content_key = concat_kdf(self._agree(file, key), header)
        iv, protected = os.urandom(12), b64url(compact(header))
        sealed = AESGCM(content_key).encrypt(iv, plaintext, protected.encode())
        parts = (encrypted_key, iv, sealed[:-16], sealed[-16:])
        return ".".join([protected, *map(b64url, parts)])

    def _agree(self, own: str, other) -> bytes:
        file = self.file("other.pem", public_pem(other))
        return self.run("pkeyutl", "-derive", "-inkey", own, "-peerkey", file)


def _padding(alg: str) -> list[str]:
    return [flag for option in (_PSS if alg == "PS256" else ()) for flag in ("-sigopt", option)]


def point_of(jwk: dict) -> ec.EllipticCurvePublicKey:
    """The key of an EC JWK (RFC 7518 section 6.2.1)."""
    assert (jwk["kty"], jwk["crv"]) == ("EC", "P-256")
    x, y = (b64url_decode(jwk[name]) for name in ("x", "y"))
    assert len(x) == len(y) == 32
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)


def concat_kdf(shared: bytes, header: dict) -> bytes:
    """The content key that a shared secret gives (RFC 7518 section 4.6.2), with one round of
    SHA-256."""

    def with_length(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    parties = (b64url_decode(header.get(name, "")) for name in ("apu", "apv"))
    info = b"".join(map(with_length, (header["enc"].encode(), *parties)))
    rounds, bits = (1).to_bytes(4, "big"), (256).to_bytes(4, "big")
    return hashlib.sha256(rounds + shared + info + bits).digest()
