# -*- test-case-name: tests.ledger.test_lookup -*-
"""
Where the leaf of a session stands: a cache in a file, rebuilt out of the entries whenever it is gone or does not fit.

SQLite, for it keeps memory bounded with millions of leaves, and a tree of keys that begin with ULIDs grows at one edge. WAL without a
sync for each commit: after power loss it may lack its last rows, and is never torn; L{Lookup.covered} says from where on to read again.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final, Iterable, Mapping

from hoopx.ledger.leaf import ROTATED

NAME: Final = "lookup.sqlite"
LAYOUT: Final = 1

_LETTERS: Final = {
    "opened": "o",
    "sealed": "s",
    "done": "d",
    "recovered": "r",
    "erased": "e",
    "audit": "a",
    "hold-set": "h",
    "hold-lifted": "l",
}


def keyOf(leaf: Mapping[str, Any]) -> str | None:
    """@return: what there may be one leaf of only, or C{None} where there may be any number."""
    return lookupKey(leaf["type"], leaf.get("session"), leaf.get("segment"), leaf.get("audit"))


def lookupKey(kind: str, session: str | None, segment: int | None = None, audit: str | None = None) -> str | None:
    if kind == ROTATED:
        return ROTATED
    letter = _LETTERS.get(kind)
    if letter is None:
        return None
    if kind == "audit":
        return f"{audit}/{letter}"
    if kind.startswith("hold"):
        return f"{session}/{letter}/{audit}"
    return f"{session}/{letter}/{segment}" if kind == "sealed" else f"{session}/{letter}"


class Lookup:
    """
    @ivar covered: all leaves before this index are in it.
    """

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, NAME)
        self.covered = 0
        try:
            self._connect()
        except sqlite3.DatabaseError:
            self.clear()

    def _connect(self) -> None:
        made = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.close(made)
        # One thread at a time: the ledger's lock sees to it.
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=0)
        run = self._database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        (layout,) = run("PRAGMA user_version").fetchone()
        if layout not in (0, LAYOUT):
            raise sqlite3.DatabaseError("another layout")
        if layout == 0:
            run("BEGIN")
            run("CREATE TABLE leaf (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID")
            run("CREATE TABLE covered (at INTEGER NOT NULL)")
            run("INSERT INTO covered VALUES (0)")
            run(f"PRAGMA user_version = {LAYOUT}")
            run("COMMIT")
        (self.covered,) = run("SELECT at FROM covered").fetchone()

    def find(self, key: str) -> int | None:
        """@raise sqlite3.Error: it can not be read."""
        found = self._database.execute("SELECT at FROM leaf WHERE key = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def add(self, pairs: Iterable[tuple[str, int]], covered: int) -> None:
        """
        The first leaf of a key counts; of L{ROTATED} the last.

        @raise sqlite3.Error: nothing was added.
        """
        run = self._database.execute
        run("BEGIN")
        try:
            for key, at in pairs:
                if key == ROTATED:
                    run("INSERT OR REPLACE INTO leaf VALUES (?, ?)", (key, at))
                else:
                    run("INSERT OR IGNORE INTO leaf VALUES (?, ?)", (key, at))
            run("UPDATE covered SET at = ?", (covered,))
            run("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                run("ROLLBACK")
            raise
        self.covered = covered

    def clear(self) -> None:
        """Begin anew."""
        self.close()
        for end in ("", "-wal", "-shm"):
            try:
                os.unlink(self._path + end)
            except FileNotFoundError:
                pass
        self._connect()

    def close(self) -> None:
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()
