# -*- test-case-name: tests.index.test_writer -*-
"""
The words of items, as each database keeps them: FTS5's table over the items, or a column of tsvector.
"""

from __future__ import annotations

from typing import Any, Final, Sequence

from sqlalchemy import Connection, Engine, text

from hoopx.index.query import tsvector
from hoopx.index.tables import ITEM_BITS
from hoopx.state.engine import BUSY_SECONDS

READERS: Final = 0.3
"""Seconds to wait for those who read: a search takes no longer, and whoever writes meanwhile waits, too."""

_ADD_FTS: Final = text("INSERT INTO words (rowid, text, parameters) VALUES (:id, :text, :parameters)")
_ADD_VECTOR: Final = text("INSERT INTO words (id, vector) VALUES (:id, CAST(:said AS tsvector))")
_FORGET_FTS: Final = text(
    "INSERT INTO words (words, rowid, text, parameters) SELECT 'delete', id, text, parameters FROM items WHERE session = :session"
)
_FORGET_VECTOR: Final = text("DELETE FROM words WHERE id BETWEEN :first AND :last")


def writeWords(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """@param rows: of items that were just added."""
    if connection.dialect.name == "sqlite":
        connection.execute(_ADD_FTS, [{name: row[name] for name in ("id", "text", "parameters")} for row in rows])
    else:
        said = [{"id": row["id"], "said": tsvector(row["text"], row["parameters"])} for row in rows]
        connection.execute(_ADD_VECTOR, said)


def forgetWords(connection: Connection, number: int) -> None:
    """
    Take a session's words out; before its items, for FTS5 must be told what they were.

    @param number: of the session.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(_FORGET_FTS, {"session": number})
    else:
        first = number << ITEM_BITS
        connection.execute(_FORGET_VECTOR, {"first": first, "last": first + (1 << ITEM_BITS) - 1})


def emptyLog(engine: Engine) -> bool:
    """
    Bring all that stands in SQLite's log into the file. Not within a transaction.

    @return: C{False} when somebody reads for so long that it can not be done now.
    """
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"PRAGMA busy_timeout = {int(READERS * 1000)}").fetchall()
        try:
            ((busy, _, _),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            raw.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}").fetchall()
        return not busy
