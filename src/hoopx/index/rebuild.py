# -*- test-case-name: tests.index.test_rebuild -*-
"""
Makes the index again from the recordings.

A file is built aside and then takes the other's place, under a lock that every writer respects; a writer notices and goes on with
the new one. On a server, which several gateways may share, session after session is replaced, each when all of it has been read.

What can not be read stays as the present index has it; what was erased meanwhile does not come back.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Final, Iterator, Mapping

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError

from hoopx.errors import HoopxError
from hoopx.index.rows import Row
from hoopx.index.segments import Places
from hoopx.index.store import openForReading, openForWriting
from hoopx.index.swap import LOCK, locked
from hoopx.index.tables import items, labels, sessions
from hoopx.index.traces import Traces
from hoopx.index.words import emptyLog
from hoopx.index.writer import IndexWriter, Read
from hoopx.state.engine import close

ASIDE: Final = ".new"
ROUNDS: Final = 5
"""Times that what came meanwhile is read before the lock is taken: then little is left to do under it."""


class Rebuild:
    """
    @param where: L{hoopx.index.store.address}.
    @param data: the gateway's data directory.
    @param node: the gateway's name.
    @param read: see L{IndexWriter}.
    @param full: as well.
    @param step: callable(session's path): told of each session before it is read.
    @param keep: what the present index says of sessions that can not be read here (any longer) stays.
    @param places: L{Places}; C{None}: what is in the data directory.
    @param again: callable(): look again what is in the store, for what was erased meanwhile.
    @ivar failed: sessions that could not be read, and why.
    """

    def __init__(
        self, where: URL, data: str, node: str, read: Read, protocols: Mapping[str, Any], full: bool = True,
        step: Callable[[str], Any] = lambda path: None, keep: bool = True, places: Places | None = None,
        again: Callable[[], Any] = lambda: None,
    ) -> None:  # fmt: skip
        self.failed: dict[str, str] = {}
        self._where = where
        self._data = data
        self._node = node
        self._arguments = (read, protocols, full)
        self._step = step
        self._keep = keep
        self._places = Places(data) if places is None else places
        self._again = again
        self._adopted: dict[str, Row] = {}

    def run(self) -> int:
        """
        @return: how many sessions there are.
        @raise hoopx.errors.ConfigurationError: the place can not be used.
        """
        return self._file() if self._where.drivername == "sqlite" else self._server()

    def _file(self) -> int:
        path = Path(str(self._where.database))
        with self._scratch(path.with_name(path.name + ASIDE)) as (engine, writer):
            for _ in range(ROUNDS):
                if not self._fill(engine, writer):
                    break
            if self._keep:
                self._kept(engine, writer)
            self._again()
            with locked(self._where, alone=True):
                self._fill(engine, writer)
                if self._keep:
                    self._kept(engine, writer)
                if self._gone(engine, writer):
                    Traces(engine).remove()
                count = _count(engine)
                emptyLog(engine)
                close(engine)
                # Before the file: its log must not be taken for the new one's.
                for ending in ("-wal", "-shm"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
                os.replace(engine.url.database or "", path)
        return count - self._late()

    def _late(self) -> int:
        """What was erased while the store was looked through, and from the index that was before. @return: how many there were."""
        self._again()
        engine = openForWriting(self._where)
        try:
            gone = self._gone(engine, IndexWriter(engine, *self._arguments))
            if gone:
                Traces(engine).remove()
            return gone
        finally:
            close(engine)

    @contextmanager
    def _scratch(self, aside: Path) -> Iterator[tuple[Engine, IndexWriter]]:
        _remove(aside)
        engine = openForWriting(aside)
        try:
            yield engine, IndexWriter(engine, *self._arguments)
        finally:
            close(engine)
            _remove(aside)

    def _kept(self, engine: Engine, writer: IndexWriter) -> None:
        """Take over what the present index says of what can not be read; again, only what has changed since the last time."""
        try:
            old = openForReading(self._where)
        except HoopxError:  # there is nothing that could be kept
            return
        try:
            with engine.connect() as connection:
                here = set(connection.execute(select(sessions.c.session)).scalars()).difference(self._adopted, self.failed)
            with old.connect() as connection:
                rows = {row["session"]: dict(row) for row in connection.execute(select(sessions)).mappings()}
                for session, row in rows.items():
                    if session not in here and self._adopted.get(session) != row:
                        _copy(connection, row, writer)
                        self._adopted[session] = row
            for session in set(self._adopted).difference(rows):
                writer.forget(session)
                del self._adopted[session]
        except DatabaseError:  # a damaged index is why somebody makes a new one
            return
        finally:
            close(old)

    def _gone(self, engine: Engine, writer: IndexWriter) -> int:
        """What has been erased since it was read. @return: how many there were."""
        with engine.connect() as connection:
            found = [
                session for session in connection.execute(select(sessions.c.session)).scalars()
                if session not in self._adopted and not self._places.there(session)
            ]  # fmt: skip
        for session in found:
            writer.forget(session)
        return len(found)

    def _server(self) -> int:
        engine = openForWriting(self._where)
        try:
            writer = IndexWriter(engine, *self._arguments)
            read = []
            with self._scratch(Path(self._data) / f"index{ASIDE}") as (aside, reading):
                for path in self._places.paths():
                    read.append(os.path.basename(path))
                    self._step(path)
                    self._replace(writer, reading, aside, path)
            writer.sweep(self._data, self._node)
            self._again()
            gone = [session for session in read if session not in self.failed and not self._places.there(session)]
            writer.erase(*gone)
            return len(read) - len(gone)
        finally:
            close(engine)

    def _replace(self, writer: IndexWriter, reading: IndexWriter, aside: Engine, path: str) -> None:
        """One session anew, when all of it could be read; else what the index has of it stays."""
        session = os.path.basename(path)
        begin = 0
        try:
            for _ in range(ROUNDS):
                begin += self._one(reading, path, begin)
                with aside.connect() as connection:
                    row = connection.execute(select(sessions).where(sessions.c.session == session)).mappings().first()
                    if row is None:  # nothing of it is sealed yet
                        return
                    if _copy(connection, dict(row), writer, anyway=session not in self.failed):
                        break  # else somebody has written more of it meanwhile
            if not self._places.there(session):
                writer.forget(session)
        finally:
            reading.forget(session)

    def _fill(self, engine: Engine, writer: IndexWriter) -> int:
        """Read what is there and not in the index. @return: segments read."""
        with engine.connect() as connection:
            known = dict(connection.execute(select(sessions.c.session, sessions.c.segments)).tuples().all())
        count = 0
        for path in self._places.paths():
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
        try:
            numbers = self._places.sealed(path)[begin:]
            for number in numbers:
                writer.segment(session, number, self._arguments[0](session, number))
        except DBAPIError as error:
            if not isinstance(error, DataError):  # what the database does not take is the recording's fault, else it is its own
                raise
            self.failed[session] = str(error.orig)
            return 0
        except MemoryError:
            raise
        except Exception as error:  # whoever has written it may have made views and JSON fail in any way
            if self._places.there(session):  # and was not erased just now
                self.failed[session] = str(error) or type(error).__name__
            return 0
        return len(numbers)


def _copy(connection: Connection, row: Row, writer: IndexWriter, anyway: bool = True) -> bool:
    """
    One session from another index, at once.

    @param anyway: also where there is something of it.
    @return: C{False}: there is more of it.
    """
    said = connection.execute(select(labels.c.name, labels.c.value).where(labels.c.session == row["session"]))
    things = connection.execute(select(items).where(items.c.session == row["number"]).order_by(items.c.id))
    return writer.adopt(row, dict(said.tuples().all()), [dict(thing) for thing in things.mappings()], anyway)


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.execute(select(sessions.c.session)).all())


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", LOCK):
        path.with_name(path.name + ending).unlink(missing_ok=True)
