"""Hooks for schemathesis, which imports this module in a process of its own (test_openapi.py).

As served, the document describes a device's request as a JWS, and nothing that can be generated
from that has a good signature. With `OPENAPI_SIGNED` set, the body is generated from what the
document says about the payload, and signed on its way out. So it is the payloads' schemas that are
tested: what they allow must be accepted, and what they do not allow must be refused.
"""

import hashlib
import json
import os
import time
from urllib.parse import urlsplit

import schemathesis

from client import JOSE
from machines import compact
from openapi_world import DOMAINS, GUIDS, machine

# 9999-12-31T23:59:59Z, the last second that the document allows.
LAST_DATE = 253_402_300_799
# Dates are moved to less than this from now, well within the server's tolerance.
NEAR_S = 200


@schemathesis.hook
def filter_case(context, case) -> bool:
    """`ca.pem` and `ca-next.pem` are no domains' names, but the last segments of other paths."""
    parameters = case.path_parameters or {}
    reserved = ("ca.pem", "ca-next.pem")
    return not (case.path.endswith("/{domain}") and parameters.get("domain") in reserved)


@schemathesis.hook
def after_call(context, case, response) -> None:
    """Note each request, for the test to count."""
    try:
        error = json.loads(response.content).get("error")
    except (ValueError, AttributeError):
        error = None
    note = [f"{case.method} {case.path}", response.status_code, error]
    with open(os.environ["OPENAPI_LOG"], "a") as log:
        log.write(json.dumps(note) + "\n")


def before_load_schema(context, raw_schema: dict) -> None:
    """Put each payload's own schema in the place of the request's."""
    schemas = raw_schema["components"]["schemas"]
    for body in raw_schema["components"]["requestBodies"].values():
        content = body["content"][JOSE]
        del content["example"]
        content["schema"] = content["schema"]["properties"]["payload"]["contentSchema"]
    register = schemas["RegisterPayload"]["properties"]
    register["currentDomain"] = {"anyOf": [{"enum": DOMAINS}, register["currentDomain"]]}
    for payload in (schemas["RegisterPayload"], schemas["DeregisterPayload"]):
        guid = payload["properties"]["machineGuid"]
        payload["properties"]["machineGuid"] = {"anyOf": [{"enum": GUIDS}, guid]}


def sign(context, body) -> bytes:
    """The payload as a request that is right in everything else.

    One in eight is signed by another machine than the GUID's own. What the document allows for a
    date is moved near the present, before or behind those of other requests.
    """
    if context.case.media_type != JOSE:
        return body if isinstance(body, bytes) else compact(body)
    digest = hashlib.sha256(repr(body).encode()).digest()
    guid = None
    if isinstance(body, dict):
        guid, iat = body.get("machineGuid"), body.get("iat")
        if type(iat) in (int, float) and 0 <= iat <= LAST_DATE:
            body = {**body, "iat": time.time() + NEAR_S * (digest[0] / 128 - 1)}
    signer = machine(str(guid), another=digest[1] % 8 == 0)
    base = urlsplit(context.case.operation.base_url)
    url = f"{base.scheme}://{base.netloc}{context.case.formatted_path}"
    payload = body if isinstance(body, bytes) else compact(body)
    return compact(signer.forge(compact(signer.header(url)), payload))


if "OPENAPI_SIGNED" in os.environ:
    schemathesis.hook(before_load_schema)
    # In the place of JSON's own, which would be found first for whatever is like JSON.
    schemathesis.serializer("application/json")(sign)
