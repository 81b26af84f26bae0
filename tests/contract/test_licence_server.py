"""The licence server of `examples/licence-server`: with devices of its domain, and with a domain
server that says what a test wants."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from certificates import new_ca, to_x5c

pytestmark = pytest.mark.of_the_gateway

EXAMPLE = Path(__file__).parents[2] / "examples" / "licence-server"
TIMEOUT_S = 180

NOBODY = (409, "nobody has joined the domain yet, so it has no key\n")


@contextmanager
def licence_server(ca: Path, server: str):
    """Where a licence server is that trusts these CAs, and packages for this server's domains."""
    command = [sys.executable, EXAMPLE / "licence_server.py", "--ca", ca]
    command += ["--domain-server", "http://127.0.0.1:1/other", "--domain-server", server]
    command += ["--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.kill()


@pytest.fixture
def licences(client, tmp_path):
    (tmp_path / "ca.pem").write_bytes(client.ca_pem())
    with licence_server(tmp_path / "ca.pem", client.public_origin) as url:
        yield url


def package(content: str, domain_url: str, clear: bytes = b"film") -> tuple[int, str]:
    url = f"{content}?domain={quote(domain_url, safe='')}"
    request = urllib.request.Request(url, clear, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_what_is_packaged_for_a_domain_plays_on_its_devices(
    server, client, programs, licences, domain, tmp_path
):
    url = client.domain_server_url(domain).rstrip("/")

    def device(name: str, *arguments: str):
        command = [programs.device, "--dir", tmp_path / name, *arguments]
        subprocess.run(command, check=True, timeout=TIMEOUT_S, stdout=subprocess.DEVNULL)

    def play(name: str, content: str) -> bytes | None:
        command = [sys.executable, EXAMPLE / "player.py", content, "--device", tmp_path / name]
        command += ["--domain-device", programs.device]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert (done.returncode == 0) != (b"cannot play" in done.stderr), done.stderr
        return done.stdout if done.returncode == 0 else None

    film, next_film = (f"{licences}/content/{name}" for name in ("film", "next-film"))
    clear = bytes(range(256)) * 100
    assert package(film, url, clear) == NOBODY
    device("television", "join", url)
    device("telephone", "--key-type", "RSA-2048", "join", url)
    assert package(film, url, clear) == (201, f"packaged film for {domain}/1\n")
    with urllib.request.urlopen(film, timeout=TIMEOUT_S) as answer:
        assert clear[:16] not in answer.read()
    assert play("television", film) == play("telephone", film) == clear

    shutil.copytree(tmp_path / "television", tmp_path / "copy")
    device("television", "leave", url)
    assert play("television", film) is None
    device("telephone", "join", url)
    assert package(next_film, url, b"next") == (201, f"packaged next-film for {domain}/2\n")
    assert play("telephone", film) == play("copy", film) == clear
    assert play("telephone", next_film) == b"next"
    assert play("copy", next_film) is None


def test_a_domain_of_another_ca_is_refused(client, own_gateway, domain, tmp_path):
    other = own_gateway()
    other.client.join_many(domain, 1)
    url = other.client.domain_server_url(domain)
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    ours.write_bytes(client.ca_pem())
    theirs.write_bytes(other.client.ca_pem())
    # Both gateways give their CAs the same name.
    with licence_server(ours, other.client.public_origin) as licences:
        refused = (502, "the domain's certificate is from a CA that is not trusted here\n")
        assert package(f"{licences}/content/film", url) == refused
    with licence_server(theirs, other.client.public_origin) as licences:
        assert package(f"{licences}/content/film", url)[0] == 201


class Told:
    """A domain server that says what it is told to, and the licence server that asks it."""

    def __init__(self):
        # One subject for all of them, as while one replaces another.
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.cas = [new_ca("Domain CA"), new_ca("Domain CA", key=rsa_key), new_ca("Domain CA")]
        self.stranger = new_ca("Domain CA")
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[str] = []
        self.answer: tuple[int, dict[str, str], bytes] = (500, {}, b"")
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                told.asked.append(self.path)
                status, headers, body = told.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.licences = ""

    @property
    def film(self) -> str:
        return f"{self.licences}/content/film"

    def url(self, domain: str) -> str:
        return f"{self.origin}/flashaccess/domainserver/{domain}"

    def certificate(self, ca, cn: str, uri: str, days: int = 1) -> x509.Certificate:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)]))
            .issuer_name(ca[0].subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(names, critical=False)
            .sign(ca[1], hashes.SHA256())
        )

    def describe(self, domain: str, version: int = 1, ca=None, changed=None, **certificate):
        """Have it describe a domain as in the protocol, but for what is changed."""
        ca = ca or self.cas[0]
        # A server may have another name for itself than the one it is asked by.
        uri = f"https://public.example/flashaccess/domainserver/{domain}/#v{version}"
        leaf = self.certificate(ca, **{"cn": domain, "uri": uri, **certificate})
        said = {"domain": domain, "keyVersion": version, "kid": f"{domain}/{version}"}
        said |= {"x5c": to_x5c(leaf, ca[0])} | (changed or {})
        self.answer = (200, {"Content-Type": "application/json"}, json.dumps(said).encode())

    def put(self, head: str, body: bytes = b"", target: str = "") -> tuple[int, str]:
        """What the licence server says to a request with these header fields."""
        where = urlsplit(self.licences)
        target = target or f"/content/film?domain={self.url('d')}"
        with socket.create_connection((where.hostname, where.port), TIMEOUT_S) as connection:
            connection.sendall(f"PUT {target} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read().decode()
        return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    told = Told()
    pem = tmp_path_factory.mktemp("ca") / "ca.pem"
    encoding = serialization.Encoding.PEM
    pem.write_bytes(b"".join(ca.public_bytes(encoding) for ca, _ in told.cas))
    threading.Thread(target=told.server.serve_forever, daemon=True).start()
    with licence_server(pem, told.origin + "/") as told.licences:
        yield told
    told.server.shutdown()
    told.server.server_close()


OF_ANOTHER = (502, "the domain server's answer is for another domain or key version\n")
URI = "https://public.example/flashaccess/domainserver/"


@pytest.mark.parametrize("uri", ["{}#v1", "{}/#v1"])
@pytest.mark.parametrize("written", ["{}", "{}/", "{}//", "%{:x}{}"])
def test_every_spelling_of_a_domains_url_and_of_its_certificate(told, domain, uri, written):
    told.describe(domain, uri=URI + uri.format(domain))
    if written.startswith("%"):
        segment = written.format(ord(domain[0]), domain[1:])
    else:
        segment = written.format(domain)
    assert package(told.film, told.url(segment)) == (201, f"packaged film for {domain}/1\n")


@pytest.mark.parametrize(
    "certificate",
    [
        {"cn": "another"},
        {"cn": "{}x"},
        {"uri": URI + "another/#v1"},
        {"uri": URI + "not-{}/#v1"},
        {"uri": URI + "not-{}#v1"},
        {"uri": URI + "{}/#v2"},
        {"uri": URI + "{}/#v11"},
        {"uri": URI + "{}/"},
        {"uri": URI + "{}/another#v1"},
    ],
    ids=str,
)
def test_a_certificate_for_something_else_is_refused(told, domain, certificate):
    told.describe(domain, **{name: text.format(domain) for name, text in certificate.items()})
    assert package(told.film, told.url(domain)) == OF_ANOTHER
    told.describe(domain)
    assert package(told.film, told.url(domain))[0] == 201


@pytest.mark.parametrize(
    "changed",
    [
        {"domain": "another"},
        {"kid": "another/1"},
        {"kid": "{}/2"},
        {"kid": "{}/1 "},
        {"keyVersion": 2},
        {"keyVersion": 2, "kid": "{}/2"},
    ],
    ids=str,
)
def test_an_answer_that_the_certificate_does_not_bear_out_is_refused(told, domain, changed):
    changed = {
        name: it if name == "keyVersion" else it.format(domain) for name, it in changed.items()
    }
    told.describe(domain, changed=changed)
    assert package(told.film, told.url(domain)) == OF_ANOTHER


def test_a_true_answer_about_another_domain_is_refused(told, domain):
    told.describe("another")
    assert package(told.film, told.url(domain)) == OF_ANOTHER


def test_an_answer_is_refused_that_is_older_than_one_before(told, domain):
    url = told.url(domain)
    for version in (1, 2, 10):
        told.describe(domain, version)
        assert package(told.film, url) == (201, f"packaged film for {domain}/{version}\n")
    old = (502, "the domain server's answer is old: a newer key was seen before\n")
    told.describe(domain, 2)
    for spelling in (url, url + "/", told.url(f"%{ord(domain[0]):x}{domain[1:]}")):
        assert package(told.film, spelling) == old
    told.describe(domain, 10)
    assert package(told.film, url)[0] == 201
    # What is remembered is about this domain alone.
    told.describe(domain + "-other", 1)
    assert package(told.film, told.url(domain + "-other"))[0] == 201


def test_an_answer_that_is_refused_is_not_remembered_as_newer(told, domain):
    told.describe(domain, 9, ca=told.stranger)
    assert package(told.film, told.url(domain))[0] == 502
    told.describe(domain, 1)
    assert package(told.film, told.url(domain))[0] == 201


def test_all_cas_of_one_subject_count_and_no_other(told, domain):
    for ca in told.cas:
        told.describe(domain, ca=ca)
        assert package(told.film, told.url(domain))[0] == 201
    told.describe(domain, ca=told.stranger)
    refused = (502, "the domain's certificate is from a CA that is not trusted here\n")
    assert package(told.film, told.url(domain)) == refused


def test_a_certificate_that_has_expired_is_refused(told, domain):
    told.describe(domain, days=-1)
    refused = (502, "the domain's certificate is not in date\n")
    assert package(told.film, told.url(domain)) == refused


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/flashaccess/domainserver/d",
        "ftp://{host}/flashaccess/domainserver/d",
        "https://{host}/flashaccess/domainserver/d",
        "//{host}/flashaccess/domainserver/d",
        "http://localhost:{port}/flashaccess/domainserver/d",
        "http://{host}@localhost:{port}/flashaccess/domainserver/d",
        "http://{host}0/flashaccess/domainserver/d",
        "http://{host}/d",
        "http://{host}/admin/v1/domains/d",
        "http://{host}/flashaccess/domainserver/",
        "http://{host}/flashaccess/domainserver/d/register",
        "http://{host}/flashaccess/domainserver/../d",
        "http://{host}/flashaccess/domainserver/..",
        "http://{host}/flashaccess/domainserver/d?x",
        "http://{host}/flashaccess/domainserver/d#x",
        "http://{host}/flashaccess/domainserver/d\n",
        " http://{host}/flashaccess/domainserver/d",
    ],
)
def test_nothing_but_domains_of_allowed_servers_is_asked_for(told, url):
    told.describe("d")
    told.asked.clear()
    host = urlsplit(told.origin)
    url = url.format(host=host.netloc, port=host.port)
    refused = "the URL is not that of a domain on a server that is allowed here\n"
    assert package(told.film, url) == (400, refused)
    assert told.asked == []


@pytest.mark.parametrize("server", ["file:///etc", "ftp://127.0.0.1", "127.0.0.1:3000", ""])
def test_a_domain_server_has_an_http_url(server, tmp_path):
    (tmp_path / "ca.pem").write_bytes(
        new_ca("Domain CA")[0].public_bytes(serialization.Encoding.PEM)
    )
    command = [sys.executable, EXAMPLE / "licence_server.py", "--ca", tmp_path / "ca.pem"]
    command += ["--listen", "127.0.0.1:0"]
    for arguments in ([], ["--domain-server", server]):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 2, done.stderr
        assert ("http:// or https://" if arguments else "--domain-server") in done.stderr


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(told, domain, status):
    told.asked.clear()
    told.answer = (status, {"Location": told.url("elsewhere")}, b"")
    refused = (502, f"the domain server answered {status}\n")
    assert package(told.film, told.url(domain)) == refused
    assert told.asked == [f"/flashaccess/domainserver/{domain}"]


PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (404, PROBLEM, b'{"error": "UNKNOWN_DOMAIN"}'),
            NOBODY,
        ),
        (
            (200, {"Content-Type": "application/json"}, b'{"x5c": null}'),
            NOBODY,
        ),
        ((404, PROBLEM, b'{"error": "NOT_FOUND"}'), (502, "the domain server answered 404\n")),
        (
            (404, {"Content-Type": "text/html"}, b"<p>UNKNOWN_DOMAIN</p>"),
            (502, "the domain server answered 404\n"),
        ),
        ((404, {}, b""), (502, "the domain server answered 404\n")),
        ((503, PROBLEM, b'{"error": "UNKNOWN_DOMAIN"}'), (502, "the domain server answered 503\n")),
        (
            (200, {"Content-Type": "application/json"}, b'{"x5c": '),
            (502, "the domain server's answer cannot be used: JSONDecodeError\n"),
        ),
    ],
)
def test_nobody_has_joined_only_if_the_domain_server_says_so(told, domain, answer, said):
    told.answer = answer
    assert package(told.film, told.url(domain)) == said


@pytest.mark.parametrize(
    "head",
    [
        "",
        "Content-Length: \r\n",
        "Content-Length: 0\r\n",
        "Content-Length: -4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 4.0\r\n",
        "Content-Length: four\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 67108865\r\n",
        f"Content-Length: {'9' * 5000}\r\n",
    ],
)
def test_a_bad_length_is_refused(told, head):
    told.describe("d")
    assert told.put(head, b"film") == (
        400,
        "PUT /content/{name}?domain=URL: a sample with a Content-Length\n",
    )
    assert told.put("Content-Length: 4\r\n", b"film") == (201, "packaged film for d/1\n")


def test_a_sample_that_is_cut_off_is_refused(told):
    told.describe("d")
    refused = (400, "the sample is shorter than its Content-Length\n")
    assert told.put("Content-Length: 5\r\n", b"film") == refused


@pytest.mark.parametrize("more", ["", "Content-Length: 4\r\n"])
def test_a_sample_in_chunks_is_refused(told, more):
    told.describe("d")
    refused = (411, "a sample needs a Content-Length, and is not taken in chunks\n")
    chunks = b"4\r\nfilm\r\n0\r\n\r\n"
    assert told.put(f"Transfer-Encoding: chunked\r\n{more}", chunks) == refused
