"""An issuer of authentication tokens that shares no code with the server."""

import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from joserfc import jwk, jws

from machines import b64url, compact, ec_key, resign, rsa_key

ISSUER = "https://issuer.example"
AUDIENCE = "anonymous-domains"
NAMESPACE = "acme"


class TokenKey:
    """A signing key of the issuer's: its algorithm, its JWK and what the JWKS publishes."""

    def __init__(self, sign_alg: str, kid: str | None, /, key=None, **published):
        kind = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[sign_alg]
        if key is None:
            key = {
                "RSA": lambda: rsa_key(9),
                "EC": ec_key,
                "OKP": ed25519.Ed25519PrivateKey.generate,
            }[kind]()
        self.key, self.alg, self.kid = key, sign_alg, kid
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.jwk = jwk.import_key(pem, kind)
        public = {k: v for k, v in self.jwk.as_dict(private=False).items() if k != "kid"}
        self.public = {**public, **({"kid": kid} if kid else {}), **published}

    def header(self, **changes) -> dict:
        usual = {"alg": self.alg, "typ": "JWT", "kid": self.kid, **changes}
        return {name: value for name, value in usual.items() if value is not None}

    def token(self, header=None, **claims) -> str:
        """A compact JWT signed by joserfc; a change to None leaves a claim or member out."""
        registry = jws.JWSRegistry(algorithms=[self.alg], strict_check_header=False)
        protected = self.header(**(header or {}))
        return jws.serialize_compact(
            protected, compact(usual_claims(**claims)), self.jwk, registry=registry
        )

    def forge(self, protected: bytes, claims: bytes, key=None, alg: str | None = None) -> str:
        """A compact JWS over exactly these bytes."""
        parts = {"protected": b64url(protected), "payload": b64url(claims)}
        if (alg or self.alg) == "EdDSA":
            message = f"{parts['protected']}.{parts['payload']}".encode()
            signed = {**parts, "signature": b64url(self.key.sign(message))}
        else:
            signed = resign(parts, self.key if key is None else key, alg or self.alg)
        return f"{signed['protected']}.{signed['payload']}.{signed['signature']}"


def usual_claims(**changes) -> dict:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "somebody",
        "iat": int(time.time()),
        "exp": int(time.time()) + 600,
        "ns": NAMESPACE,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def jwks(*keys: TokenKey) -> str:
    return compact({"keys": [key.public for key in keys]}).decode()
