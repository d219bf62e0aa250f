"""
The recording holds what both sides sent and received, byte for byte.
"""

from __future__ import annotations

import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness import wire
from tests.peers.harness.finding import LONG, require
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import PASSWORDS, debian
from tests.peers.harness.tap import Passage, Tap
from tests.peers.harness.waiting import PATIENCE
from tests.peers.harness.wire import Wire, keyOf
from tests.peers.harness.workload import Workload

SEEDS = range(40 if LONG else 8)
STEPS = 200 if LONG else 60
TRANSACTIONS = 2000 if LONG else 100


class FidelityTests(SynchronousTestCase):
    """Client, tap, gateway, tap, server; no TLS, so that the taps see what is said."""

    def setUp(self) -> None:
        self.far = Tap(debian().port)
        self.gateway = Gateway(
            [target("shop", debian(), account("app"), port=self.far.port, tls=False)],
            more='[recording]\nsegment = { size = "64KiB", age = "2s" }\n',
            name="fidelity",
        ).start()
        self.near = Tap(self.gateway.port)

    def tearDown(self) -> None:
        for one in self.near, self.gateway, self.far:
            one.stop()

    def compare(self) -> None:
        """Assert for every connection so far that the recording and the taps agree."""
        near = [passage for passage in self.near.passages if passage.sentAfterLogin()]
        far = {keyOf(bytes(passage.received))[0]: passage for passage in self.far.passages if passage.sentAfterLogin()}
        self.assertEqual(len(near), len(far))
        for passage in near:
            self.assertTrue(passage.ended())
            session = self.gateway.session(passage.address)
            self.assertEqual((session["state"], session["reason"]), ("complete", "client-left"))
            name = session["session"]
            behind = far[keyOf(bytes(passage.received))[0]]
            self.assertTrue(behind.ended())
            self.same(self.gateway.export(name, "from", "client"), passage.sentAfterLogin())
            self.same(self.gateway.export(name, "to", "client"), passage.receivedFromOk())
            self.same(self.gateway.export(name, "to", "target"), behind.sentAfterLogin())
            # The one thing that differs: the target's cancel key is a secret, the client has one of the gateway's.
            self.same(passage.receivedFromOk(), behind.receivedFromOk().replace(secretOf(behind), secretOf(passage), 1))
            self.assertNotIn(secretOf(behind), self.gateway.export(name, "from", "target"))
            self.assertEqual(session["bytes_from_client"], len(passage.sentAfterLogin()))

    def same(self, recorded: bytes, seen: bytes) -> None:
        if recorded != seen:
            at = next((n for n, (a, b) in enumerate(zip(recorded, seen)) if a != b), min(len(recorded), len(seen)))
            self.fail(
                f"{len(recorded)} bytes recorded, {len(seen)} seen, the first difference at {at}: "
                f"{recorded[max(0, at - 20) : at + 40]!r} is not {seen[max(0, at - 20) : at + 40]!r}"
            )

    def test_random(self) -> None:
        for seed in SEEDS:
            with Wire(self.near.port) as connection:
                connection.login("app", self.gateway.token(), "shop")
                work = Workload(connection, seed)
                work.run(STEPS)
                work.leave()
        self.compare()

    def test_abrupt(self) -> None:
        """A client that goes away in the middle of a message, of a result, of a transaction."""
        for tail in (b"Q\0\0", wire.query("SELECT repeat('x', 1000000)"), wire.query("BEGIN") + b"S", b""):
            with Wire(self.near.port) as connection:
                connection.login("app", self.gateway.token(), "shop")
                connection.ask("SELECT 1")
                connection.send(tail)
            passage = self.near.passages[-1]
            self.assertTrue(passage.ended())
            name = self.gateway.session(passage.address)["session"]
            self.same(self.gateway.export(name, "from", "client"), passage.sentAfterLogin())
            self.assertTrue(self.gateway.export(name, "to", "client").startswith(passage.receivedFromOk()))
        behind = self.far.passages[-1]
        self.assertTrue(behind.ended())
        self.assertTrue(self.gateway.export(name, "to", "target").startswith(behind.sentAfterLogin()))

    def pgbench(self, *arguments: str) -> None:
        environment = {"PGPASSWORD": self.gateway.token(), "PGSSLMODE": "disable"}
        done = subprocess.run(
            [require("pgbench"), "-h", "127.0.0.1", "-p", str(self.near.port), "-U", "app", "-n", *arguments, "shop"],
            env=environment, capture_output=True, text=True, timeout=5 * PATIENCE,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_pgbench(self) -> None:
        fill = [require("pgbench"), "-h", "127.0.0.1", "-p", str(debian().port), "-U", "app", "-i", "-q", "-s", "1", "shop"]
        subprocess.run(fill, env={"PGPASSWORD": PASSWORDS["app"]}, check=True, capture_output=True, timeout=PATIENCE)
        for mode in ("simple", "extended", "prepared"):
            self.pgbench("-c", "4", "-t", str(TRANSACTIONS), "-M", mode)
            self.pgbench("-S", "-c", "4", "-t", str(TRANSACTIONS), "-M", mode)
        self.compare()

    def test_pgbench_fill(self) -> None:
        self.pgbench("-i", "-q", "-s", "2")
        self.compare()


def secretOf(passage: Passage) -> bytes:
    process, secret = keyOf(bytes(passage.received))
    return process.to_bytes(4, "big") + secret
