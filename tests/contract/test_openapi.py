"""The contract as OpenAPI: it is valid, and the server does what it says.

schemathesis generates requests, such as the document allows and such as it does not, and holds
every answer against it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from openapi_spec_validator import OpenAPIV31SpecValidator

from certificates import new_ca
from openapi_world import DOMAINS, GUIDS, populate

HERE = Path(__file__).parent
# Of a whole run, with hundreds of requests.
TIMEOUT_S = 3600

CONFIGURATION = f"""
hooks = "openapi_hooks"
seed = 20261122
continue-on-failure = true
warnings = false
request-timeout = 300

[cache]
enabled = false

[generation]
database = "none"
deterministic = true
unique-inputs = true

[auth.openapi.adminToken]
bearer = "${{OPENAPI_ADMIN_TOKEN}}"

[dictionaries]
domains.values = {json.dumps(DOMAINS)}
machines.values = {json.dumps(GUIDS)}

[parameters]
"path.domain" = {{ dictionary = "domains", probability = 0.7 }}
"path.machineGuid" = {{ dictionary = "machines", probability = 0.7 }}

# What the document allows is accepted, unless the tables, the token or a precondition forbid it.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412"]
"""

# A line and a page's `after` come from an export or a check.
MAINTENANCE = """
[[operations]]
include-tag = "maintenance"
checks.positive_data_acceptance.enabled = false
"""

# A signature that was generated is never good.
UNSIGNED = """
[[operations]]
include-tag = "device"
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module")
def document(server) -> dict:
    return server.client.get("/openapi.json").ok()


def test_it_is_valid(document):
    assert document["openapi"].startswith("3.1.")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert not errors, "\n".join(str(error) for error in errors)


def test_it_is_there_when_no_setting_can_be_used(gateway_with, document):
    client = gateway_with(clock_tolerance="soon").client
    assert client.get("/healthz").status == 503
    assert client.get("/openapi.json").ok() == document


def operations(document: dict, tag: str | None = None) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and tag in (None, *operation["tags"])
    }


@pytest.fixture
def schemathesis(own_gateway, tmp_path):
    """Runs it; gives each request that it sent: its operation, the status and the error."""

    def run(configuration: str, *arguments: str, **environment: str) -> list[tuple]:
        certificate, _ = new_ca("Next CA")
        announced = tmp_path / "ca-next.pem"
        announced.write_bytes(certificate.public_bytes(Encoding.PEM))
        gateway = own_gateway(ca_certificate_next=f"@{announced}")
        populate(gateway)
        (tmp_path / "schemathesis.toml").write_text(configuration)
        log = tmp_path / "requests"
        finished = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", *arguments]
            + [gateway.client.url("/openapi.json")],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(HERE),
                "OPENAPI_ADMIN_TOKEN": gateway.admin_token,
                "OPENAPI_LOG": str(log),
                **({"REQUESTS_CA_BUNDLE": str(gateway.certificate)} if gateway.certificate else {}),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert finished.returncode == 0, finished.stdout
        return [tuple(json.loads(line)) for line in log.read_text().splitlines()]

    return run


# Spin itself answers a header that is not ASCII with 500.
@pytest.mark.of_the_gateway
def test_the_server_does_what_it_says(schemathesis, document):
    sent = schemathesis(CONFIGURATION + MAINTENANCE, "--max-examples", "80", OPENAPI_SIGNED="1")
    assert len(sent) >= 1500
    # All but the one that it got the document by.
    expected = operations(document) - {"GET /openapi.json"}
    assert not expected - {operation for operation, _, _ in sent}
    # A domain is deleted again and again, and then has no member to join, leave or be removed.
    expected -= operations(document, "device")
    expected -= {"DELETE /admin/v1/domains/{domain}/members/{machineGuid}"}
    expected -= {"PUT /admin/v1/domains/{domain}/import"}
    assert not expected - {operation for operation, status, _ in sent if status < 300}
    wanted = {
        "ADMIN_AUTHENTICATION_REQUIRED",
        "INVALID_DOMAIN_NAME",
        "INVALID_REQUEST",
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "PRECONDITION_FAILED",
        "UNKNOWN_DOMAIN",
        "UNSUPPORTED_MEDIA_TYPE",
    }
    assert not wanted - {error for _, _, error in sent}


def test_machines_are_answered_as_it_says(schemathesis, document):
    """Without an operator, who would soon delete the domains that refuse some machines."""
    sent = schemathesis(
        CONFIGURATION, "--include-tag", "device", "--max-examples", "150", OPENAPI_SIGNED="1"
    )
    assert len(sent) >= 700
    joined_and_left = {operation for operation, status, _ in sent if status == 200}
    assert joined_and_left == operations(document, "device")
    wanted = {
        "DEREG_DENIED",
        "DOM_AUTHENTICATION_REQUIRED",
        "DOM_LIMIT_REACHED",
        "DOM_REG_DENIED",
        "MACHINE_KEY_MISMATCH",
        "REQUEST_REPLAYED",
    }
    assert not wanted - {error for _, _, error in sent}


def test_unsigned_requests_are_refused_as_it_says(schemathesis, document):
    sent = schemathesis(CONFIGURATION + UNSIGNED, "--include-tag", "device", "--max-examples", "40")
    assert len(sent) >= 300
    assert {operation for operation, _, _ in sent} >= operations(document, "device")
    assert not [note for note in sent if note[1] < 400]
