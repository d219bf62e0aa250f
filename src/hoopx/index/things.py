# -*- test-case-name: tests.index.test_writer -*-
"""
Things of a session in the index: each different one once, and how often; and how many there may be.
"""

from __future__ import annotations

from typing import Any, Final, Iterable, Mapping

from sqlalchemy import Connection, insert, select, update

from hoopx.index import rows
from hoopx.index.entries import Entry, digest
from hoopx.index.tables import itemId, items
from hoopx.index.words import writeWords

ITEMS: Final = 20_000
"""Different entries of one session; later ones are counted together. A day of generated statements must not fill the disk."""
CHARACTERS: Final = 16 * 1024 * 1024
"""Of all entries of one session: the output of terminals is all different."""
VARIANTS: Final = 2_000
"""Entries of one session that differ in parameters; later ones are counted with their statement."""
MORE: Final = f"more than {ITEMS} different things were said: later ones are in the recording, and only counted here"


def put(connection: Connection, row: rows.Row, found: Mapping[int, Entry]) -> None:
    """Add entries to a session's items: those that are there already are counted, the others are new, up to the limits."""
    number = row["number"]
    there = known(connection, number, found)
    fresh: dict[int, dict[str, Any]] = {}
    for name, entry in found.items():
        if name not in there and name not in fresh:
            if entry.parameters and row["variants"] >= VARIANTS:
                name, entry = digest(entry.kind, entry.text, ""), _plain(entry)
                _also(connection, number, name, there, fresh)
            if name not in there and name not in fresh and (row["items"] >= ITEMS or row["characters"] >= CHARACTERS):
                name = digest("event", MORE, "")
                entry = Entry("event", MORE, "", entry.at, entry.last, entry.sequence, entry.count)
                _also(connection, number, name, there, fresh)
        if name in there:
            _count(there[name], entry)
        elif name in fresh:
            _count(fresh[name], entry)
        else:
            row["items"] += 1
            row["characters"] += len(entry.text) + len(entry.parameters)
            row["variants"] += bool(entry.parameters)
            fresh[name] = {
                "id": itemId(number, row["items"]), "session": number, "hash": name, "kind": entry.kind, "text": entry.text,
                "parameters": entry.parameters, "at": entry.at, "last": entry.last, "count": entry.count,
                "sequence": entry.sequence,
            }  # fmt: skip
    for one in there.values():
        if one.pop("changed", False):
            connection.execute(update(items).where(items.c.id == one["id"]).values(**one))
    if fresh:
        connection.execute(insert(items), list(fresh.values()))
        writeWords(connection, list(fresh.values()))


def known(connection: Connection, number: int, names: Iterable[int]) -> dict[int, dict[str, Any]]:
    """
    @param number: the session's.
    @param names: L{hoopx.index.entries.digest}s.
    @return: those that are there: digest -> C{id}, C{at}, C{last}, C{count}.
    """
    found = {}
    wanted = list(names)
    for begin in range(0, len(wanted), 500):  # SQLite takes 999 parameters at least
        chosen = select(items.c.hash, items.c.id, items.c.at, items.c.last, items.c.count).where(
            items.c.session == number, items.c.hash.in_(wanted[begin : begin + 500])
        )
        for one in connection.execute(chosen).mappings():
            found[one["hash"]] = {name: one[name] for name in ("id", "at", "last", "count")}
    return found


def _also(connection: Connection, number: int, name: int, there: dict[int, Any], fresh: Mapping[int, Any]) -> None:
    if name not in there and name not in fresh:
        there |= known(connection, number, [name])


def _count(known: dict[str, Any], entry: Entry) -> None:
    known["count"] += entry.count
    known["at"], known["last"] = min(known["at"], entry.at), max(known["last"], entry.last)
    if "hash" not in known:
        known["changed"] = True


def _plain(entry: Entry) -> Entry:
    return Entry(entry.kind, entry.text, "", entry.at, entry.last, entry.sequence, entry.count)
