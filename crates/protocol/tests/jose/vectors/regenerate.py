"""Writes rfc7515.json and interop.json: needs jwcrypto 1.5 and joserfc 1.

rfc7515.json holds the examples A.2 and A.3 of RFC 7515 (out of jwcrypto's own tests, which carry
them), interop.json what two other JOSE libraries made with those examples' keys, and what this
protocol refuses. openssl.json was made with openssl 3 of the same keys.

    python regenerate.py DIRECTORY
"""

import json
import sys

from joserfc import jwe as joserfc_jwe
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, RSAKey
from jwcrypto import jwe, jwk, tests
from jwcrypto.common import base64url_encode

directory = sys.argv[1]


def example(protected, payload, key, signature):
    parts = (base64url_encode(bytes(part)) for part in (protected, payload, signature))
    return {"key": dict(key), "compact": ".".join(parts)}


rfc7515 = {
    "A.2": example(tests.A2_protected, tests.A2_payload, tests.A2_key, tests.A2_signature),
    "A.3": example(tests.A3_protected, tests.A3_payload, tests.A3_key, tests.A3_signature),
}
with open(f"{directory}/rfc7515.json", "w") as file:
    json.dump(rfc7515, file, indent=1)

keys = {"RSA": rfc7515["A.2"]["key"], "EC": rfc7515["A.3"]["key"]}
joserfc_keys = {"RSA": RSAKey.import_key(keys["RSA"]), "EC": ECKey.import_key(keys["EC"])}


def signed(alg, kty):
    return joserfc_jws.serialize_compact(
        {"alg": alg}, b"payload", joserfc_keys[kty], algorithms=[alg]
    )


def joserfc_encrypted(header, kty):
    return joserfc_jwe.encrypt_compact(
        header, b"plaintext", joserfc_keys[kty], algorithms=[header["alg"], header["enc"]]
    )


def jwcrypto_encrypted(header, kty):
    token = jwe.JWE(b"plaintext", protected=json.dumps(header), recipient=jwk.JWK(**keys[kty]))
    return token.serialize(compact=True)


interop = {
    "RS256": signed("RS256", "RSA"),
    "PS256": signed("PS256", "RSA"),
    "ES256": signed("ES256", "EC"),
    "RSA-OAEP-256": joserfc_encrypted(
        {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "jwk-set+json"}, "RSA"
    ),
    "ECDH-ES": joserfc_encrypted({"alg": "ECDH-ES", "enc": "A256GCM"}, "EC"),
    "ECDH-ES apu apv": jwcrypto_encrypted(
        {
            "alg": "ECDH-ES",
            "enc": "A256GCM",
            "apu": base64url_encode("Alice"),
            "apv": base64url_encode("Bob"),
        },
        "EC",
    ),
    "RSA-OAEP": jwcrypto_encrypted({"alg": "RSA-OAEP", "enc": "A256GCM"}, "RSA"),
    "RSA-OAEP-256 A128GCM": jwcrypto_encrypted({"alg": "RSA-OAEP-256", "enc": "A128GCM"}, "RSA"),
    "RSA-OAEP-256 zip": jwcrypto_encrypted(
        {"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF"}, "RSA"
    ),
}
with open(f"{directory}/interop.json", "w") as file:
    json.dump(interop, file, indent=1)
