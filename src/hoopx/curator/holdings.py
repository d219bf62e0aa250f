# -*- test-case-name: tests.curator.test_holder -*-
"""
What the curator's list knows of holds by itself: a state store that was restored from an old copy does not know of all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hoopx.retention.rules import heldBy

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS standing (
    audit TEXT NOT NULL UNIQUE, hold INTEGER NOT NULL, session TEXT, filter TEXT, after TEXT, lifted TEXT,
    forgotten INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS unweighed (session TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS ended_unweighed AFTER UPDATE OF leaf ON sessions
    WHEN NEW.leaf IS NOT NULL AND OLD.leaf IS NULL AND EXISTS (SELECT 1 FROM standing WHERE filter IS NOT NULL)
    BEGIN INSERT OR IGNORE INTO unweighed (session) VALUES (NEW.session); END;
CREATE TRIGGER IF NOT EXISTS learned_unweighed AFTER UPDATE OF head ON sessions
    WHEN NEW.head IS NOT NULL AND OLD.head IS NULL AND NEW.leaf IS NOT NULL AND EXISTS (SELECT 1 FROM standing WHERE filter IS NOT NULL)
    BEGIN INSERT OR IGNORE INTO unweighed (session) VALUES (NEW.session); END;
"""
"""
C{standing}: holds, by the hash of the audit's row that sets each; C{after}: the session up to which those that had ended were weighed,
C{NULL} after the last one; C{lifted}: the hash of the row that lifts it; C{forgotten}: the state store does not know of it.
C{unweighed}: sessions that have ended, or become known, since.
"""

_ROW: Final = "SELECT audit, hold, session, filter, after, lifted FROM standing"


class Holdings:
    """Part of L{hoopx.curator.book.Book}."""

    _transaction: Any
    _rows: Any

    def stand(self, audit: str, hold: int, session: str | None, filter: Mapping[str, Any] | None) -> None:
        """A hold is set, on a session or by a filter."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO standing (audit, hold, session, filter, after) VALUES (?, ?, ?, ?, ?)",
                (audit, hold, session, _canonical(filter), None if filter is None else ""),
            )

    def fall(self, hold: int, session: str | None, audit: str) -> list[dict[str, Any]]:
        """
        A hold is lifted, and with it those that say the same and that the state store does not know any more: that is how these are
        ended.

        @param session: C{None} for one by a filter.
        @param audit: hash of the row that lifts it.
        @return: its rows. Those by a filter stay until L{fallen}.
        """
        with self._transaction() as database:
            found = database.execute(f"{_ROW} WHERE hold = ? AND lifted IS NULL ORDER BY rowid DESC LIMIT 1", (hold,)).fetchall()
            said = (session, None) if session is not None else (found[0][2:4] if found else None)
            if said is not None:
                same = database.execute(
                    f"{_ROW} WHERE (forgotten = 1 OR hold = ?) AND lifted IS NULL AND session IS ? AND filter IS ?", (hold, *said)
                )
                found += [row for row in same.fetchall() if row not in found]
            for row in found:
                if row[3] is None:
                    database.execute("DELETE FROM standing WHERE audit = ?", (row[0],))
                else:
                    database.execute("UPDATE standing SET lifted = ?, after = '' WHERE audit = ?", (audit, row[0]))
        return [_said(row) for row in found]

    def fallen(self, audit: str) -> None:
        """A hold that was lifted holds no session any more."""
        with self._transaction() as database:
            database.execute("DELETE FROM standing WHERE audit = ?", (audit,))

    def told(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """@param rows: all holds that the state store knows: C{id, session, filter}."""
        known = {(row["id"], row["session"], _canonical(row["filter"])) for row in rows}
        with self._transaction() as database:
            for audit, hold, session, filter, _, _ in database.execute(_ROW).fetchall():
                database.execute(
                    "UPDATE standing SET forgotten = ? WHERE audit = ?", ((hold, session, filter) not in known, audit)
                )

    def holding(self, lifted: bool = False) -> list[dict[str, Any]]:
        """@return: C{audit, hold, session, filter, after, lifted} of the holds that hold; or of those whose end is being written."""
        return [_said(row) for row in self._rows(f"{_ROW} WHERE lifted IS {'NOT ' if lifted else ''}NULL ORDER BY rowid")]

    def stands(self, session: str, head: Mapping[str, Any] | None) -> bool:
        """@return: whether a hold that was set and not lifted means a session."""
        return heldBy(self.holding(), session, head) is not None

    def keeps(self, session: str, head: Mapping[str, Any] | None) -> str | None:
        """@return: why a session is held, as far as is known here, or C{None}."""
        if self._rows("SELECT 1 FROM holds WHERE session = ? AND held = 1", session):
            return "the ledger says that it is held: hold it and release it, if it is not"
        if self.stands(session, head):
            return "a hold means it that was set and not lifted: set the same one and release it, if it is not to hold"
        return None

    def weighable(self, after: str, limit: int) -> list[tuple[str, dict[str, Any], bool]]:
        """@return: C{(session, head, whether the ledger says that it is held)} of what has ended and is known, by name."""
        return self._weighable("s.session > ?", after, limit)

    def unweighed(self, limit: int) -> list[tuple[str, dict[str, Any], bool]]:
        """@return: the same of what has ended, or become known, since the holds were set."""
        return self._weighable("s.session IN (SELECT session FROM unweighed WHERE session > ?)", "", limit)

    def weighed(self, sessions: Sequence[str]) -> None:
        """@param sessions: of L{unweighed}; and those are let be that can not be weighed: they are erased, or come again when known."""
        with self._transaction() as database:
            database.executemany("DELETE FROM unweighed WHERE session = ?", [(session,) for session in sessions])
            if not sessions:
                database.execute(
                    "DELETE FROM unweighed WHERE session IN (SELECT session FROM sessions WHERE erased = 1 OR head IS NULL)"
                )

    def heldAfter(self, after: str, limit: int) -> list[tuple[str, dict[str, Any], bool]]:
        """@return: the same of what the ledger says is held."""
        return self._weighable("s.session > ? AND h.held = 1", after, limit)

    def weighedTo(self, audit: str, after: str | None, lifted: bool = False) -> None:
        """@param lifted: it is being lifted. What is weighed for a hold that was lifted meanwhile does not shorten the way of its end."""
        with self._transaction() as database:
            database.execute("UPDATE standing SET after = ? WHERE audit = ? AND (lifted IS NOT NULL) = ?", (after, audit, lifted))

    def _weighable(self, where: str, after: str, limit: int) -> list[tuple[str, dict[str, Any], bool]]:
        rows = self._rows(
            "SELECT s.session, s.head, coalesce(h.held, 0) FROM sessions s LEFT JOIN holds h USING (session) WHERE s.leaf IS NOT NULL"
            f" AND s.erased = 0 AND s.head IS NOT NULL AND {where} ORDER BY s.session LIMIT ?",
            after, limit,
        )  # fmt: skip
        return [(session, json.loads(head), bool(held)) for session, head, held in rows]


def _canonical(filter: Mapping[str, Any] | None) -> str | None:
    return None if filter is None else json.dumps(filter, sort_keys=True)


def _said(row: Any) -> dict[str, Any]:
    audit, hold, session, filter, after, lifted = row
    said = None if filter is None else json.loads(filter)
    return {"audit": audit, "hold": hold, "session": session, "filter": said, "after": after, "lifted": lifted}
