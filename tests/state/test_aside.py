"""A row that the store can never take is put aside, kept and told; those before and behind it are written, in their order."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DataError, OperationalError
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.aside import ASIDE, Aside
from hoopx.state.rows import auditRow
from hoopx.state.store import Store
from hoopx.state.waiting import AGAIN, REFUSED, Waiting


class AsideTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.data.mkdir()
        self.clock = Clock()
        self.taken: list[int] = []
        self.alarms: list[tuple[str, str]] = []
        self.failures: list[str] = []
        self.bad: dict[int, Exception] = {}
        self.full = False
        aside = Aside(self.data, lambda alarm, fields: self.alarms.append((alarm, fields["why"])))
        self.waiting = Waiting(
            self, self, self.clock, 10, lambda count, lost: [{"at": -1}], lambda: self.taken.append(-2),  # type: ignore[arg-type]
            lambda failure: self.failures.append(failure.getErrorMessage()), aside,
        )  # fmt: skip

    def addAudit(self, rows: list[dict[str, Any]], again: bool = False) -> None:
        if self.full:
            raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))
        for row in rows:
            if row["at"] in self.bad:
                raise self.bad[row["at"]]
        self.taken += [row["at"] for row in rows]

    def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return execute(function, *arguments)

    def add(self, *rows: int) -> None:
        for at in rows:
            self.waiting.add({"at": at, "action": "x", "details": {"secret": "\0"}})
        self.waiting.write()

    def kept(self) -> list[dict[str, Any]]:
        path = self.data / ASIDE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def test_refused(self) -> None:
        for error in (DataError("INSERT", {"details": "hunter2"}, sqlite3.DataError("no NUL")), UnicodeEncodeError("utf-8", "x", 0, 1, "no")):
            self.taken, self.alarms = [], []
            before = len(self.kept())
            self.bad = {3: error}
            self.add(1, 2, 3, 4, 5)
            self.clock.pump([AGAIN] * (REFUSED - 1))
            self.assertEqual(self.taken[:2], [1, 2])
            self.assertEqual(len(self.kept()), before)
            self.clock.advance(AGAIN)
            self.assertEqual(self.taken, [1, 2, 4, 5, -1, -2])
            (line,) = self.kept()[before:]
            self.assertEqual((line["row"]["at"], line["row"]["details"]), (3, {"secret": "\0"}))
            self.assertNotIn("hunter2", line["why"])
            ((alarm, why),) = self.alarms
            self.assertEqual((alarm, ASIDE in why), ("audit", True))
            self.assertEqual((len(self.waiting), self.clock.getDelayedCalls()), (0, []))
            self.flushLoggedErrors()
        self.assertEqual(os.stat(self.data / ASIDE).st_mode & 0o777, 0o600)

    def test_several(self) -> None:
        """The count begins anew with each."""
        self.bad = {2: ValueError("no"), 3: ValueError("no"), 25: ValueError("no")}
        self.add(*range(30))
        self.clock.pump([AGAIN] * 20)
        self.assertEqual([at for at in self.taken if at >= 0], [at for at in range(30) if at not in self.bad])
        self.assertEqual([line["row"]["at"] for line in self.kept()], [2, 3, 25])
        self.assertEqual(len(self.alarms), 3)

    def test_away(self) -> None:
        """A store that is away or full refuses nothing: it is asked for ever."""
        self.full = True
        self.add(1, 2)
        self.clock.pump([AGAIN] * 100)
        self.assertEqual((self.kept(), self.alarms, len(self.waiting)), ([], [], 2))
        self.full = False
        self.clock.advance(AGAIN)
        self.assertEqual(self.taken, [1, 2, -1, -2])

    def test_notKept(self) -> None:
        """Where it can not be kept it waits: it is nowhere else."""
        (self.data / ASIDE).mkdir()
        self.bad = {1: ValueError("no")}
        self.add(1, 2)
        self.clock.pump([AGAIN] * 20)
        self.assertEqual((self.taken, self.alarms, len(self.waiting)), ([], [], 2))
        (self.data / ASIDE).rmdir()
        self.clock.advance(AGAIN)
        self.assertEqual((self.taken, len(self.kept())), ([2, -1, -2], 1))

    def test_store(self) -> None:
        """What a database of ours refuses is known as that."""
        store = Store.open("sqlite:", self.data / "state")
        self.addCleanup(store.close)
        rows = [auditRow(1.0, "gateway", "x", subject, {}) for subject in ("a", "\ud800", "b")]
        aside = Aside(self.data, lambda alarm, fields: None)
        waiting = Waiting(store, self, self.clock, 10, lambda count, lost: [], lambda: None, self.failures.append, aside)  # type: ignore[arg-type]
        for row in rows:
            waiting.add(row)
        waiting.write()
        self.clock.pump([AGAIN] * 5)
        self.assertEqual([row["subject"] for row in store.auditRows()], ["b", "a"])
        self.assertEqual(self.kept()[0]["row"]["subject"], "\ud800")
