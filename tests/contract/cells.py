"""Two cells, each a Redis and two gateways, behind the nginx of deploy/nginx/cells.conf."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from admin import Admin
from client import Client
from gateway import USUAL, Gateway, Programs
from ports import free_port
from proxies import Nginx
from redis_server import RedisServer
from waiting import until

GATEWAYS = 2
TIMEOUT_S = 180


class CellsNginx(Nginx):
    """The configuration, with other addresses and shares."""

    site = "cells.conf"
    shares = "    50% 1;\n    *   2;\n"

    def __init__(self, directory: Path, gateways: dict[str, str]):
        super().__init__(directory, "")
        self.gateways = gateways
        self.operators_port = free_port()
        self.shares = CellsNginx.shares

    def addresses(self) -> dict[str, str]:
        of_operators = {"listen 127.0.0.1:9080": f"listen 127.0.0.1:{self.operators_port}"}
        shares = {CellsNginx.shares: self.shares}
        return {**self.gateways, **of_operators, **shares, "clients 100;": "clients 4000;"}

    def workers(self) -> set[int]:
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        return {int(pid) for pid in children.split()}

    def set_shares(self, *shares: str):
        """Changes the shares, and waits until nothing goes by the former ones."""
        self.shares = "".join(f"    {share};\n" for share in shares)
        self.write_configuration()
        former = self.workers()
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.workers() - former, "nginx did not take its configuration")
        until(lambda: not self.workers() & former, "requests do not end")


class Cell:
    """A store, and its gateways."""

    def __init__(self, programs: Programs, state: Path, addresses: list[str], origin: str):
        self.store = RedisServer().start()
        settings = {**USUAL, "public_origin": origin}
        flags = ("--trusted-proxy", "127.0.0.1/32", "--rate-limit-client", "off")
        self.gateways = []
        for address in addresses:
            gateway = Gateway(programs, state, settings, self.store.url, flags)
            gateway.plain = True
            gateway.address = address
            self.gateways.append(gateway)

    def start(self):
        for gateway in self.gateways:
            gateway.start()

    @property
    def url(self) -> str:
        return f"http://{self.gateways[0].address}"

    @property
    def admin(self) -> Admin:
        """The operator of this cell alone."""
        gateway = self.gateways[0]
        return Admin(Client(self.url), gateway.admin_token)

    def domains(self) -> set[str]:
        return {domain["domain"] for domain in self.admin.everything("/domains", "domains")}

    def close(self):
        for gateway in self.gateways:
            if gateway.process is not None:
                gateway.close()
        self.store.close()


class Cells:
    """Cells 1 and 2, and what is in front of them."""

    def __init__(self, programs: Programs, directory: Path):
        self.programs = programs
        addresses = {
            f"10.0.{cell}.{number}:3000": f"127.0.0.1:{free_port()}"
            for cell in (1, 2)
            for number in range(1, GATEWAYS + 1)
        }
        front = directory / "nginx"
        front.mkdir()
        self.front = CellsNginx(front, addresses)
        # On one machine the gateways of a cell may share a state directory.
        states = [directory / f"state-{cell}" for cell in (1, 2)]
        states[0].mkdir(mode=0o700)
        listed = list(addresses.values())
        self.cells = [
            Cell(programs, state, listed[at : at + GATEWAYS], self.front.origin)
            for state, at in zip(states, (0, GATEWAYS), strict=True)
        ]
        self.cells[0].start()
        # The secrets, which all cells have in common; compiled code too, which saves time.
        shutil.copytree(states[0], states[1])
        self.cells[1].start()

    @property
    def client(self) -> Client:
        """A device's way in."""
        return Client(self.front.origin, None, self.front.certificate.certificate)

    @property
    def operator(self) -> Admin:
        """An operator at the proxy."""
        client = Client(f"http://127.0.0.1:{self.front.operators_port}")
        return Admin(client, self.cells[0].gateways[0].admin_token)

    def of(self, domain: str) -> str:
        """Where the proxy sends requests about a domain."""
        answer = self.operator.client.get(f"/cell/{domain}")
        assert answer.status == 200
        return answer.body.decode().strip()

    def domainctl(self, *arguments: str, expect: int = 0) -> str:
        """Runs it with every URL that `arguments` name; its standard output."""
        token = self.cells[0].gateways[0].state / "admin-token"
        command = [str(self.programs.domainctl), "--token-file", str(token), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=os.environ
        )
        assert done.returncode == expect, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def shell(self, commands: str, directory: Path):
        """Runs commands as an operator does whose new cell is the second one."""
        addresses = {
            "10.0.1.1:3000": self.cells[0].gateways[0].address,
            "10.0.3.1:3000": self.cells[1].gateways[0].address,
            "127.0.0.1:9080": f"127.0.0.1:{self.front.operators_port}",
        }
        for address, here in addresses.items():
            commands = commands.replace(address, here)
        environment = {
            **os.environ,
            "PATH": f"{self.programs.domainctl.parent}:{os.environ['PATH']}",
            "DOMAINCTL_TOKEN_FILE": str(self.cells[0].gateways[0].state / "admin-token"),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def urls(self) -> list[str]:
        """Each cell's own URL, for `domainctl`."""
        return [word for cell in self.cells for word in ("--server", cell.url)]

    def close(self):
        self.front.close()
        for cell in self.cells:
            cell.close()
