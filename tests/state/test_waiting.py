"""Rows wait in their order, so many of them, and one write at a time takes a page."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.waiting import AGAIN, WAITING, Waiting

PAGE = 10


class WaitingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[list[int]] = []
        self.again: list[tuple[bool, ...]] = []
        self.answers: list[Deferred[Any]] = []
        self.said: list[str] = []
        self.waiting = Waiting(
            self, self, self.clock, PAGE, lambda count, lost: [{"at": -lost}] if lost else [],  # type: ignore[arg-type]
            lambda: self.said.append("written"), lambda failure: self.said.append("failed"),
        )  # fmt: skip

    def addAudit(self, rows: Any) -> Any:
        """Never called: what is asked for is looked at."""

    def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
        self.assertEqual(function, self.addAudit)
        self.asked.append([row["at"] for row in arguments[0]])
        self.again.append(arguments[1:])
        self.answers.append(Deferred())
        return self.answers[-1]

    def add(self, *rows: int) -> None:
        for at in rows:
            self.waiting.add({"at": at})

    def answer(self, error: Exception | None = None) -> None:
        """To the write that is under way."""
        if error is None:
            self.answers[-1].callback([])
        else:
            self.answers[-1].errback(error)

    def test_pages(self) -> None:
        """What comes meanwhile is behind what waits."""
        self.add(*range(PAGE + 1))
        self.waiting.write()
        self.add(PAGE + 1)
        self.waiting.write()
        self.assertEqual(self.asked, [list(range(PAGE))])
        self.answer()
        self.assertEqual(self.asked[1:], [[PAGE, PAGE + 1]])
        self.answer()
        self.assertEqual((len(self.asked), len(self.waiting), self.said), (2, 0, ["written"] * 2))

    def test_again(self) -> None:
        """The same rows, with those that have come since: after a while, and not before."""
        self.add(1, 2)
        self.waiting.write()
        self.answer(OSError(28, "full"))
        self.add(3)
        self.waiting.write()
        self.waiting.later()
        self.clock.advance(AGAIN - 0.1)
        self.assertEqual((len(self.asked), self.said), (1, ["failed"]))
        self.clock.advance(0.1)
        self.assertEqual(self.asked[1:], [[1, 2, 3]])
        self.answer()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_doubtful(self) -> None:
        """After a failure nobody knows whether the rows were committed: the store is told so, until they are written, and no longer."""
        self.add(*range(PAGE + 1))
        self.waiting.write()
        for _ in range(2):
            self.answer(OSError(104, "reset"))
            self.clock.advance(AGAIN)
        self.answer()
        self.answer()
        self.assertEqual(self.again, [(), (True,), (True,), ()])

    def test_lost(self) -> None:
        """So many do not wait; how many is told once, behind those that do, and no page is longer for it."""
        self.add(*range(WAITING + 7))
        self.waiting.write()
        self.add(0)  # while the first page is being written its rows still wait
        while len(self.waiting) or not self.answers[-1].called:
            self.answer()
        self.assertEqual([row for page in self.asked for row in page], [*range(WAITING), -8])
        self.assertEqual({len(page) for page in self.asked[:-1]}, {PAGE})

    def test_lostMeanwhile(self) -> None:
        """One that is lost while it is told how many were is told of with the next."""
        self.add(*range(WAITING + 1))
        self.waiting.write()
        while self.asked[-1] != [-1]:
            self.answer()
        self.add(*range(WAITING + 2))
        self.answer()
        while not self.answers[-1].called:
            self.answer()
        self.assertEqual([page[-1] for page in self.asked if page[-1] < 0], [-1, -2])

    def test_stop(self) -> None:
        """What is under way is waited for, with what is behind it; what has failed is tried once more; nothing is begun afterwards."""
        self.assertIs(self.waiting.stop(), None)
        for error in (None, OSError(28, "full")):
            self.setUp()
            self.add(*range(PAGE + 1))
            self.waiting.write()
            stopped = self.waiting.stop()
            assert stopped is not None
            self.answer()
            self.assertNoResult(stopped)
            self.answer(error)
            self.successResultOf(stopped)
        self.setUp()
        self.add(1)
        self.waiting.write()
        self.answer(OSError(28, "full"))
        stopped = self.waiting.stop()
        assert stopped is not None
        self.assertEqual(len(self.asked), 2)
        self.answer(OSError(28, "full"))
        self.successResultOf(stopped)
        self.waiting.later()
        self.assertEqual(self.clock.getDelayedCalls(), [])
