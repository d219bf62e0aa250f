"""
The writer, fed by hand. Recordings of several segments, in which statements are cut in two by the segments' ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import FrameError, pack
from hoopx.index import things
from hoopx.index import writer as module
from hoopx.index.store import PRAGMAS
from hoopx.index.tables import items, labels, sessions
from hoopx.index.things import MORE
from hoopx.index.traces import Traces
from hoopx.index.writer import IndexWriter
from hoopx.protocols.postgres.messages import query
from hoopx.recording import catalogue
from hoopx.registry import protocols
from hoopx.state.engine import close
from hoopx.values import CLIENT, MADE, ORIGINAL, PASSED, TARGET, Frame
from tests.doubles import Picky
from tests.index.rig import BEGAN, READY, asked, contents, feed, folder, record, writer

CUT = query(b"SELECT 'in two'")
CUTTING = [[*asked("SELECT 1"), (CLIENT, PASSED, CUT[:9])], [(CLIENT, PASSED, CUT[9:]), (TARGET, PASSED, READY), *asked("SELECT 1")]]


def event_(**fields: Any) -> tuple[int, int, bytes]:
    return (0, 0, pack(fields))


class WriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)

    def rows(self, table: Any, *columns: str) -> list[tuple]:
        with self.engine.connect() as connection:
            order = table.c.id if table is items else table.c.session
            return [tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(order))]

    def said(self) -> list[tuple]:
        return self.rows(items, "text", "count")

    def found(self, word: str) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT rowid FROM words WHERE words MATCH :word"), {"word": word}).scalars())

    def test_originals(self) -> None:
        """What is sealed is not for the index; nor does a view that knows nothing of it get to see it."""
        self.writer = IndexWriter(self.engine, self.reads, {"postgres": SimpleNamespace(view=Picky)})
        steps = [(CLIENT, PASSED, b"GET"), (TARGET, ORIGINAL, b"sealed bytes"), (TARGET, MADE, b"masked bytes"), (TARGET, MADE, b"")]
        session = record(self.data, [steps, steps])
        feed(self.writer, self.reads, session)
        said = " ".join(text for text, _ in self.said())
        self.assertEqual(("GET" in said, "masked" in said, "sealed" in said), (True, True, False))
        self.assertEqual((self.found("sealed"), self.rows(sessions, "state")), ([], [("complete",)]))

    def test_row(self) -> None:
        """Exactly what the catalogue says of the session."""
        session = record(self.data, [asked("SELECT 1"), asked("SELECT 2")], actor="bot")
        feed(self.writer, self.reads, session)
        summary = catalogue.summarise(folder(self.data, session))
        assert summary is not None
        self.assertEqual(self.rows(sessions, *summary.line()), [tuple(summary.line().values())])
        self.assertEqual(self.rows(labels, "session", "name", "value"), [(session, "application", "psql")])
        self.assertEqual(self.rows(sessions, "node", "database", "segments", "partial"), [("gw1", "shop", 2, False)])

    def test_acrossSegments(self) -> None:
        feed(self.writer, self.reads, record(self.data, CUTTING))
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1)])
        self.assertEqual(self.rows(sessions, "commands", "items"), [(3, 2)])
        self.assertEqual(self.reads.calls.count((self.rows(sessions, "session")[0][0], 0)), 1)

    def test_pointer(self) -> None:
        """When it was said first, in the frame in which it begins."""
        feed(self.writer, self.reads, record(self.data, CUTTING))
        frames = [(frame.at / 1e9, frame.sequence) for number in (0, 1) for frame in self.reads(self.rows(sessions, "session")[0][0], number)]
        for at, last, sequence in self.rows(items, "at", "last", "sequence"):
            self.assertIn(sequence, [number for _, number in frames])
            self.assertLessEqual(at, last)

    def test_twice(self) -> None:
        session = record(self.data, CUTTING)
        feed(self.writer, self.reads, session)
        before = contents(self.engine)
        for number in (0, 1, 0):
            self.assertFalse(self.writer.segment(session, number, self.reads(session, number)))
        self.assertEqual(contents(self.engine), before)

    def test_again(self) -> None:
        """A writer that was killed between two segments reads the first one again, and counts it once."""
        session = record(self.data, CUTTING)
        feed(self.writer, self.reads, session)
        data = Path(self.mktemp())
        os.symlink((self.data / "recordings").absolute(), _made(data) / "recordings")
        first, engine, reads = writer(data)
        self.addCleanup(close, engine)
        self.assertTrue(first.segment(session, 0, reads(session, 0)))
        second, _, reads = writer(data, engine=engine)
        self.assertTrue(second.segment(session, 1, reads(session, 1)))
        self.assertIn((session, 0), reads.calls)
        self.assertEqual(contents(engine), contents(self.engine))

    def test_gap(self) -> None:
        """What was never fed is read before what comes after it."""
        session = record(self.data, [*CUTTING, asked("SELECT 3")])
        self.writer.segment(session, 2, self.reads(session, 2))
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1), ("SELECT 3", 1)])
        self.assertEqual(self.rows(sessions, "segments", "state", "partial"), [(3, "complete", False)])

    def test_pushedOut(self) -> None:
        """More sessions live than views are kept: the answer is the same."""
        self.patch(module, "VIEWS", 1)
        several = [record(self.data, CUTTING, started=BEGAN + number) for number in range(3)]
        for number in (0, 1):
            for session in several:
                self.writer.segment(session, number, self.reads(session, number))
                self.assertLessEqual(len(self.writer._readings), 1)
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1)] * 3)

    def test_nothingIsKeptAfterTheEnd(self) -> None:
        feed(self.writer, self.reads, record(self.data, CUTTING))
        self.assertEqual(len(self.writer._readings), 0)

    def test_earlierLost(self) -> None:
        """Encrypted by now, or gone: a beginning in the middle, and the row says so."""
        session = record(self.data, [asked("SELECT 1"), asked("SELECT 2")])
        self.reads.lost.add((session, 0))
        self.writer.segment(session, 1, self.reads(session, 1))
        self.assertEqual(self.rows(sessions, "partial", "segments", "state"), [(True, 2, "complete")])

    def test_lostAfterRestart(self) -> None:
        """The first segment is indexed, and can not be read again for the second."""
        session = record(self.data, [asked("SELECT 1"), asked("SELECT 2")])
        self.writer.segment(session, 0, self.reads(session, 0))
        second, _, reads = writer(self.data, engine=self.engine)
        reads.lost.add((session, 0))
        second.segment(session, 1, reads(session, 1))
        self.assertEqual(self.said(), [("SELECT 1", 1), ("SELECT 2", 1)])

    def test_failedTransaction(self) -> None:
        """Nothing of the segment is there; fed again all of it is, once."""
        session = record(self.data, CUTTING)
        self.writer.segment(session, 0, self.reads(session, 0))
        before = contents(self.engine)
        failing = [True]

        def break_(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
            if failing and statement.startswith("UPDATE sessions"):
                raise OperationalError(statement, {}, Exception("disk I/O error"))

        event.listen(self.engine, "before_cursor_execute", break_)
        self.assertRaises(OperationalError, self.writer.segment, session, 1, self.reads(session, 1))
        failing.clear()
        self.assertEqual(contents(self.engine), before)
        self.writer.segment(session, 1, self.reads(session, 1))
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1)])

    def test_damagedFrames(self) -> None:
        """What comes from a damaged segment is not half indexed."""
        session = record(self.data, CUTTING)

        def torn() -> Iterator[Frame]:
            yield from list(self.reads(session, 0))[:2]
            raise FrameError("x", 0, 0, "checksum")

        self.assertRaises(FrameError, self.writer.segment, session, 0, torn())
        self.assertEqual(self.said(), [])
        feed(self.writer, self.reads, session)
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1)])

    def test_metadata(self) -> None:
        """Sessions, and not a word of what was said."""
        self.writer, _, self.reads = writer(self.data, full=False, engine=self.engine)
        steps = [event_(event="verdict", verdict="block", guard="g"), event_(event="alarm", alarm="a")]
        feed(self.writer, self.reads, record(self.data, [asked("SELECT 'secret'") + steps]))
        self.assertEqual(self.said(), [])
        self.assertEqual(self.rows(sessions, "state", "verdicts", "alarms", "items", "commands"), [("complete", 1, 1, 0, 0)])
        for ending in ("", "-wal"):
            self.assertNotIn(b"secret", Path(f"{self.data}/index.sqlite{ending}").read_bytes())

    def test_counts(self) -> None:
        steps = [event_(event="verdict", verdict="block", guard="g"), event_(event="verdict", verdict="allow"), event_(event="alarm", alarm="a")]
        feed(self.writer, self.reads, record(self.data, [steps, steps]))
        self.assertEqual(self.rows(sessions, "verdicts", "alarms"), [(2, 2)])

    def test_noPlugin(self) -> None:
        """A protocol that is not installed: the session is listed."""
        feed(self.writer, self.reads, record(self.data, [asked("SELECT 1")], protocol="gopher"))
        self.assertEqual(self.rows(sessions, "protocol", "state"), [("gopher", "complete")])

    def test_wrongFrame(self) -> None:
        session = record(self.data, [[(0, 0, b"not json"), *asked("SELECT 1")]])
        feed(self.writer, self.reads, session)
        self.assertEqual(self.rows(sessions, "partial", "state"), [(True, "complete")])

    def test_numbers(self) -> None:
        """Sessions of one millisecond are told apart, and newer ones come later."""
        several = [record(self.data, [asked("SELECT 1")], started=BEGAN) for _ in range(20)]
        later = record(self.data, [asked("SELECT 1")], started=BEGAN + 1)
        for session in [later, *several]:
            feed(self.writer, self.reads, session)
        numbers = dict(self.rows(sessions, "session", "number"))
        self.assertEqual(len(set(numbers.values())), 21)
        self.assertEqual(max(numbers, key=lambda name: numbers[name]), later)

    # Limits

    def test_manyDistinct(self) -> None:
        self.patch(things, "ITEMS", 5)
        statements = [asked(f"SELECT {number}") for number in range(12)]
        feed(self.writer, self.reads, record(self.data, [sum(statements[:8], []), sum(statements[8:] + statements[:1], [])]))
        self.assertEqual(self.said(), [("SELECT 0", 2), *((f"SELECT {number}", 1) for number in range(1, 5)), (MORE, 7)])
        self.assertEqual(self.rows(sessions, "commands"), [(13,)])

    def test_characters(self) -> None:
        self.patch(things, "CHARACTERS", 20)
        feed(self.writer, self.reads, record(self.data, [sum((asked(f"SELECT '{'x' * 10}{number}'") for number in range(9)), [])]))
        self.assertEqual([count for _, count in self.said()], [1, 8])

    def test_variants(self) -> None:
        self.patch(things, "VARIANTS", 2)
        from hoopx.index.entries import Entry, digest

        with self.writer._transactions.begin() as connection:
            row = self.writer._made("0" * 26, connection)
            for text_, count in (("a", 4), ("b", 2)):
                found = {digest("command", text_, str(n)): Entry("command", text_, str(n), float(n), float(n), n) for n in range(count)}
                things.put(connection, row, found)
        self.assertEqual(self.rows(items, "text", "parameters", "count"), [("a", "0", 1), ("a", "1", 1), ("a", "", 2), ("b", "", 2)])

    # What the catalogue says

    def test_endedBefore(self) -> None:
        """A session that was put down as ended before its segments were read: while they are, its sums are those of the whole all the time."""
        session = record(self.data, [*CUTTING, asked("SELECT 2")])
        summary = catalogue.summarise(folder(self.data, session))
        assert summary is not None
        self.writer.ended(session, summary)
        columns = ("state", "ended", "bytes_from_client", "bytes_from_target")
        before = self.rows(sessions, *columns)
        for number in range(3):
            self.writer.segment(session, number, self.reads(session, number))
            self.assertEqual(self.rows(sessions, *columns), before)

    def test_ended(self) -> None:
        session = record(self.data, CUTTING)
        summary = catalogue.summarise(folder(self.data, session))
        assert summary is not None
        self.writer.ended(session, summary)
        self.assertEqual(self.rows(sessions, *summary.line()), [tuple(summary.line().values())])
        feed(self.writer, self.reads, session)
        other = Path(self.mktemp())
        os.symlink((self.data / "recordings").absolute(), _made(other) / "recordings")
        plain, engine, reads = writer(other)
        self.addCleanup(close, engine)
        feed(plain, reads, session)
        self.assertEqual(contents(engine), contents(self.engine))

    def test_endedKnowsLess(self) -> None:
        """What the segments have said is not taken back."""
        session = record(self.data, CUTTING)
        feed(self.writer, self.reads, session)
        before = contents(self.engine)
        self.writer.ended(session, catalogue.Summary(session, "", {}, "damaged", None, None, "odd", {}))
        self.assertEqual(contents(self.engine), before)

    # Erasing

    def test_erase(self) -> None:
        """Not in a table, and not in a file either: neither the text nor the word."""
        gone = record(self.data, [sum((asked(f"SELECT 'xylophone{number}' FROM zanzibar") for number in range(200)), [])])
        stays = record(self.data, [asked("SELECT 'trumpet'")], started=BEGAN + 1)
        for session in (gone, stays):
            feed(self.writer, self.reads, session)
        self.assertTrue(self.found("zanzibar"))
        self.assertTrue(self.writer.erase(gone, "0" * 26))
        self.assertTrue(Traces(self.engine).remove())
        self.assertEqual((self.found("zanzibar"), len(self.found("trumpet"))), ([], 1))
        self.assertEqual(self.rows(sessions, "session"), [(stays,)])
        self.assertEqual(self.rows(labels, "session"), [(stays,)])
        raw = b"".join(path.read_bytes() for path in self.data.glob("index.sqlite*"))
        self.assertIn(b"trumpet", raw)
        for word in (b"xylophone", b"zanzibar", gone.encode()):
            self.assertNotIn(word, raw)

    def test_secureDelete(self) -> None:
        """Asked for, whatever this SQLite was built to do."""
        with self.engine.connect() as connection:
            self.assertEqual(connection.exec_driver_sql("PRAGMA secure_delete").scalar(), 1)
        self.assertIn("secure_delete = ON", PRAGMAS)

    def test_eraseUnknown(self) -> None:
        self.assertFalse(self.writer.erase("0" * 26))

    def test_eraseLive(self) -> None:
        session = record(self.data, CUTTING)
        self.writer.segment(session, 0, self.reads(session, 0))
        self.writer.erase(session)
        self.assertEqual(len(self.writer._readings), 0)

    def test_takingTurns(self) -> None:
        """Another process has written a segment in between: what was read before it is not read on from there."""
        parts = [(CLIENT, PASSED, CUT[:5])], [(CLIENT, PASSED, CUT[5:]), (TARGET, PASSED, READY), (CLIENT, PASSED, CUT[:9])], [(CLIENT, PASSED, CUT[9:])]
        session = record(self.data, list(parts))
        other = IndexWriter(self.engine, self.reads, protocols())
        for number, writing in enumerate((self.writer, other, self.writer)):
            writing.segment(session, number, self.reads(session, number))
        self.assertEqual(self.said()[0], ("SELECT 'in two'", 2))

    def test_twoWriters(self) -> None:
        """A segment that another process has written meanwhile is not counted twice."""
        session = record(self.data, CUTTING)
        other = IndexWriter(self.engine, self.reads, protocols())
        self.writer.segment(session, 0, self.reads(session, 0))
        frames = list(self.reads(session, 1))

        def late() -> Iterator[Frame]:
            other.segment(session, 1, frames)
            yield from frames

        self.writer.segment(session, 1, late())
        self.assertEqual(self.said(), [("SELECT 1", 2), ("SELECT 'in two'", 1)])


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
