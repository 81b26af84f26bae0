"""deploy/systemd: what systemd-analyze says of the unit, and the files that belong to it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = SYSTEMD / "anonymous-domains-gateway.service"
# Of systemd-analyze security: 0 can do nothing, 10 everything. Times ten.
MOST_EXPOSED = 15


def analyze(*arguments: str) -> subprocess.CompletedProcess:
    program = shutil.which("systemd-analyze")
    assert program, (
        "systemd-analyze is not on the PATH, and this test needs it "
        "(on Debian: apt-get install --no-install-recommends systemd)"
    )
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def unit(programs, tmp_path) -> Path:
    """The unit with the program that there is."""
    text = UNIT.read_text()
    assert text.count("/usr/bin/gateway") == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/usr/bin/gateway", str(programs.gateway)))
    return unit


def test_systemd_understands_every_line(unit):
    done = analyze("verify", "--man=no", str(unit))
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert done.returncode == 0 and not ours, done.stderr


def test_an_unknown_line_would_be_noticed(unit):
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    assert unit.name in analyze("verify", "--man=no", str(unit)).stderr


def test_the_unit_can_do_little(unit):
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit))
    assert done.returncode == 0, done.stdout + done.stderr


def test_variables_and_settings_are_the_gateways(programs):
    done = subprocess.run([programs.gateway, "--help"], capture_output=True, text=True, check=True)
    documented = set(re.findall(r"\bANONYMOUS_DOMAINS_[A-Z_]+", done.stdout))
    text = UNIT.read_text() + (SYSTEMD / "gateway.env").read_text()
    used = set(re.findall(r"\b(ANONYMOUS_DOMAINS_[A-Z_]+)=", text))
    assert used <= documented
    settings = (SYSTEMD / "settings.toml").read_text()
    examples = re.sub(r"(?m)^#([a-z_]+ =)", r"\1", settings)
    for name in tomllib.loads(examples):
        assert re.search(rf"\b{name}\b", done.stdout), name


def test_the_example_settings_are_accepted(programs, own_gateway, tmp_path):
    settings = tmp_path / "settings.toml"
    text = (SYSTEMD / "settings.toml").read_text()
    settings.write_text(re.sub(r"(?m)^#([a-z_]+ =)", r"\1", text))
    assert "\npublic_origin" in settings.read_text()
    gateway = own_gateway("--variables", str(settings))
    assert gateway.client.get("/healthz").ok()["status"] == "ok"


def test_the_user_is_the_one_that_is_made():
    (line,) = [
        line
        for line in (SYSTEMD / "anonymous-domains.sysusers").read_text().splitlines()
        if not line.startswith("#")
    ]
    kind, user, *_ = line.split()
    assert (kind, user) == ("u", "anonymous-domains")
    assert f"User={user}\n" in UNIT.read_text()


def test_no_file_is_executable():
    for path in SYSTEMD.iterdir():
        assert not path.stat().st_mode & 0o111, path
