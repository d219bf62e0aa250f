"""
A revoked token ends its sessions within two seconds, and what runs at the target with them.
"""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.waiting import until
from tests.peers.harness.wire import ServerError, Wire, fields, query

LIMIT = 2.0
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
THERE = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"


class RevocationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway([target("shop", debian(), account("app"))], name="revocation").start()
        self.addCleanup(self.gateway.stop)

    def busy(self, token: str) -> Wire:
        """@return: a connection whose statement runs at the server."""
        connection = Wire(self.gateway.port).login("app", token, "shop")
        self.addCleanup(connection.socket.close)
        connection.send(query("SELECT pg_sleep(99)"))
        until(lambda: debian().look(RUNNING, connection.key[0]) == [(1,)], "the statement to run")
        return connection

    def ends(self, connection: Wire, since: float, reason: str) -> dict[str, str]:
        """@return: the error that ended it; what ran at the server is gone, the recording tells why."""
        kinds = dict(connection.untilReady())
        self.assertLess(time.monotonic() - since, LIMIT)
        self.assertIn(b"E", kinds)
        self.assertIn(b"", kinds)
        until(lambda: debian().look(THERE, connection.key[0]) == [(0,)], "the statement to be cancelled", 5.0)
        self.assertEqual(self.gateway.session(connection.address)["reason"], reason)
        return fields(kinds[b"E"])

    def revoke(self, *arguments: str) -> float:
        """@return: when it was done."""
        self.gateway.hoopx("tokens", "revoke", *arguments)
        return time.monotonic()

    def test_token(self) -> None:
        kept = self.gateway.token(user="other@example.com")
        token = self.gateway.token()
        connection, idle, other = self.busy(token), Wire(self.gateway.port).login("app", token, "shop"), self.busy(kept)
        listed = json.loads(self.gateway.hoopx("tokens", "list", "--json"))
        found = next(one for one in listed if one["user"] == "tester@example.com")
        since = self.revoke(found["id"])
        self.assertEqual(self.ends(connection, since, "revoked")["C"], "57P01")
        self.assertEqual(self.ends(idle, since, "revoked")["C"], "57P01")
        with self.assertRaises(ServerError) as caught, Wire(self.gateway.port) as again:
            again.login("app", token, "shop")
        self.assertEqual(caught.exception.code, "28P01")
        self.assertEqual(debian().look(RUNNING, other.key[0]), [(1,)])

    def test_afterBulk(self) -> None:
        """Rows in bulk are not followed one by one; where they have ended, words can be put in again."""
        token = self.gateway.token()
        connection = Wire(self.gateway.port).login("app", token, "shop")
        self.addCleanup(connection.socket.close)
        connection.send(query("SELECT repeat('x', 100) FROM generate_series(1, 50000)"))
        self.assertEqual(sum(kind == b"D" for kind, _ in connection.untilReady()), 50000)
        found = json.loads(self.gateway.hoopx("tokens", "list", "--json"))[0]
        since = self.revoke(found["id"])
        self.assertEqual(self.ends(connection, since, "revoked")["C"], "57P01")

    def test_user(self) -> None:
        first, second = self.busy(self.gateway.token("--ttl", "1h")), self.busy(self.gateway.token("--ttl", "2h"))
        since = self.revoke("--user", "tester@example.com")
        for connection in first, second:
            self.ends(connection, since, "revoked")

    def test_expiry(self) -> None:
        connection = Wire(self.gateway.port).login("app", self.gateway.token("--ttl", "3s"), "shop")
        self.addCleanup(connection.socket.close)
        connection.send(query("SELECT pg_sleep(99)"))
        kinds = dict(connection.untilReady())
        self.assertIn(b"E", kinds)
        until(lambda: debian().look(THERE, connection.key[0]) == [(0,)], "the statement to be cancelled", 5.0)

    def test_kill(self) -> None:
        connection = self.busy(self.gateway.token())
        name = self.gateway.session(connection.address, ("live",))["session"]
        self.gateway.hoopx("sessions", "kill", name)
        self.assertEqual(self.ends(connection, time.monotonic(), "killed")["C"], "57P01")

    def test_lost_grant(self) -> None:
        connection = self.busy(self.gateway.token())
        self.gateway.write(grants='\n[[grants]]\nname = "others"\ngroups = ["others"]\ntargets = ["shop"]\n')
        self.gateway.hoopx("reload")
        self.ends(connection, time.monotonic(), "grant-lost")
