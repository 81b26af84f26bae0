"""Waiting for something that comes by itself."""

import time

WAIT_S = 60


def until(true, what: str = "it does not come"):
    """Waits until something is true."""
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)
