"""deploy/prometheus and deploy/grafana: what promtool says of them, and the names that they use."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"

# What the gateway exposes, by name and with the labels that are its own.
METRICS = {
    "http_server_request_duration_seconds": {
        "http_request_method",
        "http_route",
        "http_response_status_code",
    },
    "http_server_active_requests": set(),
    "anonymous_domains_registrations_total": {"outcome"},
    "anonymous_domains_deregistrations_total": {"outcome"},
    "anonymous_domains_keys_generated_total": {"type"},
    "anonymous_domains_key_generation_duration_seconds": set(),
    "anonymous_domains_store_operation_duration_seconds": {"operation", "outcome"},
    "anonymous_domains_store_conflicts_total": set(),
    "anonymous_domains_rate_limited_total": {"limit"},
    "anonymous_domains_component_instances": {"state"},
    "anonymous_domains_component_failures_total": {"reason"},
    "anonymous_domains_ca_certificate_expiry_timestamp_seconds": set(),
    "anonymous_domains_build_info": set(),
}
HISTOGRAMS = {name for name in METRICS if name.endswith("_duration_seconds")}
# Of every process (Prometheus' conventions), of every target, and of the blackbox exporter.
OF_OTHERS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "up",
    "probe_success",
}
OF_TARGETS = {"job", "instance"}
# What stands for a duration in a dashboard.
INTERVAL = "$__rate_interval"


def promtool(*arguments: str) -> subprocess.CompletedProcess:
    program = shutil.which("promtool")
    assert program, (
        "promtool is not on the PATH, and this test needs it "
        "(on Debian: apt-get install --no-install-recommends prometheus)"
    )
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def passes(*arguments: str):
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    return [
        panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"
    ]


def expressions() -> dict[str, str]:
    """Every expression of the rules and of the dashboard, by where it is."""
    found = {rule["alert"]: rule["expr"] for rule in rules()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def without_strings(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def metrics_of(expression: str) -> set[str]:
    """The names of metrics: what stands before braces, as all of ours do."""
    return set(re.findall(r"([a-z_][a-z0-9_]*)\s*\{", without_strings(expression)))


def labels_of(expression: str) -> set[str]:
    text = without_strings(expression)
    found = set(re.findall(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*""', text))
    for group in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", text):
        found |= {name.strip() for name in group.split(",")}
    return found


def base(metric: str) -> str:
    """The metric that a series of a histogram belongs to."""
    for suffix in ("_bucket", "_sum", "_count"):
        if metric.removesuffix(suffix) in HISTOGRAMS:
            return metric.removesuffix(suffix)
    return metric


def test_promtool_accepts_the_configuration_and_the_rules():
    passes("check", "config", str(PROMETHEUS / "prometheus.yaml"))
    passes("check", "rules", str(PROMETHEUS / "alerts.yaml"))


def test_alerts_fire_when_they_should_and_only_then():
    passes("test", "rules", str(PROMETHEUS / "alerts_test.yaml"))


def test_every_alert_is_tested_and_says_what_to_do():
    groups = yaml.safe_load((PROMETHEUS / "alerts_test.yaml").read_text())["tests"]
    tested = {
        test["alertname"]
        for group in groups
        for test in group.get("alert_rule_test", [])
        if test["exp_alerts"]
    }
    assert tested == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_every_name_is_one_of_a_metric_that_there_is():
    for where, expression in expressions().items():
        found = metrics_of(expression)
        assert found, where
        labels = set(OF_TARGETS)
        for metric in found:
            assert base(metric) in METRICS.keys() | OF_OTHERS, f"{where}: {metric}"
            # A histogram has no series of its own name.
            assert metric not in HISTOGRAMS, f"{where}: {metric}"
            labels |= METRICS.get(base(metric), set())
            if metric.endswith("_bucket"):
                labels.add("le")
        assert labels_of(expression) <= labels, where


def test_the_dashboard_shows_every_metric():
    shown = {base(m) for panel in panels() for t in panel["targets"] for m in metrics_of(t["expr"])}
    assert METRICS.keys() <= shown
    assert OF_OTHERS - {"probe_success"} <= shown


def test_the_dashboards_expressions_are_promql(tmp_path):
    recorded = [
        {"record": f"panel:{number}", "expr": expression.replace(INTERVAL, "5m")}
        for number, expression in enumerate(expressions().values())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    passes("check", "rules", str(file))


@pytest.mark.parametrize("expression", ["sum(up{job=", "rate(up{}[5m]"])
def test_a_wrong_expression_would_be_noticed(tmp_path, expression):
    file = tmp_path / "rules.yaml"
    rule = {"record": "panel:1", "expr": expression}
    file.write_text(yaml.safe_dump({"groups": [{"name": "wrong", "rules": [rule]}]}))
    assert promtool("check", "rules", str(file)).returncode != 0


def test_the_dashboard_is_one_that_grafana_can_place():
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, f"{panel['title']} lies on another panel"
                cells.add((x, y))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = DASHBOARD.read_text().replace(INTERVAL, "")
    used = set(re.findall(r"\$\{?([a-z_]+)", text)) - {"__all"}
    assert used == variables
