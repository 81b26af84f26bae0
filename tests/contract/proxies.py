"""nginx and Caddy with the configurations in deploy/, on a free port, with a certificate for
localhost."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
START_S = 60
NAME = "domains.example"
# What the configurations pass requests to.
GATEWAY = "127.0.0.1:3000"


class Certificate:
    """A certificate for localhost that vouches for itself, and its key."""

    def __init__(self, directory: Path):
        self.certificate = directory / "certificate.pem"
        self.key = directory / "key.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        encoding = serialization.Encoding.PEM
        self.certificate.write_bytes(certificate.public_bytes(encoding))
        form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key.write_bytes(key.private_bytes(encoding, form, none))


def replaced(text: str, replacements: dict[str, str]) -> str:
    """`text` with every one of the replacements, each of which it must need."""
    for old, new in replacements.items():
        assert old in text, f"the configuration has no {old!r}"
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy that passes requests to `upstream`."""

    package: str

    def __init__(self, directory: Path, upstream: str):
        self.directory = directory
        self.upstream = upstream
        self.certificate = Certificate(directory)
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def program(self, name: str) -> str:
        # Debian keeps servers where the PATH of users does not go.
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        assert found, (
            f"{name} is not on the PATH, and this test needs it "
            f"(on Debian: apt-get install --no-install-recommends {self.package})"
        )
        return found

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> "Proxy":
        log = self.directory / "log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                self.command(), stdout=output, stderr=output, cwd=self.directory
            )
        deadline = time.monotonic() + START_S
        while True:
            with suppress(OSError):
                self.connect().close()
                return self
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.certificate.certificate))
        connection = socket.create_connection(("localhost", self.port), timeout=START_S)
        return context.wrap_socket(connection, server_hostname="localhost")

    def ask(self, target: str, **headers: str) -> tuple[int, str]:
        """The status and the head of the answer to a GET, whose target is sent as it is."""
        lines = [f"GET {target} HTTP/1.1", f"Host: localhost:{self.port}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with self.connect() as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            with connection.makefile("rb") as stream:
                head = stream.read().decode("latin-1").split("\r\n\r\n")[0]
        return int(head.split()[1]), head

    def close(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


class Nginx(Proxy):
    package = "nginx-light"
    site = "anonymous-domains.conf"

    def addresses(self) -> dict[str, str]:
        """What stands for the gateways' addresses, and these."""
        return {f"server {GATEWAY}": f"server {self.upstream}"}

    def adapted(self, site: str) -> str:
        """The configuration as it is used here."""
        return replaced(
            site,
            {
                **self.addresses(),
                "    listen [::]:443 ssl http2;\n": "",
                "listen 443": f"listen 127.0.0.1:{self.port}",
                NAME + ";": "localhost;",
                "/etc/ssl/domains.example/fullchain.pem": str(self.certificate.certificate),
                "/etc/ssl/domains.example/privkey.pem": str(self.certificate.key),
                "/var/log/nginx/": f"{self.directory}/",
            },
        )

    def command(self) -> list[str]:
        configuration = self.write_configuration()
        return [self.program("nginx"), "-e", "stderr", "-c", str(configuration)]

    def write_configuration(self) -> Path:
        site = self.adapted((DEPLOY / "nginx" / self.site).read_text())
        temporary = "".join(
            f"{kind}_temp_path {self.directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = self.directory / "nginx.conf"
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration.write_text(
            f"{user}daemon off;\npid {self.directory}/pid;\nerror_log stderr;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{\n{temporary}{site}}}\n"
        )
        return configuration


class Caddy(Proxy):
    package = "caddy"

    def command(self) -> list[str]:
        text = (DEPLOY / "caddy" / "Caddyfile").read_text()
        files = f"tls {self.certificate.certificate} {self.certificate.key}"
        site = f"https://localhost:{self.port} {{\n\t{files}\n"
        text = replaced(text, {GATEWAY: self.upstream, f"\n{NAME} {{\n": f"\n{site}"})
        options = f"admin off\nauto_https disable_redirects\nstorage file_system {self.directory}\n"
        configuration = self.directory / "Caddyfile"
        # Global options come before everything but comments.
        text = re.sub(r"\A(#.*\n)*", f"{{\n{options}}}\n", text)
        configuration.write_text(text)
        return [self.program("caddy"), "run", "--config", str(configuration), "--adapter=caddyfile"]
