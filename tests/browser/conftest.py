"""Fixtures: Debian's Chromium, gateways, and the console in one of them."""

import os
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, sync_playwright

from admin import Admin
from console import Console
from gateway import USUAL, Gateway
from spin import Spin

pytest_plugins = ["shared"]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")

IMAGES = Path(__file__).parents[2] / "docs" / "images"

# Settings that are not for a command line.
SECRETS = {"admin_token", "admin_read_token"}


def secret_file(path: Path, secret: str) -> str:
    """Writes a secret; how a setting names it."""
    path.write_text(secret)
    return f"@{path}"


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, who tests in containers.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        # The first start on a loaded machine takes long.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=300_000)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def gateway_with(programs, tmp_path_factory):
    """Starts a gateway of its own with some flags and settings, or a Spin if there is one to test.

    What the first gateway has compiled the others take.
    """
    started: list[Gateway] = []
    host = Spin if programs.spin else Gateway

    def start(*flags: str, **settings: str) -> Gateway:
        # The gateway takes the prefix from requests' paths, Spin does not.
        if programs.spin and (flags or "public_path_prefix" in settings):
            pytest.skip("about the gateway itself")
        state = tmp_path_factory.mktemp("state")
        for name in SECRETS & settings.keys():
            settings[name] = secret_file(state / name, settings[name])
        if started and host is Gateway:
            shutil.copytree(started[0].state / "cache", state / "cache")
        gateway = host(programs, state, {**USUAL, **settings}, flags=flags)
        started.append(gateway.start())
        return gateway

    yield start
    for gateway in started:
        gateway.close()


@pytest.fixture(scope="session")
def fleet(gateway_with) -> Gateway:
    """One with 120 domains, `home-000` to `home-119`."""
    gateway = gateway_with()
    admin = Admin(gateway.client, gateway.admin_token)
    for number in range(120):
        admin.set(f"home-{number:03}")
    return gateway


@pytest.fixture
def devices(tmp_path):
    """The origin of a server of the SDK's page of devices, with the SDK as it is now."""
    sdk = Path(__file__).parents[2] / "sdk" / "js"
    compiler = sdk / "node_modules" / ".bin" / "tsc"
    subprocess.run([compiler, "--project", sdk, "--outDir", tmp_path / "dist"], check=True)
    shutil.copytree(sdk / "examples", tmp_path / "examples")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def console_of(browser):
    """The console of a gateway in a page of its own, which is checked at the end."""
    opened = []

    def new(
        gateway: Gateway,
        prefix: str = "",
        token: str | None = None,
        origin: str | None = None,
        **options,
    ) -> Console:
        options.setdefault("viewport", {"width": 1100, "height": 800})
        context = browser.new_context(locale="en-GB", timezone_id="UTC", **options)
        origin = origin or f"http://{gateway.address}"
        console = Console(context.new_page(), origin, token or gateway.admin_token, prefix)
        opened.append(console)
        return console

    yield new
    for console in opened:
        console.page.context.close()
    for console in opened:
        console.check()


@pytest.fixture
def console(console_of, server) -> Console:
    return console_of(server)


@pytest.fixture
def picture():
    """Keeps a picture for the documentation, if WRITE_SCREENSHOTS is set."""

    def keep(what: Page | Locator, name: str):
        if os.environ.get("WRITE_SCREENSHOTS"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            what.screenshot(path=IMAGES / f"console-{name}.png", animations="disabled")

    return keep
