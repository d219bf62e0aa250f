"""
What was erased is in no file any more: in small steps, beside whoever writes, and after a death in between.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.index import traces as module
from hoopx.index import words
from hoopx.index.search import search
from hoopx.index.store import openForWriting
from hoopx.index.tables import sessions
from hoopx.index.traces import Traces
from hoopx.state.engine import close
from tests.index.rig import BEGAN, asked, feed, record, writer

WORDS = ("zanzibar", "xylophone")


class TracesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)
        self.number = 0

    def session(self, word: str, statements: int = 40) -> str:
        self.number += 1
        said = record(self.data, [sum((asked(f"SELECT '{word}{n}', '{word}'") for n in range(statements)), [])], started=BEGAN + self.number)
        feed(self.writer, self.reads, said)
        return said

    def raw(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.data.glob("index.sqlite*"))

    def gone(self) -> None:
        raw = self.raw()
        self.assertIn(b"trumpet", raw)
        for word in WORDS:
            self.assertNotIn(word.encode(), raw)

    def small(self) -> None:
        """Steps and pages so small that there are many."""
        self.patch(module, "PAGES", 1)
        self.patch(module, "STEP", 0.0)
        with self.engine.execution_options(write=True).begin() as connection:
            connection.execute(text("INSERT INTO words (words, rank) VALUES ('pgsz', 64)"))

    def erased(self) -> None:
        several = [self.session(WORDS[number % 2]) for number in range(6)]
        self.session("trumpet")
        for each in several:
            self.writer.erase(each)
        self.assertEqual([search(self.engine, word) for word in WORDS], [[], []])

    def test_several(self) -> None:
        """Sessions that were erased one by one are removed in one go; until then a trace of them can be there."""
        self.erased()
        self.assertIn(b"zanzibar", self.raw())
        traces = Traces(self.engine)
        self.assertTrue(traces.remove())
        self.gone()
        self.assertTrue(traces.step())  # nothing is left to do
        self.assertEqual(len(search(self.engine, "trumpet", limit=99)), 40)

    def test_steps(self) -> None:
        """Each is one short transaction, and what is fed between them is found afterwards, and not begun with again."""
        self.small()
        self.erased()
        traces, steps = Traces(self.engine), 0
        while not traces.step():
            steps += 1
            if steps < 20:
                self.session(f"between{steps}", 2)
            self.assertLess(steps, 2000)
        self.assertGreater(steps, 5)
        self.gone()
        self.assertEqual(len(search(self.engine, "between7")), 2)
        self.assertEqual(len(search(self.engine, "trumpet", limit=99)), 40)

    def test_killed(self) -> None:
        """Half of it was done by a process that is no more: another one finishes it."""
        self.small()
        self.erased()
        traces = Traces(self.engine)
        for _ in range(3):
            self.assertFalse(traces.step())
        close(self.engine)
        engine = openForWriting(self.data / "index.sqlite")
        self.addCleanup(close, engine)
        self.assertTrue(Traces(engine).remove())
        self.gone()

    def test_whileRead(self) -> None:
        """Somebody reads for long: it says that it is not gone from the files yet; when he has done, it is."""
        self.patch(words, "READERS", 0.0)
        self.erased()
        traces = Traces(self.engine)
        with self.engine.connect() as connection:
            connection.execute(select(sessions)).fetchone()
            self.assertFalse(traces.remove())
        self.assertTrue(traces.remove())
        self.gone()

    def test_nothing(self) -> None:
        """An index in which nothing was ever erased."""
        self.assertTrue(Traces(self.engine).step())
