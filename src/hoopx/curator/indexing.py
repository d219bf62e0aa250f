# -*- test-case-name: tests.curator.test_indexing -*-
"""
Feeds the index with segments as they are sealed, while they are still plain.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import Engine, select

from hoopx.curator.settings import CuratorSettings
from hoopx.frames import segmentName
from hoopx.index.store import address, openForWriting
from hoopx.index.tables import labels, sessions
from hoopx.index.traces import Traces
from hoopx.index.writer import IndexWriter
from hoopx.reading import readSegment
from hoopx.recording.catalogue import find, paths
from hoopx.recording.stored import openSegment
from hoopx.state.address import server
from hoopx.state.engine import close
from hoopx.ulid import ulidTime
from hoopx.values import Frame

SWEEP: Final = 0.5
"""Seconds of one sweep: a segment that comes meanwhile waits for no more."""


class Indexing:
    """
    Blocks: in threads, one at a time; a sweep beside them.

    @param protocols: name -> L{hoopx.interfaces.IProtocolRecorder}.
    @param told: callable(text): for the log.
    @ivar progress: callable(): told of each segment that is read again before the one that was asked for.
    @ivar pause: see L{IndexWriter}.
    """

    def __init__(
        self, settings: CuratorSettings, protocols: Mapping[str, Any], told: Callable[[str], object] = lambda text: None
    ) -> None:
        self._told = told
        self._settings = settings
        self._protocols = protocols
        self.progress: Callable[[], None] = lambda: None
        self.pause: Callable[[], object] = lambda: None
        self._lock = Lock()
        self._engine: Engine | None = None
        self._writer: IndexWriter | None = None
        # A writer of its own, for the first sweep of a new index may take minutes, and no segment waits for that.
        self._sweeping = Lock()
        self._sweeper: IndexWriter | None = None
        self._traces: Traces | None = None

    def segment(self, session: str, path: str, number: int, blind: str = "", without: Mapping[str, str] | None = None) -> str | None:
        """
        Take the next segment of a session. Twice the same one changes nothing.

        @param path: of the segment.
        @param blind: why its view is not asked (L{IndexWriter.segment}).
        @param without: protocols whose views are not asked at all, and why.
        @return: its protocol, as far as that is known.
        @raise hoopx.errors.HoopxError: the index can not be used, or the segment not be read.
        @raise sqlalchemy.exc.DBAPIError: the database has failed.
        """
        with self._lock, openSegment(path) as file:
            writer = self._made()
            writer.without = without or {}
            writer.segment(session, number, readSegment(file, os.path.basename(path)), blind)
        known = self.head(session) if blind else None
        return None if known is None else known["protocol"]

    def erase(self, *sessions: str) -> bool:
        """Remove sessions, but for traces in the files (L{clean}). @return: whether there was anything of them."""
        with self._sweeping, self._lock:  # what a sweep has read before would come back
            return self._made().erase(*sessions)

    def clean(self) -> bool:
        """The next step of removing the traces of what was erased. @return: C{True}: nothing is left."""
        with self._lock:
            if self._traces is None:
                self._traces = Traces(self._made().engine)
            return self._traces.step()

    def head(self, session: str) -> dict[str, Any] | None:
        """@return: what the index knows of a session in the words of HEAD, or C{None}."""
        with self._lock, self._made().reading() as connection:
            row = connection.execute(select(sessions).where(sessions.c.session == session)).mappings().first()
            if row is None or row["target"] is None:
                return None
            said = connection.execute(select(labels.c.name, labels.c.value).where(labels.c.session == session))
            marks = {row.name: row.value for row in said}
        names = {name: row[name] for name in ("target", "protocol", "account")}
        return {**names, "identity": {"name": row["user"]}, "labels": marks}

    def sweep(self) -> bool:
        """
        Put down what is on the disk and of which nothing is known yet, and which days need not be looked through any more.

        @return: C{False}: there is more to do.
        """
        with self._sweeping:
            with self._lock:  # two that open it would both migrate it
                if self._sweeper is None:
                    self._sweeper = self._open()
            return self._sweeper.sweep(self._settings.data, self._settings.node, seconds=SWEEP)

    def close(self) -> None:
        """Let go of the index: what stands in its log is in the file then."""
        with self._sweeping, self._lock:
            if self._engine is not None:
                close(self._engine)
            self._engine = self._writer = self._sweeper = self._traces = None

    def _made(self) -> IndexWriter:
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _open(self) -> IndexWriter:
        if self._engine is None:
            url, data = self._settings.indexUrl, Path(self._settings.data)
            where = address(url, data) if url == "sqlite:" else server(url, "index.url")
            lost = where.drivername == "sqlite" and not os.path.exists(str(where.database)) and self._recorded()
            self._engine = openForWriting(where)
            if lost:
                self._told("there was no index, and there are recordings: what they say is found after hoopx reindex")
        writer = IndexWriter(self._engine, self._read, self._protocols, self._settings.index == "full")
        writer.pause = lambda: self.pause()
        return writer

    def _recorded(self) -> bool:
        """Are there recordings from before this start? Sessions of a new data directory may begin before its index is made."""
        since = self._settings.since
        return any(since is None or _began(path) < since for path in paths(self._settings.data))

    def _read(self, session: str, number: int) -> Iterator[Frame]:
        self.progress()
        name = os.path.join(find(self._settings.data, session), segmentName(number))
        with openSegment(name) as file:
            yield from readSegment(file, os.path.basename(name))


def _began(path: str) -> float:
    """Seconds since the epoch at which a session began, by its directory's name; of what is none, long ago."""
    try:
        return ulidTime(os.path.basename(path))
    except ValueError:
        return 0.0
