"""The gateway with its tables in a PostgreSQL: a database for each state directory."""

import atexit
import functools
import itertools

from gateway import HEALTH_ROW, Gateway
from postgres_server import PostgresServer

_numbers = itertools.count(1)


@functools.cache
def server() -> PostgresServer:
    """The one that all gateways share."""
    started = PostgresServer().start()
    atexit.register(started.close)
    return started


class OnPostgres(Gateway):
    """A gateway whose store is not in its state directory."""

    database: str | None = None

    def start(self) -> "OnPostgres":
        if self.database is None:
            self.database = f"gateway_{next(_numbers)}"
            server().query(f"CREATE DATABASE {self.database}")
            self.store = server().url_of(self.database)
        return super().start()

    def rows(self) -> dict[str, list[tuple]]:
        rows = [row for row in server().rows(self.database) if row[0] != HEALTH_ROW]
        return {"anonymous_domains": sorted(rows)}
