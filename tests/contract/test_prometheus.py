"""A real Prometheus, with deploy/prometheus, scrapes the gateway."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from machines import Machine
from ports import free_port
from proxies import replaced
from test_watching import internal
from waiting import until

pytestmark = pytest.mark.of_the_gateway

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.fixture
def prometheus(tmp_path):
    """Starts a Prometheus that scrapes this address; gives what asks it."""
    processes = []

    def start(target: str):
        shutil.copy(PROMETHEUS / "alerts.yaml", tmp_path)
        configuration = (PROMETHEUS / "prometheus.yaml").read_text()
        # A scrape may take as long as the interval.
        changes = {
            '["gateway:9464"]': f'["{target}"]',
            "scrape_interval: 15s": "scrape_interval: 5s",
        }
        (tmp_path / "prometheus.yaml").write_text(replaced(configuration, changes))
        program = shutil.which("prometheus")
        assert program, (
            "prometheus is not on the PATH, and this test needs it "
            "(on Debian: apt-get install --no-install-recommends prometheus)"
        )
        port = free_port()
        command = [program, f"--config.file={tmp_path / 'prometheus.yaml'}"]
        command += [f"--storage.tsdb.path={tmp_path / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}"]
        log = (tmp_path / "log").open("w")
        processes.append(subprocess.Popen(command, stdout=log, stderr=log))

        def ask(query: str) -> list[float]:
            parameters = urllib.parse.urlencode({"query": query})
            url = f"http://127.0.0.1:{port}/api/v1/query?{parameters}"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    result = json.load(answer)["data"]["result"]
            except OSError:
                return []
            return [float(series["value"][1]) for series in result]

        return ask

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_it_reads_what_the_gateway_counts(own_gateway, domain, prometheus):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0")
    assert gateway.client.register(domain, Machine.ec()).status == 200
    ask = prometheus(internal(gateway).origin.removeprefix("http://"))
    route = 'http_route="/flashaccess/domainserver/{domain}/register"'
    for query in (
        'up{job="anonymous-domains"}',
        'anonymous_domains_registrations_total{outcome="joined"}',
        'anonymous_domains_keys_generated_total{type="EC-P256"}',
        f"http_server_request_duration_seconds_count{{{route}}}",
        "anonymous_domains_ca_certificate_expiry_timestamp_seconds > bool time()",
    ):
        # After a scrape that failed there is nothing until the next one.
        until(lambda query=query: ask(query) == [1], query)
