"""The licence server of `examples/licence-server`, with devices of its domain."""

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.of_the_gateway

EXAMPLE = Path(__file__).parents[2] / "examples" / "licence-server"
TIMEOUT_S = 180


@pytest.fixture
def licences(client, tmp_path):
    """Where a licence server is that trusts the domain CA."""
    (tmp_path / "ca.pem").write_bytes(client.ca_pem())
    command = [sys.executable, EXAMPLE / "licence_server.py", "--ca", tmp_path / "ca.pem"]
    command += ["--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().removeprefix("listening on ").strip()
        process.kill()


def package(content: str, domain_url: str, clear: bytes) -> tuple[int, str]:
    url = f"{content}?domain={domain_url}"
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
    assert package(film, url, clear) == (409, "nobody has joined the domain yet, so it has no key\n")
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


def test_a_domain_of_another_ca_is_refused(licences, own_gateway, domain, tmp_path):
    other = own_gateway()
    other.client.join_many(domain, 1)
    url = other.client.domain_server_url(domain).rstrip("/")
    refused = "the domain's certificate is from a CA that is not trusted here\n"
    code, told = package(f"{licences}/content/film", url, b"film")
    # Both gateways give their CAs the same name.
    assert code == 502 and told in (
        refused,
        "the domain server's answer cannot be used: InvalidSignature\n",
    )
