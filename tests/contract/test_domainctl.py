"""The operator's command against the real server."""

import json
import subprocess

import pytest

from machines import Machine

TIMEOUT_S = 180


@pytest.fixture
def domainctl(programs, server):
    """`domainctl`: the exit code and the one JSON document that it printed."""

    def run(*arguments: str, token_file=None, expect: int = 0) -> dict:
        command = [str(programs.domainctl), "--json", "--server", server.client.origin]
        command += ["--token-file", str(token_file or server.state / "admin-token")]
        if server.certificate:
            command += ["--ca-file", str(server.certificate)]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == expect, f"{arguments}: {done.stdout}{done.stderr}"
        assert server.admin_token not in done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def test_an_operators_day(domainctl, client, domain):
    assert domainctl("domain", "set", domain, "--max-membership", "2")["ok"]
    machines = [Machine.ec() for _ in range(3)]
    for machine in machines[:2]:
        client.register(domain, machine).ok()
    client.register(domain, machines[2]).refused("DOM_LIMIT_REACHED")

    shown = domainctl("domain", "show", domain)
    assert (shown["maxMembership"], shown["memberCount"], shown["keyVersion"]) == (2, 2, 1)
    members = domainctl("member", "list", domain)["members"]
    assert [member["machineGuid"] for member in members] == sorted(m.guid for m in machines[:2])

    domainctl("member", "block", domain, machines[0].guid)
    blocked = domainctl("member", "list", domain, "--blocked")["blocked"]
    assert [machine["machineGuid"] for machine in blocked] == [machines[0].guid]
    client.register(domain, machines[0]).refused("DOM_REG_DENIED")
    assert client.register(domain, machines[2]).ok()["keyVersion"] == 2

    domainctl("member", "unblock", domain, machines[0].guid)
    domainctl("member", "remove", domain, machines[1].guid)
    domainctl("rollover", domain)
    assert client.register(domain, machines[0]).ok()["keyVersion"] == 3
    keys = domainctl("keys", domain)["keys"]
    assert [key["keyVersion"] for key in keys] == [1, 2, 3]

    domainctl("domain", "set", domain, "--no-maximum")
    client.register(domain, machines[1]).ok()
    domainctl("domain", "delete", domain, "--yes")
    refused = domainctl("domain", "show", domain, expect=1)
    assert refused["ok"] is False
    assert refused["error"] == "UNKNOWN_DOMAIN"


def test_a_wrong_token_is_refused(domainctl, tmp_path):
    wrong = tmp_path / "token"
    wrong.write_text("x" * 40)
    refused = domainctl("domain", "list", token_file=wrong, expect=1)
    assert refused["error"] == "ADMIN_AUTHENTICATION_REQUIRED"
