# -*- test-case-name: tests.index.test_listing -*-
"""
Lists sessions from the index, and from the disk what the index does not know or what may have gone on since. So the answer is what
the disk alone would have said, only sooner.
"""

from __future__ import annotations

import os
from heapq import merge
from itertools import islice
from typing import Any, Callable, Final, Iterator, Sequence

from sqlalchemy import Connection, Engine, select

from hoopx.index.days import pathOf, strangers
from hoopx.index.filters import conditions
from hoopx.index.tables import sessions
from hoopx.index.wanted import ANY, Filters, begun, matches
from hoopx.reading import Opener
from hoopx.recording import catalogue
from hoopx.recording.stored import openSegment

Line = dict[str, Any]

COLUMNS: Final = (
    "session", "user", "kind", "actor", "target", "account", "protocol", "client", "started", "ended", "state", "reason",
    "bytes_from_client", "bytes_from_target",
)  # fmt: skip
"""As C{hoopx sessions list --json} prints them."""

BATCH: Final = 500
"""Rows that are fetched at once."""


def listing(
    engine: Engine, data: str, node: str, filters: Filters = ANY, limit: int | None = None, skip: int = 0,
    opener: Opener = openSegment,
) -> list[Line]:  # fmt: skip
    """
    Sessions, newest first.

    @param data: the gateway's data directory.
    @param node: the gateway's name.
    @param limit: at most so many; C{None} for all.
    @param skip: leave out the newest ones.
    @param opener: opens segments of what has to be read on the disk.
    """
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":  # which always shows a transaction what there was at its first question
            connection.execution_options(isolation_level="REPEATABLE READ")
        fresh = list(_fresh(connection, data, node, filters, opener))
        begin = max(0, skip - len(fresh))
        settled = _settled(connection, filters, begin, None if limit is None else limit + len(fresh))
        # Both sides are in order. What is before `begin` is settled rows alone, so that places only move by it.
        places = merge(((line["session"], line) for line in settled), fresh, key=lambda place: place[0], reverse=True)
        found = (line() if callable(line) else line for _, line in islice(places, skip - begin, None))
        return list(found if limit is None else islice(found, limit))


def _settled(connection: Connection, filters: Filters, begin: int, limit: int | None) -> Iterator[Line]:
    """Sessions that have ended: nothing can have changed."""
    wanted = conditions(filters, connection)
    # In two steps: what is skipped is counted in an index, and its rows are not read.
    page = select(sessions.c.session).where(sessions.c.ended.is_not(None), *wanted)
    page = page.order_by(sessions.c.session.desc()).offset(begin).limit(limit)
    chosen = select(*(sessions.c[name] for name in COLUMNS)).where(sessions.c.session.in_(page))
    chosen = chosen.order_by(sessions.c.session.desc())
    for row in connection.execution_options(yield_per=BATCH).execute(chosen).mappings():
        yield dict(row)


def _fresh(
    connection: Connection, data: str, node: str, filters: Filters, opener: Opener
) -> Sequence[tuple[str, Line | Callable[[], Line]]]:
    """Sessions that lived when they were indexed, and those that are not indexed: id, and the line or what reads it from the disk."""
    found: list[tuple[str, Line | Callable[[], Line]]] = []
    wanted = conditions(filters.anyState(), connection)
    chosen = select(sessions.c.node, *(sessions.c[name] for name in COLUMNS)).where(sessions.c.ended.is_(None), *wanted)
    for row in connection.execute(chosen).mappings():
        line = {name: row[name] for name in COLUMNS}
        read = _Reader(data, line, opener)
        if not filters.states:
            found.append((line["session"], read))
        elif (now := read())["state"] in filters.states:
            found.append((line["session"], now))
    for path in strangers(connection, data, node):
        if begun(filters, os.path.basename(path)):
            summary = catalogue.summarise(path, opener)
            if summary is not None and matches(filters, summary):
                found.append((summary.session, summary.line()))
    return sorted(found, key=lambda place: place[0], reverse=True)


class _Reader:
    """Reads what has become of a session that lived, when somebody asks."""

    def __init__(self, data: str, line: Line, opener: Opener) -> None:
        self._data = data
        self._opener = opener
        self._line = line

    def __call__(self) -> Line:
        path = pathOf(self._data, self._line["session"])
        summary = None if path is None else catalogue.summarise(path, self._opener)
        return summary.line() if summary is not None and summary.head else self._line
