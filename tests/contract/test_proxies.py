"""deploy/nginx and deploy/caddy: devices join through them, and requests pass as they were sent."""

import json
import socket
import subprocess
import threading

import pytest

from proxies import Caddy, Nginx, Proxy

# As devices may write them: escaped, with slashes that mean something, or nothing.
PATHS = (
    "/flashaccess/domainserver/living-room//register",
    "/flashaccess/domainserver/living%2Droom/register",
    "/flashaccess/domainserver/living%2droom/",
    "/flashaccess/domainserver/a.b_c/flashaccess/domain/v4?q=%20&r",
    "/flashaccess//domainserver/x",
    "/healthz",
    "/openapi.json",
)
# What is not for the public, however it is written.
HIDDEN = (
    "/",
    "/admin/v1/domains",
    "//admin/v1/domains",
    "/%61dmin/v1/domains",
    "/flashaccess/../admin/v1/domains",
    "/flashaccess/%2e%2e/admin/v1/domains",
    "/admin/v1/../../flashaccess/domainserver/x",
    "/console/",
    "/metrics",
    "/healthz/x",
)


@pytest.fixture(params=[Nginx, Caddy], ids=lambda kind: kind.__name__)
def proxy(request, tmp_path):
    """Starts the proxy in front of an address."""
    started: list[Proxy] = []

    def start(upstream: str) -> Proxy:
        directory = tmp_path / "proxy"
        directory.mkdir()
        started.append(request.param(directory, upstream))
        return started[-1].start()

    yield start
    for one in started:
        one.close()


class Upstream:
    """Answers everything, and keeps the heads of the requests."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heads: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
                    data += more
                self.heads.append(data.decode("latin-1"))
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nX-Request-Id: from-the-server\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )

    def last(self) -> tuple[str, dict[str, list[str]]]:
        """The target of the last request, and its fields by their names in lower case."""
        first, *lines = self.heads[-1].split("\r\n\r\n")[0].split("\r\n")
        fields: dict[str, list[str]] = {}
        for line in lines:
            name, value = line.split(":", 1)
            fields.setdefault(name.lower(), []).append(value.strip())
        return first.split(" ")[1], fields


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.listener.close()


def test_requests_pass_as_they_were_sent(proxy, upstream):
    front = proxy(upstream.address)
    for path in PATHS:
        status, head = front.ask(path, X_Request_Id="mine-1")
        target, fields = upstream.last()
        assert (status, target) == (200, path)
        assert fields["host"] == [f"localhost:{front.port}"]
        assert fields["x-request-id"] == ["mine-1"]
        assert "x-request-id: from-the-server" in head.lower()


def test_nobody_says_another_address_is_theirs(proxy, upstream):
    front = proxy(upstream.address)
    front.ask(PATHS[0], X_Forwarded_For="192.0.2.1", Forwarded="for=192.0.2.1")
    _, fields = upstream.last()
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["https"]
    assert "192.0.2.1" not in json.dumps(fields)


def test_the_operators_paths_are_hidden(proxy, upstream):
    front = proxy(upstream.address)
    for path in HIDDEN:
        status, _ = front.ask(path)
        assert status == 404, path
    assert upstream.heads == []


def test_a_device_lives_through_it(proxy, own_gateway, programs, tmp_path):
    # The gateway is told the origin, so a request for any other is refused.
    gateway = own_gateway(plain=True)
    front = proxy(gateway.address)
    gateway.stop()
    gateway.settings["public_origin"] = front.origin
    gateway.start()

    def device(*arguments: str):
        directory = ("--dir", str(tmp_path / "device"), "--json")
        trust = ("--tls-ca-file", str(front.certificate.certificate))
        command = [str(programs.device), *arguments, *directory, *trust]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    # The escape is in the URL that the device signs.
    url = f"{front.origin}/flashaccess/domainserver/living%2Droom/"
    for command in ("join", "verify", "leave", "join"):
        device(command, *([] if command == "verify" else [url]))
