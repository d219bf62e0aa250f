"""
A revoked token ends its sessions within two seconds, and what runs at the target with them.
"""

from __future__ import annotations

import functools
import json
import socket
import threading
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import ServerError, Wire, fields, query

LIMIT = 2.0
ROUNDS = 3
"""What else goes on here delays an end, too, but not each time."""
LASTS = "SELECT pg_sleep(999)"
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
THERE = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"


class Late(AssertionError):
    """It has ended, and not in time."""


def inTime(test: Callable[[RevocationTests], None]) -> Callable[[RevocationTests], None]:
    """In one round at the least; and whatever else is wrong in any of them is wrong."""

    @functools.wraps(test)
    def rounds(self: RevocationTests) -> None:
        for left in reversed(range(ROUNDS)):
            try:
                return test(self)
            except Late:
                if not left:
                    raise
                self.setUp()

    return rounds


class Ear:
    """
    Hears all that a connection says from now on.

    @ivar at: when it has heard the last of it: whoever asks does so at his leisure, and is not what is measured.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.at = 0.0
        self._heard: list[tuple[bytes, bytes]] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        try:
            self._heard = self.wire.untilReady()
        except OSError as error:
            self._heard = [(type(error).__name__.encode(), b"")]
        self.at = time.monotonic()

    def last(self) -> dict[bytes, bytes]:
        """@return: messages by their kind, when the connection is over."""
        self._thread.join(PATIENCE)
        return dict(self._heard)

    def close(self) -> None:
        try:
            self.wire.socket.shutdown(socket.SHUT_RDWR)  # close() alone does not wake a thread that reads
        except OSError:
            pass
        self._thread.join(PATIENCE)
        self.wire.socket.close()


class RevocationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway([target("shop", debian(), account("app"))], name="revocation").start()
        self.addCleanup(self.gateway.stop)

    def login(self, token: str) -> Ear:
        return self.ear(Wire(self.gateway.port, PATIENCE).login("app", token, "shop"))

    def ear(self, connection: Wire) -> Ear:
        ear = Ear(connection)
        self.addCleanup(ear.close)
        return ear

    def busy(self, token: str) -> Ear:
        """@return: one whose statement runs at the server."""
        ear = self.login(token)
        ear.wire.send(query(LASTS))
        until(lambda: debian().look(RUNNING, ear.wire.key[0]) == [(1,)], "the statement to run")
        return ear

    def ends(self, ear: Ear, since: float, reason: str) -> dict[str, str]:
        """@return: the error that ended it; what ran at the server is gone, the recording tells why."""
        kinds = ear.last()
        self.assertIn(b"E", kinds)
        self.assertIn(b"", kinds)
        self.gone(ear)
        self.assertEqual(self.gateway.session(ear.wire.address, seconds=PATIENCE)["reason"], reason)
        if ear.at - since >= LIMIT:
            raise Late(f"after {ear.at - since:.1f} s")
        return fields(kinds[b"E"])

    def gone(self, ear: Ear) -> None:
        """By itself it would run much longer."""
        until(lambda: debian().look(THERE, ear.wire.key[0]) == [(0,)], "the statement to be cancelled")

    def revoke(self, *arguments: str) -> float:
        """@return: when it was done."""
        self.gateway.hoopx("tokens", "revoke", *arguments)
        return time.monotonic()

    @inTime
    def test_token(self) -> None:
        kept = self.gateway.token(user="other@example.com")
        token = self.gateway.token()
        connection, idle, other = self.busy(token), self.login(token), self.busy(kept)
        listed = json.loads(self.gateway.hoopx("tokens", "list", "--json"))
        found = next(one for one in listed if one["user"] == "tester@example.com")
        since = self.revoke(found["id"])
        self.assertEqual(self.ends(connection, since, "revoked")["C"], "57P01")
        self.assertEqual(self.ends(idle, since, "revoked")["C"], "57P01")
        with self.assertRaises(ServerError) as caught, Wire(self.gateway.port) as again:
            again.login("app", token, "shop")
        self.assertEqual(caught.exception.code, "28P01")
        self.assertEqual(debian().look(RUNNING, other.wire.key[0]), [(1,)])

    @inTime
    def test_afterBulk(self) -> None:
        """Rows in bulk are not followed one by one; where they have ended, words can be put in again."""
        token = self.gateway.token()
        connection = Wire(self.gateway.port, PATIENCE).login("app", token, "shop")
        self.addCleanup(connection.socket.close)
        connection.send(query("SELECT repeat('x', 100) FROM generate_series(1, 50000)"))
        self.assertEqual(sum(kind == b"D" for kind, _ in connection.untilReady()), 50000)
        found = json.loads(self.gateway.hoopx("tokens", "list", "--json"))[0]
        ear = self.ear(connection)
        since = self.revoke(found["id"])
        self.assertEqual(self.ends(ear, since, "revoked")["C"], "57P01")

    @inTime
    def test_user(self) -> None:
        first, second = self.busy(self.gateway.token("--ttl", "1h")), self.busy(self.gateway.token("--ttl", "2h"))
        since = self.revoke("--user", "tester@example.com")
        for connection in first, second:
            self.ends(connection, since, "revoked")

    def test_expiry(self) -> None:
        for ttl in ("3s", "20s", "90s"):
            try:
                ear = self.login(self.gateway.token("--ttl", ttl))
            except ServerError:  # on a machine that is so slow it was over before that
                continue
            ear.wire.send(query(LASTS))
            break
        self.assertIn(b"E", ear.last())
        self.gone(ear)
        self.assertEqual(self.gateway.session(ear.wire.address, seconds=PATIENCE)["reason"], "expired")

    @inTime
    def test_kill(self) -> None:
        connection = self.busy(self.gateway.token())
        name = self.gateway.session(connection.wire.address, ("live",))["session"]
        self.gateway.hoopx("sessions", "kill", name)
        self.assertEqual(self.ends(connection, time.monotonic(), "killed")["C"], "57P01")

    @inTime
    def test_lost_grant(self) -> None:
        connection = self.busy(self.gateway.token())
        self.gateway.write(grants='\n[[grants]]\nname = "others"\ngroups = ["others"]\ntargets = ["shop"]\n')
        self.gateway.hoopx("reload")
        self.ends(connection, time.monotonic(), "grant-lost")
