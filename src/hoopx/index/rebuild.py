# -*- test-case-name: tests.index.test_rebuild -*-
"""
Makes the index again from the recordings.

A file is built aside and then takes the other's place, under a lock that every writer respects; a writer notices and goes on with
the new one. On a server, which several gateways may share, session after session is replaced.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Final, Mapping

from sqlalchemy import URL, Engine, select
from sqlalchemy.exc import DatabaseError

from hoopx.errors import HoopxError
from hoopx.frames import OPEN
from hoopx.index.store import openForReading, openForWriting
from hoopx.index.swap import LOCK, locked
from hoopx.index.tables import items, labels, sessions
from hoopx.index.words import emptyLog
from hoopx.index.writer import IndexWriter, Read
from hoopx.recording import catalogue
from hoopx.state.engine import close

ASIDE: Final = ".new"
ROUNDS: Final = 5
"""Times that what came meanwhile is read before the lock is taken: then little is left to do under it."""
UNREADABLE = (HoopxError, OSError, ValueError, KeyError, TypeError)
"""What a damaged recording raises; the last three come from JSON that says something else than it should."""


class Rebuild:
    """
    @param where: L{hoopx.index.store.address}.
    @param data: the gateway's data directory.
    @param node: the gateway's name.
    @param read: see L{IndexWriter}.
    @param full: as well.
    @param step: callable(session's path): told of each session before it is read.
    @param keep: what the present index says of sessions that can not be read here (any longer) stays.
    @ivar failed: sessions that could not be read, and why.
    """

    def __init__(
        self, where: URL, data: str, node: str, read: Read, protocols: Mapping[str, Any], full: bool = True,
        step: Callable[[str], Any] = lambda path: None, keep: bool = True,
    ) -> None:  # fmt: skip
        self.failed: dict[str, str] = {}
        self._where = where
        self._data = data
        self._node = node
        self._arguments = (read, protocols, full)
        self._step = step
        self._keep = keep

    def run(self) -> int:
        """
        @return: how many sessions there are.
        @raise hoopx.errors.ConfigurationError: the place can not be used.
        """
        return self._file() if self._where.drivername == "sqlite" else self._server()

    def _file(self) -> int:
        path = Path(str(self._where.database))
        aside = path.with_name(path.name + ASIDE)
        _remove(aside)
        engine = openForWriting(aside)
        try:
            writer = IndexWriter(engine, *self._arguments)
            for _ in range(ROUNDS):
                if not self._fill(engine, writer):
                    break
            with locked(self._where, alone=True):
                self._fill(engine, writer)
                if self._keep:
                    self._kept(engine, writer)
                with engine.connect() as connection:
                    count = len(connection.execute(select(sessions.c.session)).all())
                emptyLog(engine)
                close(engine)
                # Before the file: its log must not be taken for the new one's.
                for ending in ("-wal", "-shm"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
                os.replace(aside, path)
            return count
        finally:
            close(engine)
            _remove(aside)

    def _kept(self, engine: Engine, writer: IndexWriter) -> None:
        try:
            old = openForReading(self._where)
        except HoopxError:  # there is nothing that could be kept
            return
        try:
            with engine.connect() as connection:
                here = set(connection.execute(select(sessions.c.session)).scalars())
            with old.connect() as connection:
                for row in connection.execute(select(sessions)).mappings().all():
                    session = row["session"]
                    if session in here and session not in self.failed:
                        continue
                    said = connection.execute(select(labels.c.name, labels.c.value).where(labels.c.session == session))
                    things = connection.execute(select(items).where(items.c.session == row["number"]).order_by(items.c.id))
                    writer.adopt(dict(row), dict(said.tuples().all()), [dict(thing) for thing in things.mappings()])
        except DatabaseError:  # a damaged index is why somebody makes a new one
            return
        finally:
            close(old)

    def _server(self) -> int:
        engine = openForWriting(self._where)
        try:
            writer = IndexWriter(engine, *self._arguments)
            count = 0
            for path in catalogue.paths(self._data):
                count += 1
                self._step(path)
                self._replace(writer, path)
            writer.sweep(self._data, self._node)
            return count
        finally:
            close(engine)

    def _replace(self, writer: IndexWriter, path: str) -> None:
        """One session anew; where its recording can not be read any longer, what the index has of it stays."""
        session = os.path.basename(path)
        number = len(_sealed(path))
        if number:
            try:
                for _ in self._arguments[0](session, 0):
                    break
            except UNREADABLE as error:
                self.failed[session] = str(error)
                return
        writer.forget(session)
        self._one(writer, path, 0)

    def _fill(self, engine: Engine, writer: IndexWriter) -> int:
        """Read what is on the disk and not in the index. @return: segments read."""
        with engine.connect() as connection:
            known = dict(connection.execute(select(sessions.c.session, sessions.c.segments)).tuples().all())
        count = 0
        for path in catalogue.paths(self._data):
            session = os.path.basename(path)
            if session not in known:
                self._step(path)
            count += self._one(writer, path, known.get(session, 0))
        writer.sweep(self._data, self._node)
        return count

    def _one(self, writer: IndexWriter, path: str, begin: int) -> int:
        session = os.path.basename(path)
        if session in self.failed:
            return 0
        numbers = _sealed(path)[begin:]
        for number in numbers:
            try:
                writer.segment(session, number, self._arguments[0](session, number))
            except UNREADABLE as error:
                self.failed[session] = str(error)
                return 0
        return len(numbers)


def _sealed(path: str) -> list[int]:
    """Numbers of the sealed segments of a session, in order, without a gap."""
    try:
        found = {int(name[:-4]) for name in os.listdir(path) if name != OPEN and name.endswith(".hxr") and name[:-4].isdecimal()}
    except FileNotFoundError:
        return []
    numbers: list[int] = []
    while len(numbers) in found:
        numbers.append(len(numbers))
    return numbers


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", LOCK):
        path.with_name(path.name + ending).unlink(missing_ok=True)
