"""
When the disk fails: sessions end with an error, nothing is forwarded unrecorded, service comes back.
"""

from __future__ import annotations

import itertools
import os
import resource
import threading
import unittest

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness import wire
from tests.peers.harness.disks import MIB, BreakableDisk, Disk
from tests.peers.harness.gateway import ENDED, Gateway, account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.tap import Passage, Tap
from tests.peers.harness.waiting import until
from tests.peers.harness.wire import ServerError, Wire, fields, keyOf, query

LIMITS = 'disk_reserve = "4MiB"\ndisk_refuse_below = "8MiB"'


class Writer(threading.Thread):
    """
    A client that goes on until its session ends.

    @ivar last: the fields of the last error, or C{None}.
    @ivar statements: how many were answered.
    """

    def __init__(self, port: int, token: str, size: int) -> None:
        super().__init__(daemon=True)
        self.last: dict[str, str] | None = None
        self.statements = 0
        self._size = size
        self.connection = Wire(port).login("app", token, "shop")
        self.start()

    def run(self) -> None:
        try:
            for number in itertools.count():
                self.connection.send(query(f"SELECT {number}, repeat('w', {self._size})"))
                for kind, raw in self.connection.untilReady():
                    if kind == b"E":
                        self.last = fields(raw)
                    if kind == b"":
                        return
                self.statements += 1
        except OSError:
            pass
        finally:
            self.connection.socket.close()


long = unittest.skipUnless(os.environ.get("HOOPX_LONG"), "with HOOPX_LONG=1: on a busy machine the last word is at times missed")


class DiskTests(SynchronousTestCase):
    def arrange(self, disk: Disk, more: str = "", limits: str = LIMITS) -> Gateway:
        """A gateway whose data is on the disk, with taps on both sides of it."""
        self.far = Tap(debian().port)
        self.addCleanup(disk.remove)
        self.gateway = Gateway(
            [target("shop", debian(), account("app"), port=self.far.port, tls=False)],
            gateway=limits, more=more, data=disk.path / "data", name="disk",
        ).start()  # fmt: skip
        self.near = Tap(self.gateway.port)
        for one in self.far, self.near, self.gateway:
            self.addCleanup(one.stop)
        self.token = self.gateway.token()
        return self.gateway

    def logIn(self) -> Wire:
        connection = Wire(self.gateway.port)
        self.addCleanup(connection.socket.close)
        return connection.login("app", self.token, "shop")

    def works(self) -> bool:
        try:
            return self.logIn().value("SELECT 40 + 2") == "42"
        except ServerError:
            return False

    def told(self, writer: Writer) -> None:
        """Assert that a writer's session has ended, and with an error where one could be said: not within a message."""
        writer.join(30)
        self.assertFalse(writer.is_alive())
        passage = next(one for one in self.near.passages if one.peer == writer.connection.address)
        self.assertTrue(passage.ended())
        received = passage.receivedFromOk()
        # Where the run that could not be recorded was the target's, and ended within a message, nothing can be said.
        if sum(len(raw) for _, raw in wire.split(received)) == len(received) and writer.last:
            self.assertEqual(writer.last.get("C"), "58030", writer.last)
            self.assertIn("record", writer.last["M"])

    def faithful(self, passages: list[Passage], states: tuple[str, ...] | None = ENDED) -> None:
        """Nothing has reached either side that is not in the recording, but the word that the recording has failed."""
        behind = {keyOf(bytes(one.received))[0]: one for one in self.far.passages}
        for passage in passages:
            self.assertTrue(passage.ended())
            name = self.gateway.session(passage.address, states)["session"]
            received = passage.receivedFromOk()
            recorded = self.gateway.export(name, "to", "client")
            if not recorded.startswith(received):
                # The word that recording has failed, where one could be said: not within a message.
                last = list(wire.split(received))[-1][1]
                self.assertEqual(fields(last).get("C"), "58030", f"{len(received)} received, {len(recorded)} recorded")
                received = received.removesuffix(last)
            self.assertTrue(recorded.startswith(received), f"the client has {len(received)} bytes, recorded {len(recorded)}")
            beyond = behind[keyOf(received)[0]]
            self.assertTrue(beyond.ended())
            reached = beyond.sentAfterLogin()
            recorded = self.gateway.export(name, "to", "target")
            self.assertTrue(recorded.startswith(reached), f"the target has {len(reached)} bytes, recorded {len(recorded)}")

    def fullUnder(self, size: int, more: str = "") -> None:
        disk = Disk(64 * MIB)
        self.arrange(disk, more)
        idle = self.logIn()
        writers = [Writer(self.near.port, self.token, size) for _ in range(3)]
        until(lambda: all(writer.statements > 2 for writer in writers), "everybody to work")
        disk.fill()
        for writer in writers:
            self.told(writer)
        with self.assertRaises(ServerError) as caught:
            self.logIn()
        self.assertEqual(caught.exception.code, "57P03")
        self.assertTrue(caught.exception.fields.get("H"), caught.exception.fields)
        passages = list(self.near.passages)
        for passage in passages:
            session = self.gateway.session(passage.address)
            self.assertEqual((session["state"], session["reason"]), ("complete", "recording-failed"))
        self.faithful(passages)
        disk.free()
        until(self.works, "service to come back", 30.0)
        self.assertEqual(idle.value("SELECT 'still here'"), "still here")

    def test_full(self) -> None:
        self.fullUnder(300)

    @long
    def test_full_in_big_runs(self) -> None:
        self.fullUnder(400_000)

    def test_full_synced(self) -> None:
        self.fullUnder(3000, '[recording]\ndurability = "synced"\n')

    def test_nearly_full(self) -> None:
        """Under the mark nobody new comes in, and those inside go on."""
        disk = Disk(64 * MIB)
        self.arrange(disk)
        inside = self.logIn()
        disk.fill(leave=4 * MIB)

        def refused() -> bool:
            try:
                self.logIn()
            except ServerError as error:
                return error.code == "57P03"
            return False

        until(refused, "new sessions to be refused")
        self.assertEqual(inside.value("SELECT 'inside'"), "inside")
        disk.free()
        until(self.works, "service to come back")

    @long
    def test_read_only(self) -> None:
        """The file system breaks under running sessions; when it is mended and the gateway started again, the recordings are whole."""
        disk = BreakableDisk(96 * MIB)
        self.arrange(disk)
        writers = [Writer(self.near.port, self.token, size) for size in (10, 300_000)]
        until(lambda: all(writer.statements > 2 for writer in writers), "everybody to work")
        disk.fail()
        for writer in writers:
            self.told(writer)
        self.assertFalse(self.works())
        # What only the page cache holds is lost when the file system is unmounted: look before.
        self.faithful(list(self.near.passages), states=None)
        self.gateway.stop()
        disk.unmount()
        disk.again()
        self.gateway.start()
        until(self.works, "service to come back")
        for passage in self.near.passages:
            self.assertEqual(self.gateway.session(passage.address)["state"], "recovered")

    def test_read_only_at_start(self) -> None:
        disk = Disk(64 * MIB)
        self.arrange(disk).stop()
        disk.remount("ro")
        process = self.gateway.launch()
        self.assertNotEqual(process.wait(30), 0)
        self.assertIn("ead-only", process.tail())
        self.assertNotIn("Traceback", process.tail())
        disk.remount("rw")
        self.gateway.start()
        until(self.works, "service to come back")

    @long
    def test_limited(self) -> None:
        """One file can not grow any more: that session ends, the others go on."""
        self.arrange(Disk(64 * MIB), '[recording]\nsegment = { size = "16MiB", age = "60s" }\n')
        other = self.logIn()
        assert self.gateway.process is not None
        limit = 2 * MIB
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        writer = Writer(self.near.port, self.token, 30_000)
        self.told(writer)
        self.assertEqual(other.value("SELECT 'goes on'"), "goes on")
        self.faithful(list(self.near.passages))
        until(self.works, "service to come back")
