"""What the flows cost the store: the table of docs/operate/scaling.md, counted by the gateway's own
metrics."""

import re
from collections import Counter
from pathlib import Path

import pytest

from admin import Admin
from machines import Machine
from test_watching import internal, samples
from waiting import until

pytestmark = [pytest.mark.of_the_gateway, pytest.mark.of_every_store]

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "scaling.md"
OPERATIONS = "anonymous_domains_store_operation_duration_seconds_count"
READS = {"get", "exists"}


def documented() -> dict[str, tuple[int, int]]:
    """The reads and writes of each flow."""
    rows = re.findall(r"^([a-z][^|\n]*) \| (\d+) \| (\d+)$", PAGE.read_text(), re.MULTILINE)
    return {flow: (int(reads), int(writes)) for flow, reads, writes in rows}


def test_the_flows_cost_what_is_documented(own_gateway, programs):
    if programs.component.name.endswith(".p2.wasm"):
        pytest.skip("there each request has an instance of its own, which must look its domain up")
    gateway = own_gateway("--internal-listen", "127.0.0.1:0")
    client, operators = gateway.client, internal(gateway)
    admin = Admin(operators, gateway.admin_token)
    busy, idle = (
        ("anonymous_domains_component_instances", ("state", state)) for state in ("busy", "idle")
    )

    def operations() -> Counter:
        until(lambda: samples(operators)[busy] == 0, "an instance is always busy")
        found = Counter()
        for (name, *labels), value in samples(operators).items():
            if name == OPERATIONS:
                operation = dict(labels)["operation"]
                found["reads" if operation in READS else "writes"] += int(value)
        return found

    # Before each flow: how many instances there were.
    kept: list[float] = []

    def cost(flow) -> tuple[int, int]:
        before = operations()
        kept.append(samples(operators)[idle])
        flow()
        spent = operations() - before
        return spent["reads"], spent["writes"]

    def all_costs(home: str) -> dict[str, tuple[int, int]]:
        # The directory, and an instance that knows the store.
        client.join("another", Machine.ec())
        first, second, third = (Machine.ec() for _ in range(3))
        costs = {
            "first join of a domain": cost(lambda: client.join(home, first)),
            "join of a new member": cost(lambda: client.join(home, second)),
            "steady join": cost(lambda: client.join(home, first)),
            "preview of a departure": cost(lambda: client.leave(home, second, preview=True)),
            "departure": cost(lambda: client.leave(home, second)),
            "first join after a departure": cost(lambda: client.join(home, first)),
        }
        admin.set(home, maxMembership=9)
        costs["join of a new member under a maximum"] = cost(lambda: client.join(home, third))
        return costs

    # An instance that nobody needs is dropped after a few seconds, and the next one must look up
    # what it knew. Where the machine was that slow, all is done again.
    for number in range(10):
        kept.clear()
        costs = all_costs(f"home-{number}")
        if min(kept) > 0:
            break
    assert costs == documented()
