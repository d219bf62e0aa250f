from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.listing import select
from hoopx.frames import OPEN
from hoopx.index import listing as module
from hoopx.index.listing import listing
from hoopx.index.wanted import Filters
from hoopx.recording import catalogue
from hoopx.state.engine import close
from hoopx.ulid import ulid
from tests.index.rig import BEGAN, asked, feed, folder, record, writer

ALL: list[dict[str, Any]] = [
    {}, {"user": "u[12]"}, {"user": "nobody"}, {"target": "*"}, {"states": ("complete",)}, {"states": ("recovered", "live")},
    {"labels": ("application=p*",)}, {"labels": ("none",)}, {"since": BEGAN + 3}, {"until": BEGAN + 3}, {"since": BEGAN + 2, "until": BEGAN + 5},
]  # fmt: skip


class ListingTests(SynchronousTestCase):
    """Whatever the index knows or does not know, the answer is the disk's."""

    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)

    def one(self, number: float, indexed: bool | None = True, done: bool = True) -> str:
        identity = {"name": f"u{int(number)}", "kind": "human"}
        session = record(self.data, [asked("SELECT 1"), asked("SELECT 2")], started=BEGAN + number, done=done, identity=identity)
        if indexed is None:
            self.writer.segment(session, 0, self.reads(session, 0))
        elif indexed:
            feed(self.writer, self.reads, session)
        return session

    def check(self) -> None:
        for wanted in ALL:
            filters = Filters(**wanted)
            expected = [summary.line() for summary in select(str(self.data), filters)]
            for limit, skip in ((None, 0), (1, 0), (2, 1), (3, 2), (5, 4), (0, 0), (2, 100)):
                found = listing(self.engine, str(self.data), "gw1", filters, limit, skip)
                self.assertEqual(found, expected[skip:][:limit], (wanted, limit, skip))

    def test_allIndexed(self) -> None:
        for number in range(6):
            self.one(number)
        self.check()

    def test_nothing(self) -> None:
        self.check()

    def test_someIndexed(self) -> None:
        for number in range(9):
            self.one(number, indexed=(True, False, None)[number % 3])
        self.check()

    def test_afterSweep(self) -> None:
        for number in range(9):
            self.one(number, indexed=(True, False, None)[number % 3])
        self.writer.sweep(str(self.data), "gw1")
        self.check()
        self.one(1.5, indexed=False)
        self.one(20, indexed=False)
        self.check()

    def test_endsLater(self) -> None:
        """Put down while it lived, and the end is on the disk by now."""
        session = self.one(3, indexed=None)
        path = folder(self.data, session)
        os.rename(os.path.join(path, "000001.hxr"), os.path.join(path, OPEN))
        self.writer.sweep(str(self.data), "gw1")
        self.check()
        (line,) = listing(self.engine, str(self.data), "gw1")
        self.assertEqual(line["reason"], "interrupted")
        os.rename(os.path.join(path, OPEN), os.path.join(path, "000001.hxr"))
        self.check()

    def test_interrupted(self) -> None:
        """A gateway has died, and will say more when it is back."""
        session = self.one(3, indexed=False)
        path = folder(self.data, session)
        for number in (1, 0):
            os.rename(os.path.join(path, f"{number:06d}.hxr"), os.path.join(path, OPEN if not number else "later"))
        self.writer.sweep(str(self.data), "gw1")
        self.assertEqual([line["reason"] for line in listing(self.engine, str(self.data), "gw1")], ["interrupted"])
        os.rename(os.path.join(path, OPEN), os.path.join(path, "000000.hxr"))
        os.rename(os.path.join(path, "later"), os.path.join(path, "000001.hxr"))
        self.assertEqual([line["reason"] for line in listing(self.engine, str(self.data), "gw1")], ["client-left"])

    def test_recordingGone(self) -> None:
        """Kept elsewhere by now: the index still tells of it."""
        session = self.one(1)
        os.rename(folder(self.data, session), str(self.data / "elsewhere"))
        self.assertEqual([line["session"] for line in listing(self.engine, str(self.data), "gw1")], [session])

    def test_liveGone(self) -> None:
        session = self.one(1, indexed=None)
        os.rename(folder(self.data, session), str(self.data / "elsewhere"))
        (line,) = listing(self.engine, str(self.data), "gw1")
        self.assertEqual((line["session"], line["state"]), (session, "live"))

    def test_onlyThePageIsRead(self) -> None:
        """Of sessions that live, those are looked at that are shown."""
        for number in range(9):
            self.one(number, indexed=None)
        self.writer.sweep(str(self.data), "gw1")
        looked: list[str] = []
        real = catalogue.summarise
        self.patch(module.catalogue, "summarise", lambda path, *more: looked.append(path) or real(path, *more))
        listing(self.engine, str(self.data), "gw1", limit=2, skip=1)
        self.assertEqual(len(looked), 2)

    def test_emptyDirectory(self) -> None:
        """Made a moment ago, nothing in it yet."""
        self.one(1)
        path = Path(folder(self.data, self.one(2))).parent / ulid(BEGAN + 3)
        path.mkdir()
        self.writer.sweep(str(self.data), "gw1")
        self.check()
