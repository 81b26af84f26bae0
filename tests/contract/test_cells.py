"""deploy/nginx/cells.conf: domains spread over two stores, one store down, and a cell split under
load as docs/operate/scaling.md says."""

import json
import random
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from cells import Cells
from machines import Machine

pytestmark = pytest.mark.of_the_gateway

DOMAINS = [f"home-{number}.a" for number in range(24)]
RETRY_S = 0.02
PAGE = Path(__file__).parents[2] / "docs" / "operate" / "scaling.md"


@pytest.fixture
def cells(programs, tmp_path):
    """Two cells with the shares of the configuration, behind nginx."""
    cells = Cells(programs, tmp_path)
    yield cells
    cells.close()


def test_every_path_of_a_domain_leads_to_its_cell(cells):
    cells.front.start()
    for domain in DOMAINS:
        cells.client.join(domain, Machine.ec())
    by_cell = defaultdict(set)
    for domain in DOMAINS:
        by_cell[cells.of(domain)].add(domain)
    assert {str(number): cell.domains() for number, cell in enumerate(cells.cells, 1)} == by_cell
    assert set(by_cell) == {"1", "2"}, "one cell has all the names: choose others"

    # However a name is written, and whoever asks.
    for domain in DOMAINS[:6]:
        escaped = domain.replace("-", "%2D").replace("h", "%68").replace(".", "%2e")
        target = f"/flashaccess/domainserver/{escaped}//flashaccess/domain/v4?x=%2F"
        machine = Machine.ec()
        assert cells.client.ask(machine, target).ok()["keyVersion"] == 1
        members = {member["machineGuid"] for member in cells.operator.members(domain)}
        assert machine.guid.lower() in members and len(members) == 2
        assert cells.operator.send("GET", f"/domains/{escaped}").ok()["domain"] == domain
        assert cells.of(escaped) == cells.of(domain)
    # Names are case-sensitive, so these are other domains, each at its own cell.
    for domain in DOMAINS[:6]:
        assert cells.client.join(domain.upper(), Machine.ec()).new_member
        assert domain.upper() in cells.cells[int(cells.of(domain.upper())) - 1].domains()

    # What is the same everywhere, and what is a cell's own.
    assert cells.client.ca_pem()
    assert cells.client.get("/healthz").status == 200
    for path in ("/domains", "/domains/", "/check", "/export", "/reseal"):
        assert cells.operator.send("GET", path).status == 404
    for path in ("/admin/v1/domains/x", "/cell/x", "/moving"):
        assert cells.client.get(path).status == 404

    # An operator sees all cells at once, and finds a domain where it is.
    listed = json.loads(cells.domainctl(*cells.urls, "--json", "domain", "list"))["domains"]
    names = [domain["domain"] for domain in listed]
    assert names == sorted(names) and set(names) >= set(DOMAINS)
    for domain in listed:
        place = cells.cells[int(cells.of(domain["domain"])) - 1]
        assert domain["server"] == place.url
    cells.domainctl(*cells.urls, "rollover", DOMAINS[0])
    assert cells.client.join(DOMAINS[0], Machine.ec()).versions == [1, 2]
    cells.domainctl(*cells.urls, "check")


def retried(ask, seconds: float = 600):
    """What comes in the end, asked as a device does."""
    end = time.monotonic() + seconds
    while (answer := ask()).status in (502, 503, 504) and time.monotonic() < end:
        time.sleep(RETRY_S)
    return answer


def test_a_store_that_is_down_has_only_its_own_domains(cells):
    cells.front.start()
    machines = {domain: Machine.ec() for domain in DOMAINS}
    for domain, machine in machines.items():
        cells.client.join(domain, machine)
    here = [domain for domain in DOMAINS if cells.of(domain) == "1"]
    there = [domain for domain in DOMAINS if cells.of(domain) == "2"]

    # A gateway is gone, and the other one of its cell has its work.
    cells.cells[1].gateways[0].close()
    for domain in DOMAINS:
        answer = retried(lambda domain=domain: cells.client.register(domain, machines[domain]))
        assert answer.ok()["newMember"] is False
    cells.cells[1].gateways[0].start()

    cells.cells[1].store.kill()
    for domain in there[:3]:
        cells.client.register(domain, machines[domain]).refused("STORE_UNAVAILABLE")
    for domain in here:
        assert not cells.client.join(domain, machines[domain]).new_member
        cells.client.join(domain, Machine.ec())
        cells.operator.get(domain).ok()
    # The operator is shown the other cell, and told of this one.
    told = json.loads(cells.domainctl(*cells.urls, "--json", "domain", "list", expect=1))
    assert {domain["domain"] for domain in told["domains"]} == set(here)
    assert told["error"] == "STORE_UNAVAILABLE" and cells.cells[1].url in told["message"]

    # No gateway is left of a cell: its domains are made nowhere else.
    for gateway in cells.cells[1].gateways:
        gateway.close()
    for domain in there:
        assert cells.client.register(domain, machines[domain]).status in (502, 504)
    for domain in here:
        assert not cells.client.join(domain, machines[domain]).new_member
    assert cells.cells[0].domains() == set(here)

    cells.cells[1].store.start()
    cells.cells[1].start()

    def is_back(domain: str) -> bool:
        # nginx looks at them again after 10 s.
        return retried(lambda: cells.client.register(domain, machines[domain])).status == 200

    assert all(is_back(domain) for domain in there)


class Load:
    """Devices that join, ask again and leave, and what they were told."""

    def __init__(self, cells: Cells, threads: int):
        self.cells = cells
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(threads)]
        self.members: dict[str, set] = defaultdict(set)
        self.departed: dict[str, set] = defaultdict(set)
        # The certificate of each key version that anyone got.
        self.keys: dict[str, set] = defaultdict(set)
        self.waited = 0
        self.failures: list = []
        for thread in self.threads:
            thread.start()

    def run(self, seed: int):
        chance = random.Random(seed)
        try:
            while not self.ended.is_set():
                self.life(chance)
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def life(self, chance: random.Random):
        client, domain = self.cells.client, chance.choice(DOMAINS)
        machine = Machine.ec()
        for _ in range(2):
            body = self.ask(lambda: client.register(domain, machine)).ok()
            for credential in body["credentials"]:
                self.keys[credential["kid"]].add(credential["x5c"][0])
        if chance.random() < 0.3:
            # The first answer may have been lost, and then it was done.
            answer = self.ask(lambda: client.deregister(domain, machine))
            assert answer.status == 200 or answer.refused("DEREG_DENIED")
            self.departed[domain].add(machine.guid.lower())
        else:
            self.members[domain].add(machine.guid.lower())

    def ask(self, ask):
        answer = ask()
        if answer.status == 503:
            assert int(answer.header("retry-after")) >= 1
            self.waited += 1
            answer = retried(ask)
        return answer

    def acknowledged(self) -> int:
        return sum(len(machines) for machines in [*self.members.values(), *self.departed.values()])

    def until(self, more: int):
        """Waits until so many more machines have lived."""
        enough = self.acknowledged() + more
        while self.acknowledged() < enough and not self.failures:
            time.sleep(RETRY_S)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


def commands(step: int) -> str:
    """What the page prints for a step."""
    text = PAGE.read_text().split(f"\n{step}. ")[1].split(f"\n{step + 1}. ")[0]
    return text.split("```sh\n")[1].split("```")[0]


def test_a_cell_is_split_under_load(cells, tmp_path):
    front, (old, new) = cells.front, cells.cells
    front.shares = "    *   1;\n"
    front.start()
    load = Load(cells, threads=4)
    load.until(60)
    assert new.domains() == set()

    # Whose share is to move gets 503, and nothing about them is under way any more.
    front.set_shares("50% 1", "* moving")
    cells.shell(commands(3), tmp_path)
    names, moving = ((tmp_path / file).read_text().split() for file in ("names", "moving"))
    assert moving and len(moving) < len(names)
    assert moving == [name for name in names if cells.of(name) == "moving"]
    assert cells.operator.send("POST", f"/domains/{moving[0]}/rollover").status == 503
    cells.shell(commands(4), tmp_path)
    # The others go on meanwhile.
    for name in set(names) - set(moving):
        machine = Machine.ec()
        assert cells.client.join(name, machine).new_member
        load.members[name].add(machine.guid.lower())
    front.set_shares("50% 1", "* 2")
    load.until(60)
    # Now there are two copies, and domainctl does not choose.
    cells.domainctl(*cells.urls, "rollover", moving[0], expect=2)
    cells.shell(commands(6), tmp_path)
    load.until(20)
    load.end()

    assert load.waited > 0, "nobody noticed"
    assert all(len(certificates) == 1 for certificates in load.keys.values())
    for domain in DOMAINS:
        members = {member["machineGuid"] for member in cells.operator.members(domain)}
        assert members == load.members[domain]
        assert members.isdisjoint(load.departed[domain])
    assert new.domains() == {name for name in DOMAINS if cells.of(name) == "2"} >= set(moving)
    assert old.domains() == {name for name in DOMAINS if cells.of(name) == "1"}
    cells.domainctl(*cells.urls, "check")
