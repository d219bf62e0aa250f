"""
An index that is made again is the one that was made segment by segment.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyrage
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import FrameError
from hoopx.index import rebuild as module
from hoopx.index.rebuild import Rebuild
from hoopx.index.search import search
from hoopx.index.segments import Places, Segments
from hoopx.index.store import address, openForReading
from hoopx.index.swap import LOCK
from hoopx.protocols.postgres.messages import query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.recording.elsewhere import Place
from hoopx.recording.stored import opener
from hoopx.registry import protocols
from hoopx.state.engine import close
from hoopx.values import ATTEMPTED, CLIENT, PASSED
from tests.index import rig
from tests.index.rig import BEGAN, Reads, asked, contents, feed, folder, record, writer

STATEMENTS = [f"SELECT {word} FROM t" for word in ("a", "b", "c", "'a long one which is cut in two somewhere'")]
STEP = st.one_of(
    st.sampled_from(STATEMENTS).map(asked),
    st.tuples(st.sampled_from(STATEMENTS), st.integers(1, 20)).map(
        lambda drawn: [(CLIENT, PASSED, query(drawn[0].encode())[: drawn[1]]), (CLIENT, PASSED, query(drawn[0].encode())[drawn[1] :])]
    ),
    st.just([(0, 0, b'{"event":"alarm","alarm":"odd"}')]),
    st.just([(0, 0, b'{"event":"verdict","verdict":"block","guard":"g","reason":"r"}'), (CLIENT, ATTEMPTED, query(b"DROP TABLE t"))]),
)


TEXT = query(b"SELECT 'in two'")
CUT = [[*asked("SELECT 1"), (CLIENT, PASSED, TEXT[:9])], [(CLIENT, PASSED, TEXT[9:]), *asked("SELECT 1")]]


class RebuildTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)
        self.steps: list[str] = []

    def rebuild(self, data: Path | None = None, **more: Any) -> Rebuild:
        data = data or self.data
        where = address("sqlite:", data)
        return Rebuild(where, str(data), "gw1", more.pop("read", Segments(str(data))), protocols(), step=self.steps.append, **more)

    def test_equal(self) -> None:
        for number in range(5):
            feed(self.writer, self.reads, record(self.data, [asked("SELECT 1"), asked("SELECT 2")], started=BEGAN + number, done=number % 2 == 0))
        self.writer.sweep(str(self.data), "gw1")
        before = contents(self.engine)
        self.assertEqual(self.rebuild().run(), 5)
        self.engine.dispose()
        self.assertEqual(contents(self.engine), before)
        self.assertEqual(len(self.steps), 5)
        self.assertEqual(len(search(self.engine, "select")), 10)

    @given(st.lists(st.lists(STEP, max_size=4), min_size=1, max_size=4), st.booleans(), st.lists(st.booleans(), min_size=4, max_size=4))
    @settings(max_examples=40 if not os.environ.get("HOOPX_LONG") else 1000, deadline=None)
    def test_anyRecording(self, steps: list, done: bool, restarts: list[bool]) -> None:
        """Whatever was recorded, wherever the segments end, however often the writer was started anew."""
        data = Path(self.mktemp())
        session = record(data, [sum(segment, []) for segment in steps], done=done)
        writing, engine, reads = writer(data)
        try:
            for number in range(len(steps)):
                if restarts[number]:
                    writing, _, reads = writer(data, engine=engine)
                writing.segment(session, number, reads(session, number))
            before = contents(engine)
            self.rebuild(data).run()
            engine.dispose()
            self.assertEqual(contents(engine), before)
        finally:
            close(engine)
            shutil.rmtree(data)

    def test_fromNothing(self) -> None:
        data = Path(self.mktemp())
        record(data, [asked("SELECT 1")])
        self.rebuild(data).run()
        engine = openForReading(address("sqlite:", data))
        self.addCleanup(close, engine)
        self.assertEqual(len(search(engine, "select")), 1)
        close(engine)
        self.assertEqual(sorted(path.name for path in data.iterdir()), ["index.sqlite", "index.sqlite.lock", "recordings"])

    def test_erasedBetween(self) -> None:
        """The store's list is made, then a session is erased, there and from the index that is about to be replaced."""
        stays = record(self.data, [asked("SELECT 'trumpet'")], started=BEGAN)
        gone = record(self.data, [asked("SELECT 'zanzibar'")], started=BEGAN + 1)
        read = Segments(str(self.data))
        data = Path(self.mktemp())
        there = {name: Place(name, None, {"000000.hxr": "x"}) for name in (stays, gone)}
        places = Places(str(data), dict(there))

        def again() -> None:
            places.stored = dict(there)
            there.pop(gone, None)

        self.assertEqual(self.rebuild(data, read=read, places=places, again=again).run(), 1)
        engine = openForReading(address("sqlite:", data))
        self.addCleanup(close, engine)
        self.assertEqual([row[0] for row in contents(engine)[0]], [stays])
        self.assertNotIn(b"zanzibar", b"".join(path.read_bytes() for path in data.glob("index.sqlite*")))

    def test_nonsense(self) -> None:
        """Recordings that others may have written, or put into the store: none of them keeps the rest out of the index."""
        good = record(self.data, [asked("SELECT 'trumpet'")])
        record(self.data, [asked("SELECT 1")], protocol=["x"])
        for said in ({"identity": ["x"]}, {"identity": "x"}, {"labels": ["x"]}, {"labels": 5}, {"protocol": {}}):
            record(self.data, [asked("SELECT 1")], **said)
        for said in ({"started": 10**400}, {"bytes_from_client": 10**30}, {"bytes_from_client": 1e999}, {"reason": [1]}):
            with patch.object(rig, "pack", lambda value, said=said: json.dumps({**value, **said}).encode()):
                record(self.data, [asked("SELECT 1")])
        with patch.object(PostgresView, "feed", side_effect=AttributeError("a defect")):
            rebuild = self.rebuild()
            rebuild.run()
            self.assertIn("a defect", rebuild.failed[good])
        rebuild = self.rebuild()
        rebuild.run()
        self.assertLess(len(rebuild.failed), 2)
        engine = openForReading(address("sqlite:", self.data))
        self.addCleanup(close, engine)
        self.assertEqual(len(search(engine, "trumpet")), 1)

    def test_damagedIndex(self) -> None:
        """A file that is none gives way."""
        data = Path(self.mktemp())
        record(data, [asked("SELECT 1")])
        for content in (b"precious" * 1000, b"", (self.data / "index.sqlite").read_bytes()[:5000]):
            (data / "index.sqlite").write_bytes(content)
            self.assertEqual(self.rebuild(data).run(), 1)

    def test_newerIndex(self) -> None:
        feed(self.writer, self.reads, record(self.data, [asked("SELECT 1")]))
        with self.engine.execution_options(write=True).begin() as connection:
            connection.exec_driver_sql("UPDATE index_version SET version_num = '9999'")
        self.rebuild().run()
        close(openForReading(self.data / "index.sqlite"))

    def test_writerGoesOn(self) -> None:
        """A writer that was there before writes into the new file, without a word lost or said twice."""
        parts = [asked("SELECT 1"), [(CLIENT, PASSED, query(b"SELECT 2")[:5])], [(CLIENT, PASSED, query(b"SELECT 2")[5:])], asked("SELECT 3")]
        session = record(self.data, parts)
        other = Path(self.mktemp())
        shutil.copytree(self.data / "recordings", other / "recordings")
        for number in (3, 2):
            os.rename(f"{folder(self.data, session)}/{number:06d}.hxr", self.data / f"{number}")
        for number in (0, 1):
            self.writer.segment(session, number, self.reads(session, number))
        self.rebuild().run()
        for number in (2, 3):
            os.rename(self.data / f"{number}", f"{folder(self.data, session)}/{number:06d}.hxr")
            self.writer.segment(session, number, self.reads(session, number))
        plain, engine, reads = writer(other)
        self.addCleanup(close, engine)
        feed(plain, reads, session)
        fresh = openForReading(self.data / "index.sqlite")
        self.addCleanup(close, fresh)
        self.assertEqual(contents(fresh), contents(engine))

    def test_meanwhile(self) -> None:
        """A session that is recorded, and one that goes on, while the index is being made."""
        record(self.data, [asked("SELECT 1")])
        going = record(self.data, [asked("SELECT 2"), asked("SELECT 3")], started=BEGAN - 5)
        late = self.data / "late.hxr"
        last = f"{folder(self.data, going)}/000001.hxr"
        os.rename(last, late)

        def step(path: str) -> None:
            if late.exists():
                os.rename(late, last)
                record(self.data, [asked("SELECT 4")], started=BEGAN + 5)

        rebuild = self.rebuild()
        rebuild._step = step
        self.assertEqual(rebuild.run(), 3)
        self.engine.dispose()
        self.assertEqual(sorted(one["text"] for one in search(self.engine, "select")), [f"SELECT {number}" for number in (1, 2, 3, 4)])

    def test_waitsForAWriter(self) -> None:
        """It does not take the place of a file into which somebody is just writing."""
        record(self.data, [asked("SELECT 1")])
        order: list[str] = []
        real = os.replace
        self.patch(module.os, "replace", lambda *paths: order.append("replaced") or real(*paths))
        taken = fcntl.flock

        def flock(descriptor: int, how: int) -> None:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith(f"index.sqlite{LOCK}"):
                order.append({fcntl.LOCK_EX: "alone", fcntl.LOCK_SH: "shared"}[how])
            taken(descriptor, how)

        from hoopx.index import swap

        self.patch(swap.fcntl, "flock", flock)
        self.rebuild().run()
        self.assertEqual(order, ["alone", "replaced"])
        self.assertTrue((self.data / f"index.sqlite{LOCK}").exists())

    def test_unreadable(self) -> None:
        """Of what can not be read (any longer) the index knows what it knew, and nobody else suffers."""
        lost, good = record(self.data, [asked("SELECT 'lost'")]), record(self.data, [asked("SELECT 'good'")], started=BEGAN + 1)
        gone = record(self.data, [asked("SELECT 'gone'")], started=BEGAN + 2)
        for session in (lost, good, gone):
            feed(self.writer, self.reads, session)
        before = contents(self.engine)
        os.rename(folder(self.data, gone), self.data / "elsewhere")
        path = f"{folder(self.data, lost)}/000000.hxr"
        content = Path(path).read_bytes()
        Path(path).write_bytes(b"age-encryption.org/v1" + content)
        rebuild = self.rebuild()
        self.assertEqual(rebuild.run(), 3)
        self.assertEqual(list(rebuild.failed), [lost])
        self.assertIn("encrypted", rebuild.failed[lost])
        self.engine.dispose()
        self.assertEqual(contents(self.engine), before)
        for word in ("lost", "good", "gone"):
            self.assertEqual(len(search(self.engine, word)), 1)

    def test_anothers(self) -> None:
        """Another session's recording under a name of its own, or in place of a later segment: there is no such session, and nothing of it."""
        true = record(self.data, CUT)
        other = record(self.data, [asked("SELECT 'other'"), asked("SELECT 'more'")], started=BEGAN + 1)
        false = f"{true[:-4]}0000"
        shutil.copytree(folder(self.data, other), os.path.join(os.path.dirname(folder(self.data, true)), false))
        shutil.copy(f"{folder(self.data, other)}/000001.hxr", f"{folder(self.data, true)}/000001.hxr")
        rebuild = self.rebuild()
        rebuild.run()
        self.assertEqual(sorted(rebuild.failed), sorted([false, true]))
        self.assertIn(f"the segment is of another session: {other}", str(rebuild.failed[false]))
        self.engine.dispose()
        self.assertEqual({found["session"] for found in search(self.engine, "other")}, {other})

    def test_packed(self) -> None:
        """Compressed segments are read as they are, encrypted ones with an auditor's key."""
        auditor = pyrage.x25519.Identity.generate()
        for number in range(2):
            feed(self.writer, self.reads, record(self.data, CUT, started=BEGAN + number))
        before = contents(self.engine)
        segments = list((self.data / "recordings").rglob("*.hxr"))
        for path in segments:
            path.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
        self.assertEqual(self.rebuild(keep=False).run(), 2)
        self.engine.dispose()
        self.assertEqual(contents(self.engine), before)
        for path in segments:
            path.write_bytes(pyrage.encrypt(path.read_bytes(), [auditor.to_public()]))
        rebuild = self.rebuild()
        rebuild.run()
        self.assertEqual(len(rebuild.failed), 2)
        self.engine.dispose()
        self.assertEqual(contents(self.engine), before)
        rebuild = self.rebuild(keep=False, read=Segments(str(self.data), opener((auditor,))))
        self.assertEqual((rebuild.run(), rebuild.failed), (2, {}))
        self.engine.dispose()
        self.assertEqual(contents(self.engine), before)

    def test_fresh(self) -> None:
        gone = record(self.data, [asked("SELECT 'gone'")])
        feed(self.writer, self.reads, gone)
        shutil.rmtree(folder(self.data, gone))
        self.assertEqual(self.rebuild(keep=False).run(), 0)

    def test_secondSegmentDamaged(self) -> None:
        """What is good is in the index."""
        session = record(self.data, [asked("SELECT 'one'"), asked("SELECT 'two'")])
        path = Path(f"{folder(self.data, session)}/000001.hxr")
        path.write_bytes(path.read_bytes()[:-20])
        rebuild = self.rebuild()
        rebuild.run()
        self.assertEqual(list(rebuild.failed), [session])
        self.engine.dispose()
        self.assertEqual([one["text"] for one in search(self.engine, "select")], ["SELECT 'one'"])

    def test_fails(self) -> None:
        """The index that is there stays, and nothing lies about."""
        feed(self.writer, self.reads, record(self.data, [asked("SELECT 1")]))

        def full(session: str, number: int) -> Any:
            raise MemoryError

        self.assertRaises(MemoryError, self.rebuild(read=full).run)
        self.assertEqual(len(search(self.engine, "select")), 1)
        self.assertEqual([path.name for path in self.data.glob("index.sqlite.new*")], [])

    def test_leftovers(self) -> None:
        """Of one that was killed."""
        (self.data / "index.sqlite.new").write_bytes(b"half")
        (self.data / "index.sqlite.new-wal").write_bytes(b"half")
        record(self.data, [asked("SELECT 1")])
        self.assertEqual(self.rebuild().run(), 1)


class SegmentsTests(SynchronousTestCase):
    def test_same(self) -> None:
        data = Path(self.mktemp())
        session = record(data, [asked("SELECT 1"), asked("SELECT 2")])
        for number in (0, 1):
            self.assertEqual(list(Segments(str(data))(session, number)), list(Reads(data)(session, number)))

    def test_none(self) -> None:
        data = Path(self.mktemp())
        session = record(data, [asked("SELECT 1")])
        self.assertRaises(OSError, list, Segments(str(data))(session, 1))
        self.assertRaises(OSError, list, Segments(str(data))("0" * 26, 0))
        path = Path(f"{folder(data, session)}/000000.hxr")
        path.write_bytes(b"foreign")
        self.assertRaises(FrameError, list, Segments(str(data))(session, 0))


