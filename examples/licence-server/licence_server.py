"""A licence server that binds content to domains.

    PUT /content/{name}?domain=URL   packages a clear sample for the domain with this URL
    GET /content/{name}              the encrypted sample, for anyone
    GET /content/{name}/licence      its key, encrypted to the domain's key, for anyone

Nobody logs in to get a licence: only members of the domain can open it. Which key to encrypt to,
the domain server says (`GET URL`). Whose key that is, its certificate says, under the domain CA
that this server was started with. Certificates of former keys, which devices that have left may
still have, are valid too: so an answer with an older key than before is refused. Over plain http
the first answer after a start is only as fresh as the network is honest.
"""

import argparse
import base64
import json
import re
import secrets
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
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
    kid: str


class Domains:
    """The domains of the servers with these URLs, under these CAs."""

    def __init__(self, servers: list[str], authorities: list[x509.Certificate]):
        server = "|".join(re.escape(url.rstrip("/")) for url in servers)
        path = "/flashaccess/domainserver/([A-Za-z0-9][A-Za-z0-9._-]{0,127})"
        self.urls = re.compile(f"((?:{server}){path})/*")
        self.authorities = authorities
        self.newest: dict[str, int] = {}
        self.lock = threading.Lock()

    def newest_key(self, domain_url: str) -> tuple[str, jwk.Key]:
        """The name of a domain's newest key, and the key, as its certificate has it."""
        match = self.urls.fullmatch(unquote(domain_url))
        if match is None:
            raise Refused(400, "the URL is not that of a domain on a server that is allowed here")
        url, name = match.groups()
        domain = describe(url)
        leaf = x509.load_der_x509_certificate(base64.b64decode(domain["x5c"][0]))
        # A CA and the one that replaces it may have the same subject: each is tried.
        for authority in self.authorities:
            with suppress(InvalidSignature, TypeError, ValueError):
                leaf.verify_directly_issued_by(authority)
                break
        else:
            raise Refused(502, "the domain's certificate is from a CA that is not trusted here")
        if not leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc:
            raise Refused(502, "the domain's certificate is not in date")
        version = domain["keyVersion"]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        # They begin with the server's name for itself, which may be another than in the URL here.
        ends = f"/{name}/#v{version}", f"/{name}#v{version}"
        wanted = f"CN={name}", name, f"{name}/{version}"
        told = leaf.subject.rfc4514_string(), domain["domain"], domain["kid"]
        if told != wanted or not any(uri.endswith(ends) for uri in uris):
            raise Refused(502, "the domain server's answer is for another domain or key version")
        with self.lock:
            if version < self.newest.get(url, 0):
                raise Refused(502, "the domain server's answer is old: a newer key was seen before")
            self.newest[url] = version
        public = leaf.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key_type = "RSA" if isinstance(public, RSAPublicKey) else "EC"
        return domain["kid"], jwk.import_key(pem, key_type)


def describe(url: str) -> dict:
    """What a domain server says about a domain with a key. A redirect elsewhere is not followed."""
    where = urlsplit(url)
    connect = HTTPSConnection if where.scheme == "https" else HTTPConnection
    with closing(connect(where.netloc, timeout=10)) as connection:
        connection.request("GET", where.path)
        answer = connection.getresponse()
        body = answer.read(1 << 20)
    said = json.loads(body) if answer.headers.get_content_subtype().endswith("json") else {}
    is_unknown = answer.status == 404 and said.get("error") == "UNKNOWN_DOMAIN"
    if not is_unknown and answer.status != 200:  # Another 404 may be that of a proxy.
        raise Refused(502, f"the domain server answered {answer.status}")
    if is_unknown or said["x5c"] is None:
        raise Refused(409, "nobody has joined the domain yet, so it has no key")
    return said


def package(clear: bytes, domain_url: str, domains: Domains) -> Content:
    """Encrypts a sample with a new key, and that key to the domain."""
    kid, domain_key = domains.newest_key(domain_url)
    key = secrets.token_bytes(16)
    algorithm = "RSA-OAEP-256" if domain_key.key_type == "RSA" else "ECDH-ES"
    header = {"alg": algorithm, "enc": "A256GCM", "kid": kid, "cty": "octet-stream"}
    licence = jwe.encrypt_compact(header, key, domain_key, algorithms=[algorithm, "A256GCM"])
    return Content(sample.encrypt(clear, key), licence, kid)


class Handler(BaseHTTPRequestHandler):
    """The three requests above."""

    domains: Domains
    library: dict[str, Content] = {}

    def do_PUT(self):
        self.answer(self.put)

    def do_GET(self):
        self.answer(self.get)

    def put(self, name: str, part: str | None, query: dict) -> tuple[int, str, bytes]:
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "a sample needs a Content-Length, and is not taken in chunks")
        length = self.headers.get("Content-Length", "")
        length = int(length) if re.fullmatch("[0-9]{1,9}", length) else 0
        if part or "domain" not in query or not 0 < length <= LARGEST_SAMPLE:
            raise Refused(400, "PUT /content/{name}?domain=URL: a sample with a Content-Length")
        clear = self.rfile.read(length)
        if len(clear) < length:
            raise Refused(400, "the sample is shorter than its Content-Length")
        content = self.library[name] = package(clear, query["domain"][0], self.domains)
        return 201, "text/plain", f"packaged {name} for {content.kid}\n".encode()

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
    server_help = "a domain server, by its URL before /flashaccess; may be repeated"
    parser.add_argument("--domain-server", required=True, action="append", help=server_help)
    arguments = parser.parse_args()
    if not all(re.match("https?://", server) for server in arguments.domain_server):
        parser.error("a domain server's URL begins with http:// or https://")
    authorities = x509.load_pem_x509_certificates(arguments.ca.read_bytes())
    Handler.domains = Domains(arguments.domain_server, authorities)
    host, _, port = arguments.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print(f"listening on http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
