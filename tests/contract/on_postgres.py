"""The gateway with its tables in a PostgreSQL: a database for each state directory."""

import atexit
import functools
import itertools

from client import Answer, Client
from gateway import HEALTH_ROW, Gateway
from postgres_server import PostgresServer

_numbers = itertools.count(1)


@functools.cache
def server() -> PostgresServer:
    """The one that all gateways share."""
    started = PostgresServer().start()
    atexit.register(started.close)
    return started


class PatientClient(Client):
    """Sends what the store did not answer in time again, as the answer says: a loaded machine may
    stand still for longer than a gateway waits."""

    def send(self, *arguments, **options) -> Answer:
        for _ in range(5):
            answer = super().send(*arguments, **options)
            if answer.status != 503 or b"did not answer in time" not in answer.body:
                break
        return answer


class OnPostgres(Gateway):
    """A gateway whose store is not in its state directory."""

    client_class = PatientClient
    database: str | None = None

    def start(self) -> "OnPostgres":
        if self.database is None:
            self.database = f"gateway_{next(_numbers)}"
            server().query(f"CREATE DATABASE {self.database}")
            self.store = server().url_of(self.database)
        return super().start()

    def stored(self) -> bytes:
        rows = server().rows(self.database)
        return b"\n".join(bytes.fromhex(row[-1]) for row in rows)

    def rows(self) -> dict[str, list[tuple]]:
        rows = [row for row in server().rows(self.database) if row[0] != HEALTH_ROW]
        return {"anonymous_domains": sorted(rows)}
