"""deploy/docker: names, files and ports fit together. Nothing is built or run here."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKER = DEPLOY / "docker"


@pytest.fixture
def dockerfile() -> str:
    return (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture
def services() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]


def test_variables_are_the_gateways(programs, dockerfile, services):
    done = subprocess.run([programs.gateway, "--help"], capture_output=True, text=True, check=True)
    flags = set(re.findall(r"\bANONYMOUS_DOMAINS_[A-Z_]+", done.stdout))
    settings = done.stdout.split("Settings of the component:")[1].split("Each comes")[0]
    flags |= {f"ANONYMOUS_DOMAINS_{name.upper()}" for name in re.findall(r"[a-z_]+", settings)}
    used = set(re.findall(r"\b(ANONYMOUS_DOMAINS_[A-Z_]+)=", dockerfile))
    used |= services["gateway"]["environment"].keys()
    assert used <= flags


def test_it_runs_as_a_number_that_is_not_roots(dockerfile):
    (user,) = re.findall(r"(?m)^USER (\d+):\d+$", dockerfile)
    assert int(user) > 0
    assert f"--uid {user} " in dockerfile


def test_the_probe_is_a_command_that_there_is(programs, server, dockerfile):
    (words,) = re.findall(r"(?m)^HEALTHCHECK .*CMD (\[.*\])$", dockerfile)
    name, *arguments = json.loads(words)
    assert name == "domainctl"
    assert arguments[-2:] == ["--server", "http://127.0.0.1:3000"]
    command = [str(programs.domainctl), *arguments[:-2], *server.commands_flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_what_is_mounted_is_there(services):
    volumes = yaml.safe_load((DOCKER / "compose.yaml").read_text())["volumes"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (DOCKER / source).exists(), source
    build = services["gateway"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"


def test_prometheus_asks_services_that_there_are(dockerfile, services):
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    scraped, probed = prometheus["scrape_configs"]
    (target,) = scraped["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert host in services
    assert f"INTERNAL_LISTEN=0.0.0.0:{port}" in dockerfile
    assert probed["static_configs"][0]["targets"] == [f"http://{target}/readyz"]
    assert probed["relabel_configs"][-1]["replacement"].split(":")[0] in services
    provider = DEPLOY / "grafana" / "provisioning" / "dashboards" / "dashboards.yaml"
    (provided,) = yaml.safe_load(provider.read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert any(path.startswith(f"{provided['options']['path']}/") for path in mounted)


def test_nothing_but_this_machine_reaches_it(services):
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
