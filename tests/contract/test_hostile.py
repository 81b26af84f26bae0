"""Clients that hold on to what others need: memory, connections, time."""

import http.client
import json
import socket
import ssl
import time
from contextlib import ExitStack, suppress

import pytest

from client import JOSE, Answer
from machines import Machine
from waiting import until

MIB = 1 << 20


def connect(gateway) -> socket.socket:
    return gateway.connect()


def head(method: str, path: str, length: int, *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *fields]
    return "".join(line + "\r\n" for line in [*lines, ""]).encode()


def answer_of(connection: socket.socket, method: str) -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer.of(response)


@pytest.mark.of_the_gateway
@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/flashaccess/domainserver/d/register", 60_000),
        ("/admin/v1/domains/d", MIB),
        ("/nothing", MIB),
    ],
)
def test_unfinished_bodies_keep_nobody_out(server, client, domain, path, size):
    with ExitStack() as stack:
        for _ in range(280):
            connection = stack.enter_context(connect(server))
            connection.sendall(head("POST", path, size + 1, f"Content-Type: {JOSE}"))
            connection.sendall(bytes(size))
        # The gateway takes a while to read that much: nobody is kept out meanwhile either.
        for _ in range(20):
            assert client.join(domain, Machine.ec()).new_member
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/nothing", 404, "NOT_FOUND"),
        ("POST", "/", 404, "NOT_FOUND"),
        ("POST", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/flashaccess/domainserver/d/register", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/admin/v1/domains/d", 401, "ADMIN_AUTHENTICATION_REQUIRED"),
        ("GET", "/healthz", 200, None),
    ],
)
def test_what_is_not_read_is_not_waited_for(server, method, path, status, error):
    with connect(server) as connection:
        connection.sendall(head(method, path, 1000, "Authorization: Bearer wrong") + b"{")
        answer = answer_of(connection, method)
        assert answer.status == status
        if error is None:
            answer.ok()
        else:
            answer.refused(error)
            assert answer.header("cache-control") == "no-store"


@pytest.mark.of_the_gateway
def test_a_connection_goes_on_after_a_body_that_was_not_read(server):
    with connect(server) as connection:
        connection.sendall(head("POST", "/nothing", 100_000) + bytes(100_000))
        answer_of(connection, "POST").refused("NOT_FOUND")
        connection.sendall(head("GET", "/healthz", 0))
        answer_of(connection, "GET").ok()


@pytest.mark.of_the_gateway
@pytest.mark.parametrize("size", [70_000, 2 * MIB, 20 * MIB])
def test_a_devices_request_that_is_far_too_long(server, client, size):
    path = "/flashaccess/domainserver/d/register"
    with connect(server) as connection:
        connection.sendall(head("POST", path, size, f"Content-Type: {JOSE}") + b"{")
        answer_of(connection, "POST").refused("PAYLOAD_TOO_LARGE")
    if size < 16 * MIB:
        client.post(path, bytes(size)).refused("PAYLOAD_TOO_LARGE")


def test_an_operator_may_send_a_mebibyte(admin, domain):
    usual = {"authenticationRequired": False, "authNamespace": None, "maxMembership": None}
    body = json.dumps(usual).encode()
    path = f"/domains/{domain}"
    assert admin.send("PUT", path, body + b" " * (MIB - len(body))).status == 201
    too_long = admin.send("PUT", path, body + b" " * (MIB - len(body) + 1))
    too_long.refused("PAYLOAD_TOO_LARGE")
    too_long = admin.send("PUT", path, bytes(2 * MIB))
    too_long.refused("PAYLOAD_TOO_LARGE")


@pytest.mark.of_the_gateway
def test_a_body_that_stops_is_given_up(own_gateway):
    # Not because of how long a request may take.
    gateway = own_gateway("--request-timeout", "1h")
    path = "/flashaccess/domainserver/d/register"
    begin = time.monotonic()
    with connect(gateway) as connection:
        connection.sendall(head("POST", path, 1000, f"Content-Type: {JOSE}") + b"{")
        assert answer_of(connection, "POST").status == 408
        assert time.monotonic() - begin > 9


@pytest.mark.of_the_gateway
def test_connections_of_one_client(own_gateway):
    gateway = own_gateway("--max-connections-per-client", "3")
    request = head("GET", "/healthz", 0)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(gateway)) for _ in range(3)]
        for connection in connections:
            connection.sendall(request)
            answer_of(connection, "GET").ok()
        # With TLS the handshake is not even begun.
        with suppress(ssl.SSLEOFError, ConnectionResetError), connect(gateway) as refused:
            assert refused.recv(1) == b""
        for connection in connections:
            connection.sendall(request)
            answer_of(connection, "GET").ok()
    assert any("--max-connections-per-client" in line for line in gateway.log)

    def is_served() -> bool:
        try:
            gateway.client.get("/healthz").ok()
        except (OSError, http.client.HTTPException):
            return False
        return True

    # The others' places are free again, as soon as the gateway has seen that they went.
    until(is_served, "no connection is accepted any more")


@pytest.mark.of_the_gateway
def test_the_components_errors_are_errors_in_the_log(own_gateway):
    gateway = own_gateway(auth_jwks="{}")
    assert gateway.client.get("/healthz").status == 503
    gateway.stop()
    lines = [line for line in gateway.log if "error: settings:" in line]
    assert lines and all(" ERROR " in line and " component: error: " in line for line in lines)


@pytest.mark.of_the_gateway
def test_the_component_is_told_how_long_a_request_may_take(own_gateway):
    gateway = own_gateway()
    gateway.stop()
    configured = [line for line in gateway.log if "configured" in line]
    assert configured and "request_timeout" in configured[0]
