from __future__ import annotations

import os
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.index import days as module
from hoopx.index.days import SETTLED, pathOf, strangers
from hoopx.state.engine import close
from hoopx.ulid import ulid
from tests.index.rig import BEGAN, asked, feed, folder, record, writer

DAY = 86400


class DaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)
        self.listed: list[str] = []
        self.aged: float | None = None
        real = module._sessions
        self.patch(module, "_sessions", lambda path: self.listed.append(path) or real(path))

    def one(self, number: float, indexed: bool = True) -> str:
        session = record(self.data, [asked("SELECT 1")], started=BEGAN + number)
        if indexed:
            feed(self.writer, self.reads, session)
        return session

    def strangers(self) -> list[str]:
        self.listed.clear()
        with self.engine.connect() as connection:
            return [os.path.basename(path) for path in strangers(connection, str(self.data), "gw1")]

    def age(self) -> None:
        """All that has happened was a while ago."""
        self.aged = self.newest()
        for path in (self.data / "recordings").glob("*/*/*"):
            at = path.stat().st_mtime - 2 * SETTLED
            os.utime(path, (at, at))

    def newest(self) -> float:
        """When a day's directory has changed last: by the clock of the disk, which the machine's is behind or ahead of."""
        return max(path.stat().st_mtime for path in (self.data / "recordings").glob("*/*/*"))

    def sweep(self) -> None:
        """Just when the last change was made, or when all was made to be old: how fast the machine is plays no part."""
        now = self.newest() if self.aged is None else self.aged
        self.writer.sweep(str(self.data), "gw1", lambda: now)

    def test_neverSwept(self) -> None:
        self.one(0)
        several = [self.one(number * DAY, indexed=False) for number in (1, 1.5, 2)]
        self.assertEqual(self.strangers(), several[::-1])

    def test_sweptOnce(self) -> None:
        """Days that have not changed are not even read."""
        for number in range(5):
            self.one(number * DAY, indexed=number % 2 == 0)
        self.age()
        self.sweep()
        self.assertEqual((self.strangers(), self.listed), ([], []))
        late = self.one(2.5 * DAY, indexed=False)
        self.assertEqual((self.strangers(), len(self.listed)), ([late], 1))

    def test_justNow(self) -> None:
        """A directory that has just changed may change again within the same tick of its clock: it is read."""
        self.one(0)
        self.sweep()
        self.assertEqual((self.strangers(), len(self.listed)), ([], 1))

    def test_onlyNewNamesAreAskedFor(self) -> None:
        for number in range(5):
            self.one(number)
        self.sweep()
        asked: list[list[str]] = []
        real = module._missing
        self.patch(module, "_missing", lambda connection, names: asked.append(list(names)) or real(connection, names))
        late = self.one(10, indexed=False)
        self.assertEqual((self.strangers(), asked), ([late], [[late]]))

    def test_clockSetBack(self) -> None:
        """A session that seems to have begun before others that are known."""
        for number in range(5):
            self.one(number)
        self.sweep()
        early = self.one(-3, indexed=False)
        self.assertEqual(self.strangers(), [early])

    def test_directoryGone(self) -> None:
        several = [self.one(number) for number in range(5)]
        self.sweep()
        shutil.rmtree(folder(self.data, several[2]))
        self.assertEqual(self.strangers(), [])
        late = self.one(1.5, indexed=False)
        self.assertEqual(self.strangers(), [late])

    def test_notRecordedYet(self) -> None:
        """A directory in which there is nothing yet is looked at again."""
        known = self.one(0)
        name = ulid(BEGAN + 1)
        (Path(folder(self.data, known)).parent / name).mkdir()
        later = self.one(2)
        self.age()
        self.sweep()
        self.assertEqual(self.strangers(), [name])
        self.assertTrue(later)

    def test_otherNode(self) -> None:
        """What one gateway has noted is not true of another's directories."""
        self.one(0, indexed=False)
        self.age()
        self.sweep()
        with self.engine.connect() as connection:
            self.assertEqual(list(strangers(connection, str(self.data), "gw2")), [])
        self.assertEqual(len(self.listed), 1 + 1)

    def test_manyNames(self) -> None:
        self.patch(module, "CHUNK", 3)
        for number in range(10):
            self.one(number, indexed=number % 5 > 0)
        self.assertEqual(len(self.strangers()), 2)

    def test_otherFiles(self) -> None:
        path = Path(folder(self.data, self.one(0)))
        (path.parent / "lost+found").mkdir()
        (path.parents[1] / "notes.txt").write_text("")
        (self.data / "recordings" / "README").write_text("")
        self.assertEqual(self.strangers(), [])

    def test_pathOf(self) -> None:
        session = self.one(0)
        self.assertEqual(pathOf(str(self.data), session), folder(self.data, session))
        self.assertIdentical(pathOf(str(self.data), "x"), None)
        self.assertIdentical(pathOf(str(self.data), ulid(BEGAN)), None)
