"""A test server for client teams: `--test-faults`."""

import http.client
import subprocess
import time
from pathlib import Path

import pytest

from admin import Admin
from client import ERRORS, JOSE, Answer, Client, Joined
from conftest import host
from device import Device
from gateway import USUAL
from machines import Machine
from waiting import until

pytestmark = pytest.mark.of_the_gateway

CONFIRMED = "--i-know-this-is-a-test-server"
PAGE = "https://tv.example"


def with_rules(path: Path, rules: str = "") -> tuple[str, str, str]:
    path.write_text(rules)
    return ("--test-faults", str(path), CONFIRMED)


@pytest.fixture(scope="module")
def faulty(programs, tmp_path_factory):
    """A test server whose requests ask for their faults."""
    directory = tmp_path_factory.mktemp("faulty")
    flags = with_rules(directory / "rules.toml")
    settings = {**USUAL, "cors_origins": PAGE}
    gateway = host(programs)(programs, directory / "state", settings, flags=flags)
    yield gateway.start()
    gateway.stop()
    gateway.close()


def ask(client: Client, domain: str, machine: Machine, fault: str, action="register", **payload):
    """What `machine` gets that asks for `fault`."""
    target = client.path(domain, action)
    body = machine.request(client.url(target), None, **payload)
    return client.send("POST", target, body, {"Content-Type": JOSE, "Test-Fault": fault})


def test_every_error_can_be_had_and_has_no_effect(faulty, domain):
    client, machine = faulty.client, Machine.ec()
    for error in ERRORS:
        answer = ask(client, domain, machine, f"error={error}, retry-after=7")
        problem = answer.refused(error)
        assert problem["instance"].endswith(answer.header("x-request-id"))
        assert answer.header("test-fault") == f"error={error}, retry-after=7"
        assert answer.header("retry-after") == "7"
        assert answer.header("cache-control") == "no-store"
    assert client.describe(domain).refused("UNKNOWN_DOMAIN")
    answer = ask(client, domain, machine, "error=RATE_LIMITED")
    assert (answer.header("retry-after"), answer.header("ratelimit")) == (
        "1",
        '"test-fault";r=0;t=1',
    )


def test_an_error_of_a_proxy(faulty, domain):
    answer = ask(faulty.client, domain, Machine.ec(), "status=502")
    assert (answer.status, answer.media_type) == (502, "text/html")
    assert b"502 Bad Gateway" in answer.body
    assert faulty.client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_a_delay_after_the_effect(faulty, domain):
    client, machine = faulty.client, Machine.ec()
    before = time.monotonic()
    answer = ask(client, domain, machine, "delay=300ms")
    assert time.monotonic() - before >= 0.3
    assert answer.ok()["newMember"] and answer.header("test-fault") == "delay=300ms"

    # A client that does not wait has left when the request has taken effect.
    impatient = Machine.ec()
    target = client.path(domain, "register")
    connection = client.connection()
    headers = {"Content-Type": JOSE, "Test-Fault": "delay=10min"}
    connection.request("POST", target, impatient.request(client.url(target)), headers)
    admin = Admin(client, faulty.admin_token)
    until(lambda: admin.get(domain).ok()["memberCount"] == 2)
    connection.close()
    assert not client.join(domain, impatient).new_member


def test_a_connection_goes_on_after_an_error(faulty, domain):
    connection = faulty.client.connection()
    target = faulty.client.path(domain, "register")
    for fault in ("error=STORE_UNAVAILABLE", "status=503, retry-after=1", "error=RATE_LIMITED"):
        for method in ("POST", "HEAD"):
            body = b"x" * 1000 if method == "POST" else None
            connection.request(method, target, body, {"Test-Fault": fault})
            answer = Answer.of(connection.getresponse())
            assert answer.status in (429, 503) and answer.header("retry-after") == "1"
            length = int(answer.header("content-length"))
            assert length > 0 and len(answer.body) == (0 if method == "HEAD" else length)
    connection.close()


def test_a_connection_that_ends_before_the_request_takes_effect(faulty, domain):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(faulty.client, domain, Machine.ec(), "disconnect=before")
    assert faulty.client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_a_lost_answer_after_which_the_request_is_repeated(faulty, domain):
    client, machine = faulty.client, Machine.ec()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(client, domain, machine, "disconnect=after")
    assert not client.join(domain, machine).new_member
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(client, domain, machine, "disconnect=after", action="deregister")
    client.deregister(domain, machine).refused("DEREG_DENIED")


def test_an_answer_that_ends_halfway(faulty, domain):
    client, machine = faulty.client, Machine.ec()
    with pytest.raises(http.client.IncompleteRead) as raised:
        ask(client, domain, machine, "disconnect=halfway")
    partial = raised.value
    assert partial.partial.startswith(b'{"domain"')
    assert abs(len(partial.partial) - partial.expected) <= 1
    assert not client.join(domain, machine).new_member
    # Of an answer without a body there is no half.
    target = f"/admin/v1/domains/{domain}/blocked/{machine.guid}"
    headers = {"Authorization": f"Bearer {faulty.admin_token}", "Test-Fault": "disconnect=halfway"}
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.send("PUT", target, b"", headers)
    client.register(domain, machine).refused("DOM_REG_DENIED")


def test_an_old_key_set(faulty, domain):
    client, machine, other = faulty.client, Machine.ec(), Machine.ec()
    first = client.join(domain, machine).body
    answer = ask(client, domain, machine, "old-key-set")
    assert answer.ok()["keyVersion"] == 1 and not answer.header("test-fault")
    client.join(domain, other)
    client.leave(domain, other)
    # The server has a second key from now on, which this device does not see yet.
    answer = ask(client, domain, machine, "old-key-set")
    assert answer.header("test-fault") == "old-key-set"
    joined = Joined(answer.ok(), machine)
    assert joined.versions == [1] and not joined.new_member
    assert joined.credentials == first["credentials"]
    assert client.describe(domain).ok()["keyVersion"] == 2
    assert client.join(domain, machine).versions == [1, 2]
    for known in (1, 2):
        old = ask(client, domain, machine, "old-key-set", knownKeyVersion=known).ok()
        assert (old["keyVersion"], old["credentials"], old["encryptedKeys"]) == (1, [], None)


def test_a_fault_that_there_is_not_is_refused(faulty, domain):
    client = faulty.client
    for fault in ("", "error=NO_SUCH", "status=200", "delay=1h", "error=INTERNAL, status=500"):
        problem = ask(client, domain, Machine.ec(), fault).refused("INVALID_REQUEST")
        assert "Test-Fault" in problem["detail"]
    assert client.describe(domain).refused("UNKNOWN_DOMAIN")


def test_pages_may_ask_and_read(faulty, domain):
    client, target = faulty.client, Client.path(domain, "register")
    asked = {"Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "content-type,test-fault"
    answer = client.send("OPTIONS", target, headers={"Origin": PAGE, **asked})
    assert answer.status == 204
    assert "test-fault" in answer.header("access-control-allow-headers").lower()
    headers = {"Origin": PAGE, "Test-Fault": "error=STORE_UNAVAILABLE"}
    answer = client.send("POST", target, b"", headers)
    answer.refused("STORE_UNAVAILABLE")
    assert answer.header("access-control-allow-origin") == PAGE
    assert "test-fault" in answer.header("access-control-expose-headers").lower()
    answer = client.send("POST", target, b"", {**headers, "Origin": "https://other.example"})
    assert answer.header("access-control-allow-origin") is None


RULES = """
[[rule]]
path = "/flashaccess/domainserver/*/register"
fault = "error=STORE_UNAVAILABLE, retry-after=0"
skip = 1
times = 2
"""


def test_rules_and_a_device_that_gets_over_them(own_gateway, domain, tmp_path, programs):
    rules = tmp_path / "rules.toml"
    gateway = own_gateway(*with_rules(rules, RULES))
    client = gateway.client
    client.join(domain, Machine.ec())
    client.register(domain, Machine.ec()).refused("STORE_UNAVAILABLE")
    assert client.describe(domain).ok()["keyVersion"] == 1
    client.register(domain, Machine.ec()).refused("STORE_UNAVAILABLE")
    client.join(domain, Machine.ec())
    assert any("this is a test server" in line for line in gateway.log)

    # At SIGHUP rules are read again, and count anew; wrong ones are not taken.
    rules.write_text(RULES.replace("skip = 1", "skip = 0"))
    gateway.reload()
    device = Device(programs.device, tmp_path / "device", gateway.certificate)
    device("join", client.domain_server_url(domain))
    client.join(domain, Machine.ec())
    rules.write_text("[[rule]]\n")
    gateway.reload("missing field")
    client.join(domain, Machine.ec())


def test_without_the_confirmation_there_are_no_faults(programs, server, domain, tmp_path):
    flags = with_rules(tmp_path / "rules.toml")
    command = [str(programs.gateway), "--state", str(tmp_path / "state"), *flags[:2]]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and CONFIRMED in ended.stderr
    (tmp_path / "rules.toml").write_text('[[rule]]\npath = "/"\nfault = "error=OOPS"\n')
    command = [str(programs.gateway), "--state", str(tmp_path / "state"), *flags]
    command += ["--listen", "127.0.0.1:0", "--component", str(programs.component)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1 and "line 3" in ended.stderr and "OOPS" in ended.stderr
    # Any other server knows nothing of the header.
    answer = ask(server.client, domain, Machine.ec(), "error=INTERNAL")
    assert answer.ok()["newMember"] and not answer.header("test-fault")
