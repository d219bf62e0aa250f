"""
An index as the version before made it.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from sqlalchemy import URL, Engine, insert, text

from hoopx.index.entries import KINDS
from hoopx.index.query import tsvector
from hoopx.index.rows import blank, firstNumber
from hoopx.index.search import search
from hoopx.index.store import INDEX, PRAGMAS
from hoopx.index.tables import itemId, items, sessions
from hoopx.state.engine import close, connect
from hoopx.state.schema import upgrade
from hoopx.ulid import ulid

KIND = ("command", "output", "event", "result", "command", "file")


def older(where: URL) -> str:
    """
    @param where: nothing is there yet.
    @return: its only session, in which something of each kind was said.
    """
    engine = connect(where, PRAGMAS)
    session = ulid(1_700_000_000.0)
    row = {**blank(session), "number": firstNumber(session)}
    lite = engine.dialect.name == "sqlite"
    with engine.execution_options(write=True).begin() as connection:
        upgrade(connection, "it", evolve(INDEX, head="0002"))
        connection.execute(insert(sessions).values(**row))
        for number, kind in enumerate(KIND):
            thing: dict[str, Any] = {
                "id": itemId(row["number"], number), "session": row["number"], "hash": number, "kind": kind,
                "text": f"said in {kind} zanzibar", "parameters": "", "at": 1.0, "last": 1.0, "count": 1, "sequence": 1,
            }  # fmt: skip
            connection.execute(insert(items).values(**thing))
            words = "(rowid, text, parameters) VALUES (:id, :text, '')" if lite else "(id, vector) VALUES (:id, CAST(:said AS tsvector))"
            given = {"id": thing["id"], "text": thing["text"]} if lite else {"id": thing["id"], "said": tsvector(thing["text"])}
            connection.execute(text(f"INSERT INTO words {words}"), given)
    close(engine)
    return session


def migrated(case: Any, engine: Engine) -> None:
    """Each thing is found, among its kind and among all."""
    for kind in KINDS:
        expected = [f"said in {each} zanzibar" for each in reversed(KIND) if each == kind]
        case.assertEqual([one["text"] for one in search(engine, "said in", kinds=(kind,))], expected)
    case.assertEqual(len(search(engine, "zanzibar")), len(KIND))
