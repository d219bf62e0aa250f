# -*- test-case-name: tests.index.test_writer -*-
"""
The words of items, as each database keeps them: FTS5's table over the items, or a column of tsvector.
"""

from __future__ import annotations

from typing import Any, Final, Sequence

from sqlalchemy import Connection, Engine, text

from hoopx.index.query import tsvector
from hoopx.index.tables import ITEM_BITS

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


def eraseWords(engine: Engine) -> bool:
    """
    After sessions were taken out: nothing of them stays in the files. FTS5 keeps the words of what was deleted until its parts
    are put together; SQLite keeps old pages in its log until that is emptied.

    @return: C{False} when somebody reads for so long that the log could not be emptied now; it will be when they have done.
    """
    if engine.dialect.name == "sqlite":
        with engine.execution_options(write=True).begin() as connection:
            connection.execute(text("INSERT INTO words (words) VALUES ('optimize')"))
        return emptyLog(engine)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for table in ("words", "items", "labels", "sessions"):
            connection.execute(text(f"VACUUM {table}"))
    return True


def emptyLog(engine: Engine) -> bool:
    """
    Bring all that stands in SQLite's log into the file. Not within a transaction.

    @return: C{False} when somebody reads for so long that it can not be done now.
    """
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        ((busy, _, _),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not busy
