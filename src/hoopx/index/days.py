# -*- test-case-name: tests.index.test_days -*-
"""
Which recordings the index does not know yet, found without reading them.

Of each day's directory the index notes what was in it when all of it was known. A directory that has not changed since is not read.
"""

from __future__ import annotations

import os
import time
from typing import Any, Collection, Final, Iterable, Iterator, NamedTuple
from zlib import crc32

from sqlalchemy import Connection, delete, insert, select

from hoopx.index.tables import days, sessions
from hoopx.ulid import ulidTime

SETTLED: Final = 2.0
"""Seconds: a directory that has changed more recently may change again without another modification time."""
CHUNK: Final = 500
"""Ids asked for in one statement."""


def dayPaths(data: str) -> Iterator[tuple[str, str]]:
    """@return: C{YYYY/MM/DD} and path of every day's directory, the newest first."""
    top = os.path.join(data, "recordings")
    for year in _names(top):
        for month in _names(os.path.join(top, year)):
            for day in _names(os.path.join(top, year, month)):
                yield f"{year}/{month}/{day}", os.path.join(top, year, month, day)


def pathOf(data: str, session: str) -> str | None:
    """@return: a session's directory, or C{None} when it is not here (any longer)."""
    try:
        day = time.strftime("%Y/%m/%d", time.gmtime(ulidTime(session)))
    except ValueError:
        return None
    path = os.path.join(data, "recordings", day, session)
    return path if os.path.isdir(path) else None


def strangers(connection: Connection, data: str, node: str) -> Iterator[str]:
    """@return: the directories of sessions that the index does not know, the newest first."""
    for day in changedDays(connection, data, node):
        for name in sorted(day.unknown, reverse=True):
            yield os.path.join(day.path, name)


class Day(NamedTuple):
    """
    A day's directory that has changed since it was noted.

    @ivar changed: its modification time; C{names} is what was in it afterwards.
    @ivar unknown: names of which the index has no row.
    """

    day: str
    changed: int
    path: str
    names: list[str]
    unknown: set[str]


def changedDays(connection: Connection, data: str, node: str) -> Iterator[Day]:
    """@return: the newest first."""
    noted = {row["day"]: row for row in connection.execute(select(days).where(days.c.node == node)).mappings()}
    for day, path in dayPaths(data):
        before = noted.get(day)
        changed = _changed(path)
        if before is None or before["changed"] != changed:
            names = _sessions(path)
            yield Day(day, changed, path, names, _missing(connection, _later(names, before)))


def note(connection: Connection, node: str, day: Day, unknown: Collection[str], now: float) -> None:
    """
    Note what is in a day's directory, as far as the index knows it: up to the first session that it does not.

    @param unknown: those of which there is no row even now.
    @param now: the wall clock.
    """
    first = min(unknown, default=None)
    known = day.names if first is None else [name for name in day.names if name < first]
    row = {
        "node": node, "day": day.day, "newest": max(known, default=""), "names": _sum(known),
        "changed": 0 if unknown or now - day.changed / 1e9 < SETTLED else day.changed,
    }  # fmt: skip
    connection.execute(delete(days).where(days.c.node == node, days.c.day == day.day))
    connection.execute(insert(days).values(**row))


def _later(names: list[str], noted: Any) -> list[str]:
    """Those that the index need not know: all, unless what is not newer than what it has noted is what was there then."""
    if noted is None or _sum(name for name in names if name <= noted["newest"]) != noted["names"]:
        return names
    return [name for name in names if name > noted["newest"]]


def _missing(connection: Connection, names: list[str]) -> set[str]:
    """Those of which there is no row."""
    left = set(names)
    if len(names) > CHUNK:
        chosen = select(sessions.c.session).where(sessions.c.session.between(min(names), max(names)))
        return left.difference(connection.execute(chosen).scalars())
    if names:
        left.difference_update(connection.execute(select(sessions.c.session).where(sessions.c.session.in_(names))).scalars())
    return left


def _sum(names: Iterable[str]) -> int:
    """Names in any order, as one number."""
    return sum(crc32(name.encode()) for name in names)


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return -1


def _sessions(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if len(name) == 26]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _names(path: str) -> list[str]:
    try:
        return sorted((name for name in os.listdir(path) if name.isdigit()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
