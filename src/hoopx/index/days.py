# -*- test-case-name: tests.index.test_days -*-
"""
Which recordings the index does not know yet, found without reading them.

Of each day's directory the index notes what was in it when all of it was known. A directory that has not changed since is not read.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final, Iterable, Iterator
from zlib import crc32

from sqlalchemy import Connection, delete, insert, select

from hoopx.frames import ulidTime
from hoopx.index.tables import days, sessions

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
    noted = {row["day"]: row for row in connection.execute(select(days).where(days.c.node == node)).mappings()}
    for day, path in dayPaths(data):
        for name in sorted(_unknown(connection, path, noted.get(day)), reverse=True):
            yield os.path.join(path, name)


def note(connection: Connection, node: str, day: str, path: str, now: float) -> None:
    """
    Note what is in a day's directory, as far as the index knows it: up to the first session that it does not.

    @param now: the wall clock.
    """
    try:
        changed = os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return
    names = sorted(_sessions(path))
    missing = _missing(connection, names)
    known = names if not missing else names[: names.index(min(missing))]
    row = {
        "node": node, "day": day, "newest": known[-1] if known else "", "names": _sum(known),
        "changed": 0 if missing or now - changed / 1e9 < SETTLED else changed,
    }  # fmt: skip
    connection.execute(delete(days).where(days.c.node == node, days.c.day == day))
    connection.execute(insert(days).values(**row))


def changedDays(connection: Connection, data: str, node: str) -> list[tuple[str, str]]:
    """@return: C{(day, path)} of those that have changed since they were noted, the newest first."""
    noted = dict(connection.execute(select(days.c.day, days.c.changed).where(days.c.node == node)).tuples().all())
    return [(day, path) for day, path in dayPaths(data) if noted.get(day) != _changed(path)]


def _unknown(connection: Connection, path: str, noted: Any) -> set[str]:
    changed = _changed(path)
    if noted is not None and noted["changed"] == changed:
        return set()
    names = _sessions(path)
    if noted is not None:
        newest = noted["newest"]
        if _sum(name for name in names if name <= newest) == noted["names"]:
            names = [name for name in names if name > newest]
    return _missing(connection, names)


def unknown(connection: Connection, path: str) -> set[str]:
    """@return: the sessions in a day's directory of which there is no row."""
    return _missing(connection, _sessions(path))


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
