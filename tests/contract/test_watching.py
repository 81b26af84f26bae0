"""What an operator can watch: metrics, readiness, request ids, the audit log, traces, the log."""

import contextlib
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser

from admin import Admin
from client import Client
from machines import Machine
from waiting import until

pytestmark = pytest.mark.of_the_gateway

INTERNAL = "internal listener on http://"
UUID_7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def internal(gateway) -> Client:
    """The client of a gateway's internal listener."""
    lines = lambda: [line for line in gateway.log if line.startswith(INTERNAL)]  # noqa: E731
    until(lines, "there is no internal listener")
    return Client("http://" + lines()[-1].removeprefix(INTERNAL).strip())


def samples(client: Client, accept="text/plain") -> dict[tuple, float]:
    """The metrics as Prometheus' own client reads them: by their names and labels."""
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status == 200
    text = answer.body.decode()
    if accept == OPEN_METRICS:
        assert answer.header("content-type").startswith(
            "application/openmetrics-text; version=1.0.0"
        )
        families = open_parser.text_string_to_metric_families(text)
    else:
        assert answer.header("content-type").startswith("text/plain; version=0.0.4")
        families = parser.text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def records(*paths) -> list[dict]:
    """The records of an audit log, whose chain must be whole."""
    found, previous = [], "0" * 64
    for path in paths:
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            assert record["seq"] == len(found) + 1
            assert record["prev"] == previous
            previous = hashlib.sha256(line).hexdigest()
            found.append(record)
    return found


def verify(programs, *arguments, code: int = 0) -> str:
    command = [str(programs.domainctl), "audit", "verify", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_metrics_after_a_join(own_gateway, domain):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0")
    operators, client = internal(gateway), gateway.client
    machine = Machine.ec()
    client.join(domain, machine)
    client.join(domain, machine)
    client.leave(domain, machine, preview=True)
    client.leave(domain, machine)
    client.deregister(domain, machine).refused("DEREG_DENIED")
    client.get("/nothing").refused("NOT_FOUND")

    busy = ("anonymous_domains_component_instances", ("state", "busy"))
    until(lambda: samples(operators)[busy] == 0, "an instance is always busy")
    for accept in ("text/plain", OPEN_METRICS):
        found = samples(operators, accept)
        total = lambda name, **labels: found[(name, *sorted(labels.items()))]  # noqa: B023, E731
        registrations = "anonymous_domains_registrations_total"
        assert total(registrations, outcome="joined") == 1
        assert total(registrations, outcome="member") == 1
        for outcome in ("preview", "left", "DEREG_DENIED"):
            assert total("anonymous_domains_deregistrations_total", outcome=outcome) == 1
        assert total("anonymous_domains_keys_generated_total", type="EC-P256") == 1
        assert total("anonymous_domains_key_generation_duration_seconds_count") == 1
        requests = "http_server_request_duration_seconds_count"
        path = "/flashaccess/domainserver/{domain}"
        for route, method, status, number in [
            (path + "/register", "POST", "200", 2),
            (path + "/deregister", "POST", "200", 2),
            (path + "/deregister", "POST", "403", 1),
            ("other", "GET", "404", 1),
        ]:
            labels = {
                "http_request_method": method,
                "http_route": route,
                "http_response_status_code": status,
            }
            assert total(requests, **labels) == number, labels
        assert total("http_server_active_requests") == 0
        assert total("anonymous_domains_component_instances", state="idle") >= 0
        store = "anonymous_domains_store_operation_duration_seconds_count"
        assert total(store, operation="get", outcome="ok") > 3
        assert total(store, operation="compare_and_swap", outcome="ok") > 2
        conflicts = (store, ("operation", "compare_and_swap"), ("outcome", "conflict"))
        assert total("anonymous_domains_store_conflicts_total") == found.get(conflicts, 0)
        expiry = total("anonymous_domains_ca_certificate_expiry_timestamp_seconds")
        assert 3600 < (expiry - time.time()) / 86400 < 3700
        assert [key for key in found if key[0] == "anonymous_domains_build_info"]
        for name in ("open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds"):
            assert total(f"process_{name}") > 0
        assert total("process_cpu_seconds_total") > 0
        text = repr(found)
        assert domain not in text and machine.guid not in text


def test_a_limit_is_counted(own_gateway):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0", max_domains="1")
    gateway.client.join("one", Machine.ec())
    assert gateway.client.register("two", Machine.ec()).status == 429
    found = samples(internal(gateway))
    assert found[("anonymous_domains_rate_limited_total", ("limit", "domains"))] == 1


def test_operators_are_served_only_on_their_own_listener(own_gateway, domain):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0")
    operators = internal(gateway)
    for path in ("/admin/v1/domains", "/admin/v1", "/console/", "/metrics", "/livez", "/readyz"):
        token = {"Authorization": f"Bearer {gateway.admin_token}"}
        gateway.client.get(path, headers=token).refused("NOT_FOUND")
    Admin(operators, gateway.admin_token).set(domain, maxMembership=1)
    assert operators.get("/livez").status == 200
    operators.get(f"/flashaccess/domainserver/{domain}").refused("NOT_FOUND")
    operators.send("POST", "/metrics").refused("METHOD_NOT_ALLOWED")
    gateway.client.join(domain, Machine.ec())


def test_without_that_listener_operators_are_served_on_the_public_one(server, admin):
    admin.send("GET", "/domains").ok()
    server.client.get("/metrics").refused("NOT_FOUND")


@pytest.mark.of_sqlite
def test_not_ready_without_the_store(own_gateway):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0")
    operators = internal(gateway)
    # The first check may take longer than it has.
    until(lambda: operators.get("/readyz").status == 200, "it is never ready")
    (database,) = [path for path in gateway.databases() if path.name == "store.db"]
    lock = sqlite_lock(database)
    try:

        def is_said_of_the_store() -> bool:
            answer = operators.get("/readyz")
            if answer.status == 200:
                return False
            assert answer.status == 503
            assert answer.media_type == "application/problem+json"
            # A check that ended before it came to the store says nothing about it.
            return answer.json()["part"] == "store"

        until(is_said_of_the_store, "it is always ready")
        assert operators.get("/livez").status == 200
    finally:
        lock.rollback()
        lock.close()
    until(lambda: operators.get("/readyz").status == 200, "it is never ready again")


def sqlite_lock(database):
    """A connection that keeps others from writing."""
    import sqlite3

    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_readiness_ends_before_the_server_does(own_gateway, domain):
    gateway = own_gateway("--internal-listen", "127.0.0.1:0", "--shutdown-delay", "1h")
    operators = internal(gateway)
    until(lambda: operators.get("/readyz").status == 200, "it is never ready")
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: operators.get("/readyz").status == 503, "it is still ready")
    assert operators.get("/readyz").json()["part"] == "shutdown"
    assert operators.get("/livez").status == 200
    gateway.client.join(domain, Machine.ec())


def test_request_ids(own_gateway, domain):
    gateway = own_gateway("--log-format", "json")
    client = gateway.client
    chosen = client.get("/healthz", headers={"X-Request-Id": "mine_1.2-3"})
    assert chosen.headers["x-request-id"] == ["mine_1.2-3"]
    for sent in ("", "x" * 65, "a b", "a/b"):
        answer = client.get("/healthz", headers={"X-Request-Id": sent})
        assert re.fullmatch(UUID_7, answer.header("x-request-id")), sent
    problem = client.get("/nothing")
    assert problem.json()["instance"] == "urn:uuid:" + problem.header("x-request-id")
    # Of the gateway itself.
    two_hosts = [("Host", "a"), ("Host", "b"), ("X-Request-Id", "r-9")]
    answer = client.send_fields("POST", Client.path(domain, "register"), b"", two_hosts)
    assert answer.json()["instance"] == "urn:request:r-9"
    assert answer.header("x-request-id") == "r-9"

    def lines():
        found = [json.loads(line) for line in gateway.log if line.startswith("{")]
        return [one for one in found if one.get("request_id") == "mine_1.2-3"]

    until(lambda: any(one["target"] == "access" for one in lines()), "it is not in the log")


def test_the_audit_log(own_gateway, programs, domain, tmp_path):
    path = tmp_path / "audit.log"
    gateway = own_gateway("--audit-log", str(path))
    client, machine = gateway.client, Machine.ec()
    sent = client.register(domain, machine)
    joined = sent.ok()
    client.deregister(domain, Machine.ec()).refused("DEREG_DENIED")
    admin = Admin(client, gateway.admin_token)
    assert admin.block(domain, machine.guid).status == 204
    admin.send("GET", "/domains", token="wrong").refused("ADMIN_AUTHENTICATION_REQUIRED")

    found = records(path)
    events = [record["event"] for record in found]
    for event in ("domain_created", "key_generated", "registration", "machine_blocked"):
        assert event in events
    assert "admin_refused" in events and "deregistration" in events
    join = found[events.index("registration")]
    assert join["outcome"] == "joined"
    assert join["domain"] == domain
    assert join["machineGuid"].lower() == machine.guid
    assert join["keyVersion"] == joined["keyVersion"]
    assert join["actor"] == "machine"
    assert join["request_id"] == sent.header("x-request-id")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert gateway.admin_token not in text

    # Killed in the middle of a line, and started again.
    gateway.stop(signal.SIGKILL)
    with path.open("a") as file:
        file.write('{"seq":')
    assert "cut off" in verify(programs, path, code=1)
    gateway.start()
    client.join(domain, Machine.ec())
    assert records(path)[len(found)]["event"] == "log_repaired"

    # Rotated.
    old = tmp_path / "audit.log.1"
    path.rename(old)
    gateway.process.send_signal(signal.SIGHUP)
    until(path.exists, "there is no new file")
    client.join(domain, Machine.ec())
    until(lambda: len(records(old, path)) > len(records(old)), "nothing is in the new file")
    whole = verify(programs, old, path)
    last = len(records(old, path))
    assert f"the chain is whole: records 1 to {last}\n" in whole
    assert records(old, path)[-1]["outcome"] == "joined"


def test_what_was_done_to_an_audit_log(own_gateway, programs, domain, tmp_path):
    path = tmp_path / "audit.log"
    gateway = own_gateway("--audit-log", str(path))
    gateway.client.join_many(domain, 3)
    gateway.stop()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    last = len(lines)
    digest = hashlib.sha256(lines[-1].rstrip()).hexdigest()
    assert digest in verify(programs, path)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert "record 2 removed" in verify(programs, path, code=1)
    path.write_bytes(b"".join([lines[0], lines[1].replace(domain.encode(), b"x"), *lines[2:]]))
    assert "record 2 changed" in verify(programs, path, code=1)
    path.write_bytes(b"".join(lines[:-1]))
    verify(programs, path)
    noted = ["--expect-seq", str(last), "--expect-hash", digest]
    assert "tail was cut" in verify(programs, path, *noted, code=1)
    path.write_bytes(whole)
    verify(programs, path, *noted)


@pytest.mark.parametrize("fail_open", [False, True])
def test_an_audit_log_that_cannot_be_written(own_gateway, domain, fail_open):
    """/dev/full is a file on a disk that is always full."""
    flags = ("--audit-fail-open",) if fail_open else ()
    gateway = own_gateway("--audit-log", "/dev/full", *flags)
    client = gateway.client
    for _ in range(2):
        answer = client.register(domain, Machine.ec())
        if fail_open:
            answer.ok()
        else:
            answer.refused("INTERNAL")
    # What changes nothing is answered.
    assert client.get("/healthz").status == 200


class Collector(HTTPServer):
    """An OpenTelemetry collector that keeps all spans."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.spans = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class CollectorHandler(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_join_is_one_trace(own_gateway, domain, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    collector = Collector()
    gateway = own_gateway("--otlp-endpoint", collector.url, "--log-format", "json")
    client = gateway.client
    machine, target = Machine.ec(), Client.path(domain, "register")
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {
        "Content-Type": "application/jose+json",
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
    }
    body = machine.request(client.url(target))
    answer = client.send("POST", target, body, headers)
    assert answer.ok()["newMember"]

    def of_trace():
        return [span for span in collector.spans if span.trace_id.hex() == trace]

    def servers():
        return [span for span in of_trace() if span.kind == span.SPAN_KIND_SERVER]

    until(servers, "the server's span did not come")
    until(lambda: any(span.name == "component" for span in of_trace()), "nor the component's")
    (server,) = servers()
    assert server.name == "POST /flashaccess/domainserver/{domain}/register"
    assert server.parent_span_id.hex() == "b7ad6b7169203331"
    attributes = {one.key: one.value for one in server.attributes}
    assert attributes["http.route"].string_value == "/flashaccess/domainserver/{domain}/register"
    assert attributes["http.request.method"].string_value == "POST"
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["request_id"].string_value == answer.header("x-request-id")
    (component,) = [span for span in of_trace() if span.name == "component"]
    assert component.parent_span_id == server.span_id
    calls = [span for span in of_trace() if span.name.startswith("store ")]
    assert {"store get", "store compare_and_swap"} <= {span.name for span in calls}
    assert {span.parent_span_id for span in calls} == {component.span_id}

    def logged():
        found = [json.loads(line) for line in gateway.log if line.startswith("{")]
        return [one for one in found if one.get("trace_id") == trace]

    until(logged, "the log does not have the trace's id")
    collector.shutdown()


def at_a_terminal(command: list[str], **environment: str) -> str:
    """What a command writes to a terminal, which its standard error is."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm"} | environment
    with subprocess.Popen(command, stderr=theirs, env=environment):
        os.close(theirs)
        written = b""
        # Once nobody has the other end, reading is an error.
        with contextlib.suppress(OSError):
            while more := os.read(ours, 4096):
                written += more
    os.close(ours)
    return written.decode()


def test_the_log_has_colours_only_at_a_terminal(programs, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    # It logs which settings it has, and then finds no component.
    command = [str(programs.gateway), "--listen", "127.0.0.1:0", "--state", str(tmp_path / "state")]
    command += ["--component", str(tmp_path / "nowhere")]
    for environment in ({}, {"NO_COLOR": ""}):
        assert "\x1b[32m INFO\x1b[0m" in at_a_terminal(command, **environment)
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        told = at_a_terminal(command, **environment)
        assert "INFO" in told and "\x1b" not in told, told
    piped = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "INFO" in piped.stderr and "\x1b" not in piped.stderr
