# -*- test-case-name: tests.curator.test_bench -*-
"""
What is done with one sealed segment here: read its ends, index it, pack it, say what its leaf is. In a worker thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import frozen
from twisted.logger import Logger

from hoopx.curator.book import Book
from hoopx.curator.survey import sealed
from hoopx.curator.tail import Ends, endsOf, endsOfStream, firstOf, headOf
from hoopx.frames import MAGIC, OPEN, segmentName
from hoopx.ledger.leaf import leaf
from hoopx.recording.files import Files
from hoopx.recording.packing import NotYet, forget, pack
from hoopx.recording.stored import openSegment
from hoopx.retention.clock import Latest

CLOSED: Final = "{}: nothing in it can be read here, and what it held is not noted: the ledger can not take it"


TOLD: Final = 10_000
"""Digests that are remembered: one for each session that may live."""


class ISegmentIndex(Protocol):
    """What writes the index (L{hoopx.curator.indexing})."""

    def segment(self, session: str, path: str, number: int) -> None:
        """Take the next segment of a session, plain as it is. Twice the same one changes nothing."""


@frozen
class Step:
    """
    One segment that is packed, and not yet in the ledger.

    @ivar digest: SHA-256 of the packed file, hexadecimal; C{""}: the segment's own leaf is there already.
    @ivar leaves: C{sealed}, and after the last segment C{done} or C{recovered}.
    @ivar size: bytes of the packed file.
    """

    session: str
    path: str
    number: int
    ends: Ends
    digest: str
    size: int
    leaves: list[bytes]


class Bench:
    """
    @param wall: seconds since the epoch.
    @param index: L{ISegmentIndex}, or C{None}.
    @param latest: the latest time that a clock that is believed has said.
    @param trouble: callable(text): told, in the thread, when the index fails; the evidence does not wait for it.
    """

    log = Logger()

    def __init__(
        self,
        book: Book,
        files: Files,
        wall: Callable[[], float],
        compress: bool,
        recipients: tuple[str, ...],
        index: Any = None,
        trouble: Callable[[str], None] | None = None,
        pack: Callable[..., Any] = pack,
        latest: Latest | None = None,
    ) -> None:
        self._book = book
        self._files = files
        self._wall = wall
        self._compress = compress
        self._recipients = recipients
        self._index = index
        self._trouble = trouble
        self._pack = pack
        self._told: dict[tuple[str, int], str] = {}
        self._latest = Latest() if latest is None else latest

    def told(self, session: str, number: int, digest: str) -> None:
        """The gateway knows the digest of a segment's file: it need not be hashed again, should it stay as it is."""
        if digest and not self._compress and not self._recipients:
            if len(self._told) >= TOLD:
                del self._told[next(iter(self._told))]
            self._told[session, number] = digest

    def step(self, session: str, path: str) -> Step | None:
        """
        The next segment of a session.

        @return: C{None} when there is none by now.
        @raise OSError: the disk does not work; to be tried again.
        @raise ValueError: the segment can not be what it should be.
        """
        standing = self._book.standing(session)
        if standing.over:
            return None
        number = standing.next
        name = sealed(path, number)
        if name is None:
            return self._last(session, path, number) if number else None
        if not self._safe(path, number):
            return None
        plain = _isPlain(name)
        ends = standing.ends.get(number)
        when = os.stat(name).st_mtime
        if plain:
            ends = endsOf(name)
        elif ends is None:
            ends = self._again(name)
        head = self._head(name) if number == 0 and (plain or not self._recipients) else None
        if plain and self._index is not None:
            try:
                self._index.segment(session, name, number)
            except Exception as error:
                self.log.failure("{session}: segment {number} is not indexed", session=session, number=number)
                if self._trouble is not None:
                    self._trouble(f"{session}: segment {number} is not in the index: {type(error).__name__}: {error}")
        self._book.began(session, path, head, number, ends, when)
        try:
            packed = self._pack(name, self._compress, self._recipients, self._files, self._told.pop((session, number), ""))
        except NotYet:
            return None
        leaves = [
            leaf("sealed", self._wall(), session=session, segment=number, seal=ends.seal, object=packed.object, size=packed.size)
        ]
        if ends.ended:
            leaves.append(leaf(ends.ended, self._wall(), session=session, segments=number + 1, end=ends.end))
        return Step(session, path, number, ends, packed.object, packed.size, leaves)

    def _last(self, session: str, path: str, number: int) -> Step | None:
        """The last segment's leaf is there and the session's own is not: a power cut came between the two."""
        name = sealed(path, number - 1)
        if name is None or os.path.exists(os.path.join(path, OPEN)) or os.path.exists(os.path.join(path, segmentName(number))):
            return None
        ends = self._book.lastEnds(session, number - 1) or (endsOf(name) if _isPlain(name) else self._again(name))
        if not ends.ended:
            return None
        end = leaf(ends.ended, self._wall(), session=session, segments=number, end=ends.end)
        return Step(session, path, number, ends, "", 0, [end])

    def logged(self, step: Step, indexes: list[int]) -> None:
        """The leaves of a step are durable."""
        self._latest.at = max(self._latest.at, self._wall())
        if not step.digest:
            self._book.over(step.session, indexes[0], self._latest.at)
            return
        last = indexes[1] if len(indexes) > 1 else None
        # The end counts from the latest that any clock has said: one that was wrong keeps a session longer, never shorter.
        ended = max(self._latest.at, step.ends.wall or 0.0)
        self._book.logged(step.session, step.number, step.digest, step.size, indexes[0], last, ended)
        forget(os.path.join(step.path, segmentName(step.number)), self._files)

    def _safe(self, path: str, number: int) -> bool:
        """
        Recovery goes on from the open segment, or where that has nothing in it, from the last sealed one, which it must be able to
        read: so the open one's first frame is on the disk before its predecessor is packed.
        """
        if os.path.exists(os.path.join(path, segmentName(number + 1))):
            return True
        try:
            with open(os.path.join(path, OPEN), "rb") as file:
                firstOf(file, OPEN)
                self._files.fdatasync(file.fileno())
                return True
        except FileNotFoundError:  # it is closed: this is the last segment, or a successor was just sealed
            return True
        except ValueError:
            return False

    def _again(self, name: str) -> Ends:
        """Packed, and then the book was lost."""
        try:
            with openSegment(name) as file:
                return endsOfStream(file, os.path.basename(name))
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{CLOSED.format(os.path.basename(name))} ({error})") from None

    def _head(self, name: str) -> dict[str, Any]:
        with openSegment(name) as file:
            return headOf(file, os.path.basename(name))


def _isPlain(name: str) -> bool:
    with open(name, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
