"""
When the disk fails: sessions end with an error, nothing is forwarded unrecorded, service comes back.
"""

from __future__ import annotations

import itertools
import resource
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from struct import unpack_from

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import CHECK
from hoopx.reading import readSession
from hoopx.recording import catalogue
from hoopx.recording.stored import openSegment
from tests.peers.harness import wire
from tests.peers.harness.disks import MIB, BreakableDisk, Disk
from tests.peers.harness.gateway import ENDED, Gateway, account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import folder
from tests.peers.harness.tap import Passage, Tap
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import ServerError, Wire, fields, keyOf, query

ANSWERS = (b"T", b"D", b"C", b"Z")
"""Messages of an answer to a query that succeeds."""
FAULTY = Path(__file__).with_name("programs") / "faulty.py"
FIRST = 3
"""Statements of each writer, before they go on together."""
LIMITS = 'disk_reserve = "4MiB"\ndisk_refuse_below = "8MiB"'


class Writer(threading.Thread):
    """
    A client that goes on until its session ends.

    @ivar last: the fields of the last error, or C{None}.
    @ivar statements: how many were answered.
    @param others: set when all others work, too: until then it waits after its first statements.
    """

    def __init__(self, port: int, token: str, size: int, others: threading.Event) -> None:
        super().__init__(daemon=True)
        self.last: dict[str, str] | None = None
        self.statements = 0
        self._size, self._others = size, others
        self.connection = Wire(port).login("app", token, "shop")
        self.start()

    def run(self) -> None:
        try:
            for number in itertools.count():
                if number == FIRST:
                    self._others.wait()
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


class DiskTests(SynchronousTestCase):
    def arrange(self, disk: Disk, more: str = "", program: Sequence[str] = ()) -> Gateway:
        """A gateway whose data is on the disk, with taps on both sides of it."""
        self.far = Tap(debian().port)
        self.addCleanup(disk.remove)
        self.gateway = Gateway(
            [target("shop", debian(), account("app"), port=self.far.port, tls=False)],
            gateway=LIMITS, more=more, data=disk.path / "data", name="disk", program=program,
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

    def resting(self) -> list[Wire]:
        """@return: two sessions that say nothing, of which nothing more is written either: all that they have said is signed."""
        found = [self.logIn(), self.logIn()]
        for each in found:
            path = catalogue.find(str(self.gateway.data), self.gateway.session(each.address, None)["session"])
            until(lambda path=path: list(readSession(path, openSegment))[-1].kind == CHECK, "its signature")
        return found

    def writers(self, *sizes: int) -> list[Writer]:
        """@return: clients that have all been answered, and go on from now: a fast one alone would fill the disk before the last has come."""
        others = threading.Event()
        self.addCleanup(others.set)
        writers = [Writer(self.near.port, self.token, size, others) for size in sizes]
        until(lambda: all(writer.statements == FIRST for writer in writers), "everybody to work")
        others.set()
        return writers

    def works(self) -> bool:
        try:
            return self.logIn().value("SELECT 40 + 2") == "42"
        except ServerError:
            return False

    def told(self, writer: Writer) -> bool:
        """
        Assert that a writer's session has ended as it should: with an error, unless its client stands within a message.

        A message goes through in pieces, as it comes. When the recording fails behind one of them, the rest may not be sent, and
        whatever was sent instead would be taken for that rest: then the end of the connection is all that can be said.

        @return: whether there was an error.
        """
        writer.join(PATIENCE)
        self.assertFalse(writer.is_alive())
        passage = next(one for one in self.near.passages if one.peer == writer.connection.address)
        self.assertTrue(passage.ended())
        self.assertFalse(passage.reset, "the connection was cut, and with it perhaps what was said last")
        received = passage.receivedFromOk()
        rest = received[sum(len(raw) for _, raw in wire.split(received)) :]
        if not rest:
            last = writer.last or {}
            self.assertEqual(last.get("C"), "58030", f"after {len(received)} bytes")
            self.assertIn("record", last["M"])
            return True
        # The header of a message goes through whole.
        self.assertGreater(1 + unpack_from(">I", rest, 1)[0], len(rest))
        self.assertIn(rest[:1], ANSWERS)
        self.assertIsNone(writer.last)
        return False

    def toldWhoAsks(self, connection: Wire) -> None:
        """A client that has whole messages, and says something that can not be recorded."""
        with self.assertRaises(ServerError) as caught:
            connection.ask("SELECT 'unrecorded'")
        self.assertEqual(caught.exception.code, "58030")
        self.assertEqual(connection.receive(), (b"", b""))

    def faithful(self, passages: list[Passage], states: tuple[str, ...] | None = ENDED) -> None:
        """Nothing has reached either side that is not in the recording, but the word that the recording has failed."""
        behind = {keyOf(bytes(one.received))[0]: one for one in self.far.passages}
        for passage in passages:
            self.assertTrue(passage.ended())
            name = self.gateway.session(passage.address, states)["session"]
            received = passage.receivedFromOk()
            recorded = self.gateway.export(name, "to", "client")
            messages = list(wire.split(received))
            if messages[-1][0] == b"E" and fields(messages[-1][1])["C"] == "58030":
                received = received.removesuffix(messages[-1][1])
            self.assertTrue(recorded.startswith(received), f"the client has {len(received)} bytes, recorded {len(recorded)}")
            beyond = behind[keyOf(received)[0]]
            self.assertTrue(beyond.ended())
            reached = beyond.sentAfterLogin()
            recorded = self.gateway.export(name, "to", "target")
            self.assertTrue(recorded.startswith(reached), f"the target has {len(reached)} bytes, recorded {len(recorded)}")

    def fullUnder(self, size: int, more: str = "") -> None:
        disk = Disk(64 * MIB)
        # Uncompressed: what the curator made smaller meanwhile would give room to sessions that are to be refused.
        self.arrange(disk, f"[recording]\ncompress = false\n{more}")
        idle, asking = self.resting()
        writers = self.writers(size, size, size)
        disk.fill()
        for writer in writers:
            self.told(writer)
        self.toldWhoAsks(asking)
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
        until(self.works, "service to come back")
        self.assertEqual(idle.value("SELECT 'still here'"), "still here")

    def test_full(self) -> None:
        self.fullUnder(300)

    def test_full_in_big_runs(self) -> None:
        self.fullUnder(400_000)

    def test_full_synced(self) -> None:
        self.fullUnder(3000, 'durability = "synced"\n')

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

    def test_read_only(self) -> None:
        """The file system breaks under running sessions; when it is mended and the gateway started again, the recordings are whole."""
        disk = BreakableDisk(384 * MIB)
        self.arrange(disk)
        asking = self.logIn()
        writers = self.writers(10, 300_000)
        disk.fail()
        for writer in writers:
            self.told(writer)
        self.toldWhoAsks(asking)
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
        self.assertNotEqual(process.wait(), 0)
        self.assertIn("ead-only", process.tail())
        self.assertNotIn("Traceback", process.tail())
        disk.remount("rw")
        self.gateway.start()
        until(self.works, "service to come back")

    def test_broken(self) -> None:
        """Writing gives EIO: a fault that no file system of ours can be made to give is injected where the gateway writes."""
        mark = folder("broken") / "mark"
        self.arrange(Disk(384 * MIB), program=[sys.executable, str(FAULTY), str(mark)])
        idle, asking = self.resting()
        writers = self.writers(300, 400_000)
        mark.touch()
        for writer in writers:
            self.told(writer)
        self.toldWhoAsks(asking)
        with self.assertRaises(ServerError) as caught:
            self.logIn()
        self.assertEqual(caught.exception.code, "57P03")
        mark.unlink()
        until(self.works, "service to come back")
        self.faithful(list(self.near.passages))
        self.assertEqual(idle.value("SELECT 'still here'"), "still here")

    def test_limited(self) -> None:
        """One file can not grow any more: that session ends, the others go on."""
        self.arrange(Disk(64 * MIB), '[recording]\nsegment = { size = "16MiB", age = "60s" }\n')
        other, large = self.logIn(), self.logIn()
        large.ask(f"SELECT repeat('l', {2 * MIB})")
        assert self.gateway.process is not None
        limit = 2 * MIB
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        (writer,) = self.writers(30_000)
        self.told(writer)
        self.toldWhoAsks(large)
        self.assertEqual(other.value("SELECT 'goes on'"), "goes on")
        self.faithful(list(self.near.passages))
        until(self.works, "service to come back")
