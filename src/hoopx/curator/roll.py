# -*- test-case-name: tests.curator.test_locking -*-
"""
What the curator's list answers to those who keep stored sessions locked, and to those who look for what it does not know.
"""

from __future__ import annotations

import json
from typing import Any, Final

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS extended (session TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;"
"""Sessions all of whose segments are locked until their time is over, by the rules of the fact C{rules}."""

KEPT: Final = ("target", "protocol", "account", "labels")
"""Of HEAD, with the identity's name: what a hold may ask for when the recording itself can not be read here."""


class Roll:
    """Part of L{hoopx.curator.book.Book}."""

    _transaction: Any
    _rows: Any

    # -- what is not known

    def headless(self) -> int:
        """@return: how many sessions there are of which nothing but the ledger's leaves is known."""
        ((count,),) = self._rows("SELECT count(*) FROM sessions WHERE head IS NULL AND erased = 0")
        return int(count)

    def headlessAfter(self, after: str, limit: int) -> list[tuple[str, str]]:
        """@return: C{(session, path)} of them, by name."""
        sql = "SELECT session, path FROM sessions WHERE head IS NULL AND erased = 0 AND session > ? ORDER BY session LIMIT ?"
        found: list[tuple[str, str]] = self._rows(sql, after, limit)
        return found

    def learned(self, session: str, head: dict[str, Any]) -> None:
        """What HEAD says is known now."""
        with self._transaction() as database:
            _learn(database, session, head)

    # -- the ledger on its way to the store

    def behind(self, size: int) -> bool:
        """@return: whether a segment is not stored that has a leaf below C{size}; one that can not be stored is not waited for."""
        sql = "SELECT 1 FROM segments WHERE receipt IS NULL AND leaf < ? AND problem IS NULL LIMIT 1"
        return bool(self._rows(sql, size))

    # -- the clock

    def rebase(self, ahead: float, now: float, since: int) -> int:
        """
        The clock by which ends were noted may have been behind: they are moved, and never to a time that is still to come.

        @param ahead: seconds.
        @param now: what is right.
        @param since: ends that are in the ledger from this leaf on were noted in doubt: they count from C{now}.
        @return: how many sessions that concerns.
        """
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE sessions SET ended = CASE WHEN leaf >= ?1 THEN ?2 ELSE min(ended + ?3, ?2) END"
                " WHERE ended IS NOT NULL AND erased = 0 AND ended != CASE WHEN leaf >= ?1 THEN ?2 ELSE min(ended + ?3, ?2) END",
                (since, now, ahead),
            ).rowcount
            if changed:
                database.execute("DELETE FROM extended")
        return int(changed)

    def otherLedger(self) -> None:
        """The places of leaves are those of a ledger that has ended: every one of the new ledger comes after them."""
        with self._transaction() as database:
            database.execute("UPDATE sessions SET leaf = -1 WHERE leaf IS NOT NULL")
            database.execute("UPDATE holds SET leaf = -1")

    # -- the store's locks

    def stowed(self, after: str, limit: int) -> list[str]:
        """@return: sessions of which something is stored, by name."""
        sql = "SELECT DISTINCT session FROM segments WHERE receipt IS NOT NULL AND session > ? ORDER BY session LIMIT ?"
        return [session for (session,) in self._rows(sql, after, limit)]

    def unextended(self, session: str | None, limit: int) -> list[dict[str, Any]]:
        """
        @param session: only that one, or C{None}.
        @return: C{session, target, labels, ended} of those that are over, known, stored as a whole, and perhaps not locked long enough.
        """
        one, values = ("", ()) if session is None else (" AND s.session = ?", (session,))
        rows = self._rows(
            "SELECT session, target, labels, ended FROM sessions s WHERE leaf IS NOT NULL AND ended IS NOT NULL AND erased = 0"
            " AND head IS NOT NULL AND session NOT IN (SELECT session FROM extended)"
            " AND EXISTS (SELECT 1 FROM segments g WHERE g.session = s.session)"
            " AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.session = s.session AND g.receipt IS NULL)" + one + " LIMIT ?",
            *values, limit,
        )
        return [{"session": a, "target": b or "", "labels": json.loads(c), "ended": d} for a, b, c, d in rows]

    def longest(self) -> tuple[bool, float | None]:
        """@return: whether a session has not ended that is not erased; and when the last one has that is over and not erased."""
        going = bool(self._rows("SELECT 1 FROM sessions WHERE erased = 0 AND ended IS NULL LIMIT 1"))
        ((latest,),) = self._rows("SELECT max(ended) FROM sessions WHERE erased = 0")
        return going, latest

    def extended(self, session: str) -> None:
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO extended (session) VALUES (?)", (session,))

    def ruled(self, rules: str) -> None:
        """Under other rules than before, none is known to be locked long enough."""
        with self._transaction() as database:
            value = json.dumps(rules)
            if database.execute("SELECT value FROM facts WHERE name = 'rules'").fetchall() != [(value,)]:
                database.execute("DELETE FROM extended")
                database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES ('rules', ?)", (value,))


def _learn(database: Any, session: str, head: dict[str, Any]) -> None:
    labels = {str(k): str(v) for k, v in (head.get("labels") or {}).items()}
    kept = {name: head.get(name) for name in KEPT} | {"identity": {"name": (head.get("identity") or {}).get("name")}}
    database.execute(
        "UPDATE sessions SET target = ?, labels = ?, head = ? WHERE session = ?",
        (head.get("target"), json.dumps(labels), json.dumps(kept), session),
    )
