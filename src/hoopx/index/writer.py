# -*- test-case-name: tests.index.test_writer -*-
"""
Writes the index, segment by segment. Blocks: it is the curator's, in its thread.

Each segment is one transaction, and the session's row says which comes next: a segment that is fed again changes nothing, and one
that was not fed is read before those that follow it.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Any, Callable, Final, Iterable, Mapping

from attrs import define
from sqlalchemy import Connection, Engine, delete, insert, select, update
from twisted.logger import Logger

from hoopx.errors import HoopxError
from hoopx.frames import DONE, HEAD, RECOVERED, unpack
from hoopx.index import rows, things
from hoopx.index.days import changedDays, note
from hoopx.index.entries import Entries, Entry, digest
from hoopx.index.swap import Transactions
from hoopx.index.tables import ITEM_BITS, itemId, items, labels, sessions
from hoopx.index.words import forgetWords, writeWords
from hoopx.recording.catalogue import Summary, summarise
from hoopx.state.engine import oneByOne
from hoopx.telling import heard
from hoopx.values import Frame

VIEWS: Final = 1000
"""Sessions whose reading goes on where it stopped. What is pushed out is read from its beginning when it comes again."""
BLIND: Final = "not indexed: the view of its protocol did not come to an end"
"""An item says so; its parameters say why."""
_HASH: Final = digest("event", BLIND, "")

OFTEN: Final = 256
"""Frames between two pauses: some 5 ms of a view."""
NUMBERING: Final = 0x696E646578

Read = Callable[[str, int], Iterable[Frame]]


@define
class _Reading:
    """
    Where the reading of a session is.

    @ivar next: the segment that comes next.
    """

    view: Any
    entries: Entries
    next: int = 0


class IndexWriter:
    """
    @param engine: from L{hoopx.index.store.openForWriting}.
    @param read: callable(session, number) -> the frames of one sealed segment; raises a L{HoopxError} or C{OSError} where it can
        not be read (any longer).
    @param protocols: name -> L{hoopx.interfaces.IProtocolRecorder}.
    @ivar without: protocols whose views are not asked any more, and why.
    @param full: C{False}: the sessions' own rows only (C{[recording] index = "metadata"}).
    @ivar engine: the same.
    @ivar pause: callable(): told every few milliseconds of work, while nothing is locked.
    """

    log = Logger()

    def __init__(self, engine: Engine, read: Read, protocols: Mapping[str, Any], full: bool = True) -> None:
        self.engine = engine
        self._transactions = Transactions(engine)
        self._read = read
        self._protocols = protocols
        self._full = full
        self._readings: OrderedDict[str, _Reading] = OrderedDict()
        self.without: Mapping[str, str] = {}
        self.pause: Callable[[], object] = lambda: None

    def segment(self, session: str, number: int, frames: Iterable[Frame], blind: str = "") -> bool:
        """
        Take one sealed segment. Earlier ones that are not indexed are read first.

        @param frames: of the whole segment.
        @param blind: why its view is not asked, of this segment and of those to come: an item says so, and the row that a part could
            not be read. Empty: it is.
        @return: C{False}: it was there already.
        @raise FrameError: the frames end wrongly; nothing of this segment is indexed.
        @raise sqlalchemy.exc.DBAPIError: nothing of it is indexed; try again later.
        """
        with self._transactions.begin() as connection:
            row = self._row(session, connection)
        begin = row["segments"] if row else 0
        if number < begin:
            return False
        try:
            for earlier in range(begin, number):
                self._one(session, earlier, self._earlier(session, earlier), blind)
            self._one(session, number, frames, blind)
        except BaseException:
            self._readings.pop(session, None)  # it is ahead of what is written
            raise
        return True

    def ended(self, session: str, summary: Summary) -> None:
        """
        Put down a session as the catalogue sees it: one that has no sealed segment yet, or can not be read at all. What its
        segments have said is left as it is.
        """
        with self._transactions.begin() as connection:
            row, fresh = self._own(session, connection)
            if fresh or (row["ended"] is None and summary.head):
                rows.fromSummary(row, summary)
                self._write(connection, row, fresh)
                self._label(connection, session, rows.labelsOf(summary.head))

    def reading(self) -> Any:
        """@return: context manager of a connection that changes nothing."""
        return self.engine.connect()

    def sweep(self, data: str, node: str, now: Callable[[], float] = time.time, seconds: float | None = None) -> bool:
        """
        Put down the sessions on the disk of which nothing is known yet, and note which days' directories need not be looked
        through any more. For every few seconds: then a list of sessions takes no longer than a look at the clock.

        @param data: the gateway's data directory.
        @param node: the gateway's name.
        @param seconds: for which sessions are read; C{None}: until there are no more.
        @return: C{False}: there are more.
        """
        with self.engine.connect() as connection:
            changed = list(changedDays(connection, data, node))
        until = None if seconds is None else time.monotonic() + seconds
        for day in changed:
            left = set(day.unknown)
            for session in sorted(day.unknown):
                if until is not None and time.monotonic() >= until:
                    break
                summary = summarise(os.path.join(day.path, session))
                if summary is not None:
                    self.ended(session, summary)
                    left.remove(session)
            with self._transactions.begin() as connection:
                note(connection, node, day, left, now())
            if until is not None and time.monotonic() >= until:
                return False
        return True

    def erase(self, *gone: str) -> bool:
        """
        Remove sessions: nothing is found of them any more. What is left of them in the files L{hoopx.index.traces} removes, once for
        many. Their directories must be gone before: what is on the disk and not in the index is put down again.

        @param gone: ids; those that are not there are passed over.
        @return: whether there was anything of them.
        """
        found = 0
        for session in gone:
            self._readings.pop(session, None)
            with self._transactions.begin() as connection:
                found += self._forget(connection, session)
        return found > 0

    def adopt(self, row: rows.Row, said: Mapping[str, str], own: list[dict[str, Any]], anyway: bool = True) -> bool:
        """
        Take a session over from another index, in place of what is known of it here: its row, labels and items.

        @param anyway: C{False}: only where nothing is known of it.
        @return: C{False}: more of its segments are known here, and it stays as it is.
        """
        session = row["session"]
        self._readings.pop(session, None)
        with self._transactions.begin() as connection:
            here = self._row(session, connection)
            if here is not None and not anyway and here["segments"]:
                return True
            if here is not None and here["segments"] > row["segments"]:
                return False
            self._forget(connection, session)
            number = self._made(session, connection)["number"]
            mask = (1 << ITEM_BITS) - 1
            ours = [{**thing, "session": number, "id": itemId(number, thing["id"] & mask)} for thing in own]
            self._write(connection, {**row, "number": number}, True)
            self._label(connection, session, said)
            if ours:
                connection.execute(insert(items), ours)
                writeWords(connection, ours)
        return True

    def forget(self, session: str) -> None:
        """Remove a session's rows, to be indexed again; does not care what is left in the files."""
        self._readings.pop(session, None)
        with self._transactions.begin() as connection:
            self._forget(connection, session)

    def _forget(self, connection: Connection, session: str) -> int:
        number = connection.execute(select(sessions.c.number).where(sessions.c.session == session)).scalar()
        if number is None:
            return 0
        forgetWords(connection, number)
        connection.execute(delete(items).where(items.c.session == number))
        connection.execute(delete(labels).where(labels.c.session == session))
        connection.execute(delete(sessions).where(sessions.c.session == session))
        return 1

    # One segment

    def _earlier(self, session: str, number: int) -> list[Frame] | None:
        try:
            return list(self._read(session, number))
        except (HoopxError, OSError) as error:
            self.log.warn("segment {number} of session {session} can not be read: {why}", number=number, session=session, why=str(error))
            return None

    def _one(self, session: str, number: int, frames: Iterable[Frame] | None, blind: str = "") -> None:
        """@param frames: C{None}: they can not be had."""
        whole = None if frames is None else list(frames)
        head = next((unpack(frame.payload) for frame in whole or () if frame.kind == HEAD), None)
        found: dict[int, Entry] = {}
        commands = 0
        known = self._row(session)
        protocol = (head or {}).get("protocol") or (known or {}).get("protocol")
        marked = self._isBlind(session, known)
        blind = blind or self.without.get(protocol or "", "") or (BLIND if marked else "")
        reading = self._reading(session, number, protocol) if self._full and whole is not None and not blind else None
        if reading is not None and whole is not None:
            self._feed(reading, whole)
            found, commands = reading.entries.taken()
        if blind and self._full and not marked:
            found = {_HASH: Entry("event", BLIND, blind, 0.0, 0.0, 0)}
        with self._transactions.begin() as connection:
            row, fresh = self._own(session, connection)
            if row["segments"] > number:  # somebody else was faster
                self._readings.pop(session, None)
                return
            self._tell(row, whole)
            row["partial"] = row["partial"] or bool(blind)
            row["segments"] = number + 1
            row["commands"] += commands
            things.put(connection, row, found)
            self._write(connection, row, fresh)
            if head is not None:
                self._label(connection, session, rows.labelsOf(head))
        if reading is not None:
            reading.next = number + 1
            if row["ended"] is not None:
                self._readings.pop(session, None)

    def _isBlind(self, session: str, row: rows.Row | None) -> bool:
        """Was its view given up before?"""
        if row is None or session in self._readings or not row["partial"]:
            return False
        with self.engine.connect() as connection:
            return bool(things.known(connection, row["number"], [_HASH]))

    def _tell(self, row: rows.Row, frames: list[Frame] | None) -> None:
        row["partial"] = row["partial"] or frames is None
        for frame in frames or ():
            try:
                rows.fromFrame(row, frame)
            except (ValueError, KeyError, TypeError, OverflowError):
                row["partial"] = True

    def _feed(self, reading: _Reading, frames: Iterable[Frame]) -> None:
        for number, frame in enumerate(frames):
            if not number % OFTEN:
                self.pause()
            if heard(frame):
                reading.entries.add(reading.view.feed(frame))
            if frame.kind in (DONE, RECOVERED):
                reading.entries.add(reading.view.finish())
                reading.entries.finish()

    def _reading(self, session: str, number: int, protocol: str | None) -> _Reading | None:
        """Where the reading of a session is, at the beginning of a segment; what is before is read again where it has to be."""
        found = self._readings.pop(session, None)
        if found is None or found.next != number:
            recorder = self._protocols.get(protocol or "")
            if recorder is None:
                return None
            found = _Reading(recorder.view(), Entries())
            for earlier in range(number):
                frames = self._earlier(session, earlier)
                if frames is None:  # a beginning in the middle is better than none
                    found = _Reading(recorder.view(), Entries())
                    continue
                self._feed(found, frames)
                found.entries.taken()
            found.next = number
        self._readings[session] = found
        while len(self._readings) > VIEWS:
            self._readings.popitem(last=False)
        return found

    # Rows

    def _row(self, session: str, connection: Connection | None = None) -> rows.Row | None:
        if connection is None:
            with self.engine.connect() as own:
                return self._row(session, own)
        # Two writers of one session take turns: a file's do anyway.
        chosen = select(sessions).where(sessions.c.session == session).with_for_update()
        found = connection.execute(chosen).mappings().first()
        return None if found is None else dict(found)

    def _own(self, session: str, connection: Connection) -> tuple[rows.Row, bool]:
        """@return: the session's row, which is ours until the end of the transaction, and whether it is a new one."""
        row = self._row(session, connection)
        if row is not None:
            return row, False
        made = self._made(session, connection)
        row = self._row(session, connection)  # somebody else's, who was numbering before us
        return (made, True) if row is None else (row, False)

    def _made(self, session: str, connection: Connection) -> rows.Row:
        oneByOne(connection, NUMBERING)
        row = rows.blank(session)
        number = rows.firstNumber(session)
        while connection.execute(select(sessions.c.number).where(sessions.c.number == number)).first() is not None:
            number += 1
        row["number"] = number
        return row

    def _write(self, connection: Connection, row: rows.Row, fresh: bool) -> None:
        if fresh:
            connection.execute(insert(sessions).values(**row))
        else:
            connection.execute(update(sessions).where(sessions.c.session == row["session"]).values(**row))

    def _label(self, connection: Connection, session: str, said: Mapping[str, str]) -> None:
        connection.execute(delete(labels).where(labels.c.session == session))
        if said:
            connection.execute(insert(labels), [{"session": session, "name": name, "value": value} for name, value in said.items()])
