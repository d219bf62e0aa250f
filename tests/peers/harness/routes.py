# -*- test-case-name: tests.peers.test_harness -*-
"""
A way to a database: through the gateway, or directly.
"""

from __future__ import annotations

import functools
import os

from attrs import frozen

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import PASSWORDS, Postgres, debian, embedded


@frozen
class Route:
    """
    @ivar port: on 127.0.0.1.
    @ivar database: what a client asks for.
    @ivar server: the L{Postgres} at the end, for looks past the gateway.
    @ivar gateway: the L{Gateway} in between, or C{None}.
    """

    port: int
    user: str
    password: str
    database: str
    server: Postgres
    gateway: Gateway | None = None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    def environment(self, **more: str) -> dict[str, str]:
        """@return: libpq's variables, on top of our own and without anybody's start-up files."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        own.update(PGHOST=self.host, PGPORT=str(self.port), PGUSER=self.user, PGPASSWORD=self.password, PGDATABASE=self.database,
                   PGSSLMODE="disable", PGCONNECT_TIMEOUT="120", PSQLRC="/dev/null", PSQL_HISTORY="/dev/null",
                   LC_ALL="C.UTF-8", TZ="UTC", PAGER="cat", TERM="dumb")  # fmt: skip
        own.update(more)
        return own

    def parameters(self) -> dict:
        """@return: arguments that most drivers take."""
        return {"host": self.host, "port": self.port, "user": self.user, "password": self.password, "database": self.database}


@functools.cache
def shared() -> Gateway:
    """@return: the gateway of everybody who does it no harm: targets C{debian} (TLS) and C{embedded} (none)."""
    first, second = debian(), embedded()
    return Gateway(
        [
            target("debian", first, account("app"), account("boss")),
            target("embedded", second, account("app"), account("boss")),
        ],
        name="shared",
    ).start()


def through(server: str = "debian", user: str = "app") -> Route:
    """@return: the way through the shared gateway; C{server} is C{debian} or C{embedded}."""
    gateway = shared()
    return Route(gateway.port, user, gateway.token(), server, debian() if server == "debian" else embedded(), gateway)


def directly(server: str = "debian", user: str = "app") -> Route:
    found = debian() if server == "debian" else embedded()
    return Route(found.port, user, PASSWORDS[user], found.database, found)


class Through:
    """Mixed into a client's tests: they run through the gateway."""

    serverName = "debian"

    def route(self) -> Route:
        return through(self.serverName)


class Directly(Through):
    """Mixed into a client's tests: they run without the gateway, to tell its faults from the client's (L{tests.peers.harness.finding.DIRECT})."""

    def route(self) -> Route:
        return directly(self.serverName)
