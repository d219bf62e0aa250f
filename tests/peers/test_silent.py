"""
Those who say nothing, and those who do not listen, disturb nobody else.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from statistics import median

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import embedded
from tests.peers.harness.waiting import PATIENCE, steady
from tests.peers.harness.wire import Wire, fields, query, startup

SILENT = 1000
ALLOWED = 0.1
"""Seconds that a login may take longer."""
ROUNDS = 5
"""What else goes on here disturbs logins, too, but not each time those that are beside silent connections."""
PATIENT = 'login_timeout = "10m"'
"""For the silent ones to stay as long as they are looked at."""
BULK = 300 * 1024 * 1024
GROWTH = 10 * 1024 * 1024
FLAT = 16 * 1024 * 1024
"""Bytes that may be on their way when a big result is taken in as fast as it comes: some 6 MB are, on a busy machine 10."""
STAYS = 12 * 1024 * 1024
"""Bytes that the allocator may keep: two arenas of 4 MiB, and what is loaded at first use. What piled up kept 33 MB."""
RESULTS = 3
LOGINS = 15


class SilentTests(SynchronousTestCase):
    def setUp(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted = SILENT * 2 + 500
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        self.gateway = Gateway([target("shop", embedded(), account("app"))], gateway=PATIENT, name="silent").start()
        self.addCleanup(self.gateway.stop)
        self.token = self.gateway.token()

    def login(self) -> float:
        """@return: seconds from connecting to the first answer."""
        began = time.perf_counter()
        with Wire(self.gateway.port) as connection:
            connection.login("app", self.token, "shop").ask("SELECT 1")
        return time.perf_counter() - began

    def test_silent_connections(self) -> None:
        told = []
        for _ in range(ROUNDS):
            before, during = self.compared()
            told.append(f"{before:.3f} s without, {during:.3f} s with {SILENT} silent connections")
            if during - before < ALLOWED:
                return
        self.fail("; ".join(told))

    def compared(self) -> tuple[float, float]:
        """@return: what a login takes without, and beside them."""
        before = median(self.login() for _ in range(LOGINS))
        with contextlib.ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self.gateway.port), PATIENCE)) for _ in range(SILENT)
            ]
            during = median(self.login() for _ in range(LOGINS))
            for one in silent:
                one.setblocking(False)
                self.assertRaises(BlockingIOError, one.recv, 1)  # it is still there
        return before, during

    def test_deadline(self) -> None:
        """Silent from the start, or in the middle of the login: the deadline ends them, with a word."""
        impatient = Gateway([target("shop", embedded(), account("app"))], gateway='login_timeout = "2s"', name="impatient").start()
        self.addCleanup(impatient.stop)
        for said in (b"", b"\0\0\0\x20\0\3\0\0user", startup({"user": "app", "database": "shop"})):
            with Wire(impatient.port) as connection:
                connection.send(said)
                found = [(kind, raw) for kind, raw in connection.untilReady() if kind != b"R"]
                self.assertEqual([kind for kind, _ in found], [b"E", b""])
                self.assertEqual(fields(found[0][1])["C"], "08006")

    def test_big_results(self) -> None:
        """Big results one after the other: the gateway takes little more memory while they pass, and gives it back."""
        process = self.gateway.process
        assert process is not None
        self.login()
        before = process.memory()
        process.resetPeak()
        for _ in range(RESULTS):
            with Wire(self.gateway.port) as connection:
                connection.login("app", self.token, "shop")
                connection.send(query(f"SELECT repeat('x', 1023) FROM generate_series(1, {BULK // 1024})"))
                self.assertGreater(connection.drain(), BULK)
        self.assertLess(process.peak() - before, FLAT, "the gateway grew")
        steady(lambda: process.memory() - before < STAYS, "the memory to be given back", 0.2, PATIENCE)

    def test_deaf_client(self) -> None:
        """A client that stops reading a big result: the gateway stops reading too, and keeps little."""
        server = embedded()
        process = self.gateway.process
        assert process is not None
        with Wire(self.gateway.port, PATIENCE, 65536) as connection:
            connection.login("app", self.token, "shop")
            before = process.memory()
            process.resetPeak()
            connection.send(query(f"SELECT repeat('x', 1023) FROM generate_series(1, {BULK // 1024})"))
            waits = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
            steady(lambda: server.look(waits, connection.key[0]) == [("ClientWrite",)], "the server to wait for its client", 2.0, PATIENCE)
            self.assertLess(process.peak() - before, GROWTH, "the gateway grew")
            self.login()
            self.assertGreater(connection.drain(), BULK)
            self.assertEqual(connection.value("SELECT 40 + 2"), "42")

    def test_deaf_target(self) -> None:
        """A target that stops reading: the same towards the client."""
        process = self.gateway.process
        assert process is not None
        with Wire(self.gateway.port) as locker, Wire(self.gateway.port) as connection:
            locker.login("app", self.token, "shop")
            connection.login("app", self.token, "shop")
            locker.ask("CREATE TABLE IF NOT EXISTS slow (t text); BEGIN; LOCK TABLE slow")
            before = process.memory()
            process.resetPeak()
            # The server sits in the lock and reads nothing of what follows.
            connection.send(query("INSERT INTO slow VALUES ('a')"))
            padding = query("SELECT '" + "p" * (1 << 20) + "'")
            sent = 0
            connection.socket.settimeout(3.0)
            try:
                while sent < BULK:
                    sent += connection.socket.send(padding)
            except TimeoutError:
                pass
            self.assertLess(sent, BULK)
            self.assertLess(process.peak() - before, GROWTH, "the gateway grew")
            self.login()
