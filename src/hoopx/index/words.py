# -*- test-case-name: tests.index.test_writer -*-
"""
The words of items, as each database keeps them: FTS5's tables over the items, one for each kind, or a column of tsvector.
"""

from __future__ import annotations

from typing import Any, Final, Mapping, Sequence

from sqlalchemy import Connection, Engine, text

from hoopx.index.entries import KINDS
from hoopx.index.query import tsvector
from hoopx.index.tables import ITEM_BITS
from hoopx.state.engine import BUSY_SECONDS

READERS: Final = 0.3
"""Seconds to wait for those who read: a search takes no longer, and whoever writes meanwhile waits, too."""

TABLES: Final[Mapping[str, str]] = {kind: "words" if kind == "command" else f"words_{kind}" for kind in KINDS}
"""Kind -> SQLite's table of the words of such things: FTS5 can not leave out of a common word's places those of another kind."""

_ADD_VECTOR: Final = text("INSERT INTO words (id, kind, vector) VALUES (:id, :kind, CAST(:said AS tsvector))")
_FORGET_VECTOR: Final = text("DELETE FROM words WHERE id BETWEEN :first AND :last")


def writeWords(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """@param rows: of items that were just added."""
    if connection.dialect.name == "sqlite":
        for kind, name in TABLES.items():
            said = [{each: row[each] for each in ("id", "text", "parameters")} for row in rows if row["kind"] == kind]
            if said:
                connection.execute(text(f"INSERT INTO {name} (rowid, text, parameters) VALUES (:id, :text, :parameters)"), said)
    else:
        said = [{"id": row["id"], "kind": row["kind"], "said": tsvector(row["text"], row["parameters"])} for row in rows]
        connection.execute(_ADD_VECTOR, said)


def forgetWords(connection: Connection, number: int) -> None:
    """
    Take a session's words out; before its items, for FTS5 must be told what they were.

    @param number: of the session.
    """
    if connection.dialect.name == "sqlite":
        for kind, name in TABLES.items():
            gone = f"SELECT 'delete', id, text, parameters FROM items WHERE session = :session AND +kind = '{kind}'"
            connection.execute(text(f"INSERT INTO {name} ({name}, rowid, text, parameters) {gone}"), {"session": number})
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
