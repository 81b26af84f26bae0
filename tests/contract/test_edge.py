"""The gateway's edge: TLS, limits of rates, proxies, its configuration and what changes it."""

import http.server
import os
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from admin import Admin
from client import Client, Joined
from gateway import USUAL, Gateway
from machines import Machine, ec_key
from tokens import NAMESPACE, TokenKey, jwks
from waiting import WAIT_S, until

pytestmark = pytest.mark.of_the_gateway


def write_pair(directory, name: str):
    """A self-signed certificate for 127.0.0.1, as an operator has it."""
    key = ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, day = datetime.now(UTC), timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, now - day, now + day)
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def served_name(gateway) -> str:
    """The common name of the certificate that a new connection gets."""
    pem = ssl.get_server_certificate(("127.0.0.1", int(gateway.address.rsplit(":", 1)[1])))
    subject = x509.load_pem_x509_certificate(pem.encode()).subject
    return subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


# --- TLS ---


def test_a_self_signed_certificate_is_made_once(own_gateway, domain):
    gateway = own_gateway("--tls-self-signed")
    assert gateway.client.origin.startswith("https://127.0.0.1:")
    made = gateway.certificate.read_bytes()
    assert (gateway.state / "tls-key.pem").stat().st_mode & 0o077 == 0
    assert gateway.client.join(domain, Machine.ec()).new_member
    gateway.stop()
    gateway.start()
    assert gateway.certificate.read_bytes() == made
    assert gateway.client.get("/healthz").status == 200


def test_a_device_and_an_operator_over_tls(own_gateway, programs, domain, tmp_path):
    gateway = own_gateway("--tls-self-signed")
    operator = [str(programs.domainctl), "--server", gateway.client.origin]
    operator += ["--token-file", str(gateway.state / "admin-token")]
    operator += ["--ca-file", str(gateway.certificate)]
    subprocess.run([*operator, "domain", "set", domain], check=True, capture_output=True)
    url = gateway.client.domain_server_url(domain)
    device = [str(programs.device), "join", url, "--dir", str(tmp_path / "device")]
    subprocess.run(
        [*device, "--tls-ca-file", str(gateway.certificate)], check=True, capture_output=True
    )
    assert Admin(gateway.client, gateway.admin_token).get(domain).ok()["memberCount"] == 1


def test_a_command_that_cannot_connect_says_what_to_do(own_gateway, programs, server):
    gateway = own_gateway("--tls-self-signed")

    def health(url: str, *flags: str) -> str:
        command = [str(programs.domainctl), "health", "--server", url, *flags]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 3
        return ended.stderr

    secure = f"https://{gateway.address}"
    assert "name that CA's certificate with --tls-ca-file" in health(secure)
    assert "does it expect https://?" in health(f"http://{gateway.address}")
    trusting = ("--ca-file", str(gateway.certificate))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "nothing listens there" in health(f"https://127.0.0.1:{port}", *trusting)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def http_2(gateway, context: ssl.SSLContext, method: bytes, path: bytes) -> list[tuple[int, bytes]]:
    """The frames of the answer to one request, each with its type; `method` is a field of HPACK."""
    context.set_alpn_protocols(["h2", "http/1.1"])
    port = int(gateway.address.rsplit(":", 1)[1])
    raw = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        authority = gateway.address.encode()
        fields = method + b"\x87" + b"\x04" + bytes([len(path)]) + path
        fields += b"\x01" + bytes([len(authority)]) + authority
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        connection.sendall(frame(1, 0x05, 1, fields))
        stream = connection.makefile("rb")
        frames, is_open = [], True
        while is_open:
            head = stream.read(9)
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[5:] == bytes([0, 0, 0, 1]):
                frames.append((head[3], payload))
                is_open = not head[4] & 1
        return frames


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http_2_is_agreed_on(own_gateway, version):
    gateway = own_gateway("--tls-self-signed")
    context = ssl.create_default_context(cafile=gateway.certificate)
    context.minimum_version = context.maximum_version = version
    get = b"\x82"
    (kind, fields), *body = http_2(gateway, context, get, b"/healthz")
    # The first field, from the static table: ":status: 200".
    assert kind == 1 and fields[0] == 0x88
    assert b'"status":"ok"' in b"".join(payload for _, payload in body)


def test_head_over_http_2_has_no_body(own_gateway):
    gateway = own_gateway("--tls-self-signed", "--internal-listen", "127.0.0.1:0")
    context = ssl.create_default_context(cafile=gateway.certificate)
    # One answer is the component's, the other the gateway's own: a 404.
    for path in (b"/healthz", b"/admin/v1/domains"):
        frames = http_2(gateway, context, b"\x02\x04HEAD", path)
        assert [kind for kind, payload in frames if kind == 1 or payload] == [1], path


def test_a_changed_certificate_is_served_and_a_bad_one_is_not(own_gateway, tmp_path):
    write_pair(tmp_path, "first")
    files = ("--tls-certificate", str(tmp_path / "cert.pem"))
    gateway = own_gateway(*files, "--tls-key", str(tmp_path / "key.pem"))
    assert served_name(gateway) == "first"
    write_pair(tmp_path, "second")
    until(lambda: served_name(gateway) == "second")

    (tmp_path / "key.pem").write_text("nonsense")
    until(lambda: any("the old one stays in use" in line for line in gateway.log))
    assert served_name(gateway) == "second"

    write_pair(tmp_path, "third")
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: served_name(gateway) == "third")


def test_a_client_that_says_nothing_keeps_nobody_waiting(own_gateway):
    gateway = own_gateway("--tls-self-signed")
    port = int(gateway.address.rsplit(":", 1)[1])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    assert gateway.client.get("/healthz").status == 200
    silent[0].settimeout(WAIT_S)
    assert silent[0].recv(1) == b"", "it is closed"
    for connection in silent:
        connection.close()


# --- Limits of rates ---


def refused(answer, limit: str, quota: int, window: int):
    problem = answer.refused("RATE_LIMITED")
    assert problem["status"] == 429
    wait = int(answer.header("retry-after"))
    assert 1 <= wait <= window
    assert answer.header("ratelimit-policy") == f'"{limit}";q={quota};w={window}'
    assert answer.header("ratelimit") == f'"{limit}";r=0;t={wait}'
    assert answer.header("cache-control") == "no-store"


def ask_as(gateway, client: str, **headers):
    return gateway.client.get("/healthz", headers={"X-Forwarded-For": client, **headers})


def until_refused(ask, most: int) -> list:
    """What comes up to the first 429, which is among so many answers."""
    answers = [ask()]
    while answers[-1].status != 429:
        assert len(answers) < most, "none is refused"
        answers.append(ask())
    return answers


def test_one_client_that_asks_too_often(own_gateway):
    gateway = own_gateway("--rate-limit-client", "1/s:20", "--trusted-proxy", "127.0.0.0/8")
    answers = until_refused(lambda: ask_as(gateway, "192.0.2.1"), 200)
    assert len(answers) > 20
    refused(answers[-1], "client", 20, 20)

    def forwarded(client: str):
        return gateway.client.get("/healthz", headers={"Forwarded": f"for={client}"})

    # Others are served, whatever the first one claims to be. It may ask once more after a second,
    # but not as often as somebody new.
    assert ask_as(gateway, "192.0.2.2").status == 200
    until_refused(lambda: ask_as(gateway, "203.0.113.9, 192.0.2.1"), 10)
    assert ask_as(gateway, "nonsense").status == 200
    until_refused(lambda: forwarded("192.0.2.1"), 10)
    assert forwarded('"[2001:db8::1]"').status == 200


def test_nobody_is_believed_without_a_trusted_proxy(own_gateway):
    gateway = own_gateway("--rate-limit-client", "1/s:20")
    statuses = [ask_as(gateway, f"192.0.2.{number}").status for number in range(60)]
    assert 429 in statuses


def test_a_domain_that_is_asked_for_too_often(own_gateway, domain):
    gateway = own_gateway("--rate-limit-domain", "1/s:5")
    client = gateway.client
    target = client.path(domain, "register")
    answers = [client.post(target, b"{}") for _ in range(30)]
    late = [answer for answer in answers if answer.status == 429]
    refused(late[0], "domain", 5, 5)
    assert client.describe(domain).status != 429
    assert client.register(f"{domain}-other", Machine.ec()).status == 200


def test_it_is_refused_before_its_body_is_read(own_gateway, domain):
    gateway = own_gateway("--rate-limit-client", "1/s:1")
    head = (
        f"POST {gateway.client.path(domain, 'register')} HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/jose+json\r\nContent-Length: 1000\r\n\r\n"
    )
    with ExitStack() as stack:
        connections = [stack.enter_context(gateway.connect()) for _ in range(20)]
        for connection in connections:
            connection.sendall(head.encode())
        # One or a few are waited for, and their bodies never come. The others came too early.
        for connection in connections:
            connection.settimeout(5)
            try:
                if b" 429 " in connection.recv(1000):
                    return
            except TimeoutError:
                pass
    raise AssertionError("none was refused")


# --- Configuration ---


def check_config(programs, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(programs.gateway), "check-config", "--component", str(programs.component)]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def test_a_file_has_flags_and_settings(own_gateway, domain, tmp_path):
    token = "an-admin-token-of-more-than-32-characters"
    (tmp_path / "token").write_text(token + "\n")
    file = tmp_path / "gateway.toml"
    file.write_text(
        'rate_limit_client = "1/s:20"\nmax-connections = 50\n[settings]\n'
        f'max_domains = 0\nadmin_token = "@{tmp_path / "token"}"\n'
    )
    gateway = own_gateway("--config", str(file), "--rate-limit-client", "1000/s")
    assert {gateway.client.get("/healthz").status for _ in range(60)} == {200}
    gateway.client.register(domain, Machine.ec()).refused("RATE_LIMITED")
    assert Admin(gateway.client, token).set(domain) is not None
    assert not (gateway.state / "admin-token").exists()


def test_a_configuration_is_checked_and_nothing_is_made(programs, tmp_path):
    state = tmp_path / "state"
    good = check_config(programs, "--state", str(state))
    assert good.returncode == 0, good.stderr
    assert not state.exists()

    file = tmp_path / "gateway.toml"
    file.write_text(f'state = "{state}"\n\nlisen = "hunter2"\n')
    wrong = check_config(programs, "--config", str(file))
    assert wrong.returncode == 1
    assert "line 3" in wrong.stderr and "lisen" in wrong.stderr
    assert "hunter2" not in wrong.stdout + wrong.stderr

    file.write_text(
        f'state = "{state}"\ntls_certificate = "{tmp_path}/none.pem"\ntls_key = "/none"\n'
        '[settings]\nadmin_token = "hunter2"\n'
    )
    wrong = check_config(programs, "--config", str(file))
    assert wrong.returncode == 1
    assert "none.pem" in wrong.stderr and "admin_token" in wrong.stderr
    assert "hunter2" not in wrong.stdout + wrong.stderr
    assert not state.exists()


def test_a_configuration_in_use_is_checked(programs, own_gateway, domain):
    gateway = own_gateway()
    gateway.client.join(domain, Machine.ec())
    assert check_config(programs, "--state", str(gateway.state)).returncode == 0
    gateway.stop()

    def files():
        return {path.name: path.read_bytes() for path in gateway.state.glob("*") if path.is_file()}

    before = files()
    assert check_config(programs, "--state", str(gateway.state)).returncode == 0
    assert files() == before
    (gateway.state / "ca-key.pem").unlink()
    wrong = check_config(programs, "--state", str(gateway.state))
    assert wrong.returncode == 1
    assert "ca-key.pem" in wrong.stderr


def test_a_reload_changes_the_admin_token_or_nothing(own_gateway, domain, tmp_path):
    tokens = [f"{name}-{'x' * 40}" for name in ("first", "second")]
    (tmp_path / "token").write_text(tokens[0])
    file = tmp_path / "gateway.toml"
    settings = f'[settings]\nadmin_token = "@{tmp_path / "token"}"\n'
    file.write_text(settings)
    gateway = own_gateway("--config", str(file))

    def is_admin(token: str) -> bool:
        return Admin(gateway.client, token).put(domain).status < 300

    assert [is_admin(token) for token in tokens] == [True, False]
    (tmp_path / "token").write_text(tokens[1])
    gateway.reload("was read again")
    assert [is_admin(token) for token in tokens] == [False, True]

    (tmp_path / "token").write_text("too short")
    gateway.reload("nothing of it was taken")
    assert [is_admin(token) for token in tokens] == [False, True]
    file.write_text(settings + "nonsense = 1\n")
    gateway.reload("nothing of it was taken")
    assert is_admin(tokens[1])

    (tmp_path / "token").write_text(tokens[0])
    file.write_text('rate_limit_client = "1/s:1"\n' + settings)
    gateway.reload("was read again")
    assert 429 in {gateway.client.get("/healthz").status for _ in range(20)}
    assert not any(token in line for token in tokens for line in gateway.log)


# --- Keys at a URL ---


class Keys(http.server.ThreadingHTTPServer):
    """An issuer's JWK Set."""

    def __init__(self, *keys: TokenKey):
        self.keys = keys
        self.requests = 0
        super().__init__(("127.0.0.1", 0), KeysHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks"


class KeysHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        body = jwks(*self.server.keys).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_keys_come_from_a_url_and_new_ones_are_looked_for(own_gateway, programs, domain):
    first, second = TokenKey("ES256", "first"), TokenKey("ES256", "second")
    with Keys(first) as issuer:
        gateway = own_gateway(auth_jwks=issuer.url)
        admin = Admin(gateway.client, gateway.admin_token)
        admin.set(domain, authenticationRequired=True, authNamespace=NAMESPACE)
        assert gateway.client.join(domain, Machine.ec(), token=first.token()).new_member
        asked = issuer.requests
        issuer.keys = (first, second)
        newcomer, answers = Machine.ec(), []

        def is_let_in() -> bool:
            answers.append(gateway.client.register(domain, newcomer, token=second.token()))
            return answers[-1].status != 401

        # A request does not wait for a slow issuer for ever, but each has it asked once at most.
        until(is_let_in, "the new key is not found")
        assert Joined(answers[-1].ok(), newcomer).new_member
        assert asked < issuer.requests <= asked + len(answers)
        asked = issuer.requests
        third = TokenKey("ES256", "third")
        gateway.client.register(domain, Machine.ec(), token=third.token()).refused(
            "DOM_AUTHENTICATION_REQUIRED"
        )
        assert issuer.requests == asked
        issuer.shutdown()
    # Without the issuer the keys that were kept are used.
    gateway.stop()
    gateway.start()
    assert gateway.client.join(domain, Machine.ec(), token=second.token()).new_member


# --- systemd ---


def test_systemd_is_told(programs, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(300)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        os.environ["WATCHDOG_USEC"] = "200000"
        (tmp_path / "state").mkdir()
        gateway = Gateway(programs, tmp_path / "state", USUAL)
        try:
            gateway.start()
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]

        def told(*wanted: str):
            left = list(wanted)
            while left:
                lines = notified.recv(1000).decode().splitlines()
                if lines[0] == left[0]:
                    left.pop(0)
                if lines[0] == "RELOADING=1":
                    assert int(lines[1].removeprefix("MONOTONIC_USEC=")) > 0

        told("READY=1", "WATCHDOG=1", "WATCHDOG=1")
        gateway.process.send_signal(signal.SIGHUP)
        told("RELOADING=1", "READY=1", "WATCHDOG=1")
        gateway.stop()
        told("STOPPING=1")


def test_the_client_of_another_origin_is_not_confused(own_gateway, domain):
    """What a device signs is what counts, also behind a proxy that ends TLS."""
    gateway = own_gateway("--trusted-proxy", "127.0.0.1", public_origin="https://domains.example")
    client = Client(gateway.client.origin, "https://domains.example", gateway.certificate)
    assert client.join(domain, Machine.ec()).new_member
