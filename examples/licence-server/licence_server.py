"""A licence server that binds content to domains.

    PUT /content/{name}?domain=URL   packages a clear sample for the domain whose server is at URL
    GET /content/{name}              the encrypted sample, for anyone
    GET /content/{name}/licence      its key, encrypted to the domain's key, for anyone

Nobody logs in to get a licence: only members of the domain can open it. Which key to encrypt to,
the domain server says (`GET URL`). Whose key that is, its certificate says, under the domain CA that
this server was started with.
"""

import argparse
import base64
import json
import re
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from joserfc import jwe, jwk

import sample

LARGEST_SAMPLE = 64 << 20


class Refused(Exception):
    """With a status, and why."""


@dataclass
class Content:
    """What is kept of a sample. Its key is nowhere else than in the licence."""

    encrypted: bytes
    licence: str


def newest_key(domain_url: str, authorities: list[x509.Certificate]) -> tuple[str, jwk.Key]:
    """The name of a domain's newest key, and the key, as its certificate has it."""
    try:
        with urllib.request.urlopen(domain_url, timeout=10) as answer:
            domain = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        domain = {"x5c": None}
    if domain["x5c"] is None:
        raise Refused(409, "nobody has joined the domain yet, so it has no key")
    leaf, *_ = (x509.load_der_x509_certificate(base64.b64decode(der)) for der in domain["x5c"])
    issuer = next((ca for ca in authorities if ca.subject == leaf.issuer), None)
    if issuer is None:
        raise Refused(502, "the domain's certificate is from a CA that is not trusted here")
    leaf.verify_directly_issued_by(issuer)
    if not leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc:
        raise Refused(502, "the domain's certificate is not in date")
    (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if name.value != domain["domain"]:
        raise Refused(502, "the domain's certificate is for another domain")
    public = leaf.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return domain["kid"], jwk.import_key(pem, "RSA" if isinstance(public, RSAPublicKey) else "EC")


def package(clear: bytes, domain_url: str, authorities: list[x509.Certificate]) -> Content:
    """Encrypts a sample with a new key, and that key to the domain."""
    kid, domain_key = newest_key(domain_url, authorities)
    key = secrets.token_bytes(16)
    algorithm = "RSA-OAEP-256" if domain_key.key_type == "RSA" else "ECDH-ES"
    header = {"alg": algorithm, "enc": "A256GCM", "kid": kid, "cty": "octet-stream"}
    licence = jwe.encrypt_compact(header, key, domain_key, algorithms=[algorithm, "A256GCM"])
    return Content(sample.encrypt(clear, key), licence)


class Handler(BaseHTTPRequestHandler):
    """The three requests above."""

    authorities: list[x509.Certificate] = []
    library: dict[str, Content] = {}

    def do_PUT(self):
        self.answer(self.put)

    def do_GET(self):
        self.answer(self.get)

    def put(self, name: str, part: str | None, query: dict) -> tuple[int, str, bytes]:
        length = int(self.headers.get("Content-Length", "0"))
        if part or "domain" not in query or not 0 < length <= LARGEST_SAMPLE:
            raise Refused(400, "PUT /content/{name}?domain=URL takes a sample")
        clear = self.rfile.read(length)
        content = package(clear, query["domain"][0], self.authorities)
        self.library[name] = content
        kid = json.loads(base64.urlsafe_b64decode(content.licence.split(".")[0] + "=="))["kid"]
        return 201, "text/plain", f"packaged {name} for {kid}\n".encode()

    def get(self, name: str, part: str | None, _) -> tuple[int, str, bytes]:
        if name not in self.library:
            raise Refused(404, f"there is no {name}")
        content = self.library[name]
        if part:
            return 200, "application/jose", content.licence.encode()
        return 200, "video/mp4", content.encrypted

    def answer(self, handle):
        try:
            url = urlsplit(self.path)
            path = re.fullmatch(r"/content/([A-Za-z0-9._-]{1,100})(/licence)?", url.path)
            if path is None:
                raise Refused(404, "there are /content/{name} and /content/{name}/licence")
            status, media_type, body = handle(path[1], path[2], parse_qs(url.query))
        except Refused as refused:
            status, media_type = refused.args[0], "text/plain"
            body = f"{refused.args[1]}\n".encode()
        except Exception as error:  # The domain server is away, or its certificate is not right.
            status, media_type = 502, "text/plain"
            body = f"the domain server's answer cannot be used: {type(error).__name__}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:8800", help="address and port")
    parser.add_argument("--ca", required=True, type=Path, help="the domain CA's certificates (PEM)")
    arguments = parser.parse_args()
    Handler.authorities = x509.load_pem_x509_certificates(arguments.ca.read_bytes())
    host, _, port = arguments.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print(f"listening on http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
