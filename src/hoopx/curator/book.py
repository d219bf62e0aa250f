# -*- test-case-name: tests.curator.test_book -*-
"""
C{curator.sqlite}: which segments there are and where each stands. A cache: the ledger, the recordings and the storage backend know
all of it; lost, it is made anew from them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

from attrs import asdict, frozen

from hoopx.curator import holdings, roll
from hoopx.curator.holdings import Holdings
from hoopx.curator.roll import Roll, _learn
from hoopx.curator.tail import Ends
from hoopx.frames import segmentName
from hoopx.values import Receipt

VERSION: Final = 1
BUSY: Final = 5.0
"""Seconds to wait for another process that reads."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS segments (
    session TEXT NOT NULL, number INTEGER NOT NULL, seal TEXT NOT NULL, ended TEXT NOT NULL, end TEXT NOT NULL, wall REAL,
    sealed REAL NOT NULL, object TEXT, size INTEGER, leaf INTEGER, receipt TEXT, problem TEXT, here INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (session, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT NOT NULL PRIMARY KEY, path TEXT NOT NULL, target TEXT, labels TEXT NOT NULL DEFAULT '{}', head TEXT,
    ended REAL, leaf INTEGER, erased INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unstored ON segments (leaf) WHERE receipt IS NULL;
CREATE INDEX IF NOT EXISTS removable ON segments (sealed) WHERE receipt IS NOT NULL AND here = 1;
CREATE TABLE IF NOT EXISTS holds (session TEXT NOT NULL PRIMARY KEY, leaf INTEGER NOT NULL, held INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@frozen
class Standing:
    """
    How far a session is.

    @ivar next: number of the first segment without a leaf.
    @ivar ends: segment number -> L{Ends}, of those that were begun with and have no leaf.
    @ivar over: its last leaf is in the ledger.
    """

    next: int
    ends: dict[int, Ends]
    over: bool


@frozen
class Unstored:
    """A segment that has a leaf and no receipt. C{sealed}: seconds since the epoch; C{digest}: SHA-256 of the file, hexadecimal;
    C{ended}: when the session has, if that is in the ledger."""

    session: str
    number: int
    path: str
    target: str
    labels: dict[str, str]
    sealed: float
    size: int
    digest: str
    ended: float | None = None


class Book(Roll, Holdings):
    """
    Blocks: used in threads, by one at a time.

    @param path: of the file; C{":memory:"} for tests.
    @param careful: C{True}: a record is on the disk when a call returns. What stands in a segment can not be looked up again once it is
        encrypted.
    @ivar fresh: C{True} when there was none.
    """

    def __init__(self, path: str, careful: bool = False) -> None:
        self.fresh = path == ":memory:" or not os.path.exists(path)
        if path != ":memory:":
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = RLock()
        self._database = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode = WAL", f"synchronous = {'FULL' if careful else 'NORMAL'}", "secure_delete = ON"):
                self._database.execute(f"PRAGMA {pragma}").fetchall()
            ((version,),) = self._database.execute("PRAGMA user_version").fetchall()
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise ValueError(f"{path} can not be used: {error}. If it is damaged, move it away: it is made anew") from None
        if version not in (0, VERSION):
            self._database.close()
            raise ValueError(f"{path} is of another version of hoopx: move it away, it is made anew")
        self._database.executescript(SCHEMA + roll.SCHEMA + holdings.SCHEMA)
        self._database.execute(f"PRAGMA user_version = {VERSION}")

    def close(self, seconds: float = -1.0) -> None:
        """@param seconds: to wait for whoever is at it; then it is left as it is. Negative: for ever."""
        if self._lock.acquire(timeout=seconds):
            try:
                self._database.close()
            finally:
                self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(sql, values).fetchall()

    # -- towards the ledger

    def standing(self, session: str) -> Standing:
        rows = self._rows("SELECT number, seal, ended, end, wall, leaf FROM segments WHERE session = ? ORDER BY number", session)
        done = [row[0] for row in rows if row[5] is not None]
        over = bool(self._rows("SELECT 1 FROM sessions WHERE session = ? AND leaf IS NOT NULL", session))
        return Standing(done[-1] + 1 if done else 0, {row[0]: Ends(*row[1:5]) for row in rows if row[5] is None}, over)

    def began(self, session: str, path: str, head: dict[str, Any] | None, number: int, ends: Ends, sealed: float) -> None:
        """
        A segment is about to be packed.

        @param head: the HEAD frame's object, with the first segment.
        @param sealed: seconds since the epoch.
        """
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO segments (session, number, seal, ended, end, wall, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (session, number, ends.seal, ends.ended, ends.end, ends.wall, sealed),
            )
            database.execute("INSERT OR IGNORE INTO sessions (session, path) VALUES (?, ?)", (session, path))
            if head is not None:
                _learn(database, session, head)

    def logged(self, session: str, number: int, digest: str, size: int, leaf: int, last: int | None, wall: float | None) -> None:
        """
        A segment is in the ledger.

        @param digest: SHA-256 of the packed file.
        @param last: index of the session's C{done} or C{recovered} leaf, when this is its last segment.
        """
        with self._transaction() as database:
            database.execute(
                "UPDATE segments SET object = ?, size = ?, leaf = ? WHERE session = ? AND number = ?",
                (digest, size, leaf, session, number),
            )
            if last is not None:
                database.execute("UPDATE sessions SET leaf = ?, ended = ? WHERE session = ?", (last, wall, session))

    def over(self, session: str, leaf: int, ended: float) -> None:
        """A session's last leaf is in the ledger."""
        with self._transaction() as database:
            database.execute("UPDATE sessions SET leaf = ?, ended = ? WHERE session = ?", (leaf, ended, session))

    def lastEnds(self, session: str, number: int) -> Ends | None:
        """@return: what was noted of a segment, or C{None}; of one that was learned from the ledger, that is nothing."""
        rows = self._rows("SELECT seal, ended, end, wall FROM segments WHERE session = ? AND number = ?", session, number)
        return Ends(*rows[0]) if rows and rows[0][1] else None

    def relearn(self, rows: list[tuple[int, dict[str, Any], str, float]], covered: int) -> None:
        """
        Note what the ledger says.

        @param rows: C{(index, leaf, the session's directory, latest time so far)}.
        @param covered: how many leaves are known then.
        """
        with self._transaction() as database:
            for index, leaf, path, newest in rows:
                session, kind = leaf["session"], leaf["type"]
                if kind in ("hold-set", "hold-lifted"):
                    database.execute(_HOLD, (session, index, kind == "hold-set"))
                if kind not in ("sealed", "done", "recovered", "erased"):
                    continue
                database.execute("INSERT OR IGNORE INTO sessions (session, path) VALUES (?, ?)", (session, path))
                if kind == "sealed":
                    database.execute(
                        "INSERT INTO segments (session, number, seal, ended, end, sealed, object, size, leaf)"
                        " VALUES (?, ?, ?, '', '', ?, ?, ?, ?) ON CONFLICT DO UPDATE SET object = excluded.object,"
                        " size = excluded.size, leaf = excluded.leaf WHERE leaf IS NULL",
                        (session, leaf["segment"], leaf["seal"], leaf["at"], leaf["object"], leaf["size"], index),
                    )
                elif kind == "erased":
                    database.execute("DELETE FROM segments WHERE session = ?", (session,))
                    database.execute("UPDATE sessions SET erased = 1, leaf = ? WHERE session = ?", (index, session))
                else:
                    database.execute(
                        "UPDATE sessions SET leaf = ?, ended = ? WHERE session = ? AND leaf IS NULL", (index, newest, session)
                    )
            self._database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('ledger', ?)", (json.dumps(covered),))

    # -- towards the storage backend

    def unstored(self, limit: int) -> list[Unstored]:
        """What has no receipt yet, in the ledger's order."""
        rows = self._rows(
            "SELECT g.session, g.number, s.path, s.target, s.labels, g.sealed, g.size, g.object, s.ended"
            " FROM segments g JOIN sessions s USING (session)"
            " WHERE g.receipt IS NULL AND g.leaf IS NOT NULL AND g.problem IS NULL ORDER BY g.leaf LIMIT ?",
            limit,
        )
        return [Unstored(a, b, c, d or "", json.loads(e), *rest) for a, b, c, d, e, *rest in rows]

    def backlog(self) -> tuple[int, int, float | None]:
        """@return: segments without a receipt, their bytes, when the oldest of them was sealed."""
        sql = "SELECT count(*), coalesce(sum(size), 0), min(sealed) FROM segments WHERE receipt IS NULL AND leaf IS NOT NULL"
        ((count, size, oldest),) = self._rows(sql)
        return count, size, oldest

    def stored(self, session: str, number: int, receipt: Receipt) -> None:
        with self._transaction() as database:
            database.execute(
                "UPDATE segments SET receipt = ? WHERE session = ? AND number = ?", (json.dumps(asdict(receipt)), session, number)
            )

    def problem(self, session: str, number: int, why: str | None) -> None:
        """A segment can not be stored, for a reason that time does not mend."""
        with self._transaction() as database:
            database.execute("UPDATE segments SET problem = ? WHERE session = ? AND number = ?", (why, session, number))

    def problems(self, clear: bool = False) -> int:
        """@param clear: try them all again. @return: how many segments can not be stored."""
        ((count,),) = self._rows("SELECT count(*) FROM segments WHERE problem IS NOT NULL")
        if clear and count:
            with self._transaction() as database:
                database.execute("UPDATE segments SET problem = NULL WHERE problem IS NOT NULL")
        return int(count)

    def removable(self, before: float, limit: int) -> list[tuple[str, int, str]]:
        """@return: C{(session, number, path)} of what is stored, sealed before then, and still here; of sessions that are over."""
        return self._rows(
            "SELECT g.session, g.number, s.path FROM segments g JOIN sessions s USING (session) WHERE g.receipt IS NOT NULL"
            " AND g.here = 1 AND s.leaf IS NOT NULL AND g.sealed < ? ORDER BY g.sealed LIMIT ?",
            before, limit,
        )  # fmt: skip

    def removed(self, session: str, number: int) -> None:
        with self._transaction() as database:
            database.execute("UPDATE segments SET here = 0 WHERE session = ? AND number = ?", (session, number))

    def receipts(self, session: str) -> dict[int, Receipt]:
        sql = "SELECT number, receipt FROM segments WHERE session = ? AND receipt IS NOT NULL ORDER BY number"
        return {number: Receipt(**json.loads(text)) for number, text in self._rows(sql, session)}

    def sizes(self, session: str) -> dict[str, int]:
        """@return: segment's name -> bytes of the packed file."""
        sql = "SELECT number, size FROM segments WHERE session = ? AND receipt IS NOT NULL ORDER BY number"
        return {segmentName(number): size for number, size in self._rows(sql, session)}

    # -- retention

    def ended(self, before: float, after: str) -> Iterator[dict[str, Any]]:
        """@return: iterator of sessions that ended before then and are not erased, by name, from the one after C{after} on."""
        while True:
            rows = self._rows(
                f"SELECT {_SESSION} FROM sessions WHERE erased = 0 AND ended IS NOT NULL AND ended <= ? AND session > ?"
                " ORDER BY session LIMIT 500",
                before, after,
            )  # fmt: skip
            for row in rows:
                yield _session(row)
            if not rows:
                return
            after = rows[-1][0]

    def hold(self, session: str, leaf: int, on: bool) -> None:
        """@param leaf: index of the leaf that says so. The latest one counts."""
        self.holdAll([(session, leaf)], on)

    def holdAll(self, sessions: Sequence[tuple[str, int]], on: bool) -> None:
        """@param sessions: C{(session, index of the leaf)}."""
        with self._transaction() as database:
            database.executemany(_HOLD, [(session, leaf, on) for session, leaf in sessions])

    def isHeld(self, session: str) -> bool:
        """What the ledger has said last of holds on this session."""
        return bool(self._rows("SELECT 1 FROM holds WHERE session = ? AND held = 1", session))

    def session(self, session: str) -> dict[str, Any] | None:
        """@return: C{session, path, target, labels, head, ended, erased}, or C{None}."""
        rows = self._rows(f"SELECT {_SESSION} FROM sessions WHERE session = ?", session)
        return _session(rows[0]) if rows else None

    def erased(self, session: str) -> None:
        """Its leaf is in the ledger: only its name is kept, so that it is not looked for again."""
        with self._transaction() as database:
            database.execute("DELETE FROM segments WHERE session = ?", (session,))
            database.execute("DELETE FROM extended WHERE session = ?", (session,))
            database.execute(
                "UPDATE sessions SET erased = 1, target = NULL, labels = '{}', head = NULL WHERE session = ?", (session,)
            )

    # -- what else there is

    def overSessions(self) -> set[str]:
        """Sessions whose last leaf is in the ledger: nothing is left to look for."""
        return {session for (session,) in self._rows("SELECT session FROM sessions WHERE leaf IS NOT NULL")}

    def fact(self, name: str) -> Any:
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def setFact(self, name: str, value: Any) -> None:
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, json.dumps(value)))


_HOLD: Final = (
    "INSERT INTO holds (session, leaf, held) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET leaf = excluded.leaf, held = excluded.held"
    " WHERE excluded.leaf > leaf"
)
_SESSION: Final = "session, path, target, labels, head, ended, erased"


def _session(row: Any) -> dict[str, Any]:
    session, path, target, labels, head, ended, erased = row
    return {
        "session": session, "path": path, "target": target or "", "labels": json.loads(labels),
        "head": None if head is None else json.loads(head), "ended": ended, "erased": bool(erased),
    }  # fmt: skip
