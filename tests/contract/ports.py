"""Ports for servers that a test starts, stops and starts again."""

import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that nobody else is given until the tests end.

    A socket holds it without listening. Beside it a server may listen that names the port and sets
    SO_REUSEADDR, as the gateway, nginx, Caddy, Prometheus and PostgreSQL do.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return held.getsockname()[1]
