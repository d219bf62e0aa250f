# -*- test-case-name: tests.recording.test_unmasked -*-
"""
A session as it would have been without masks: its originals in the place of what was sent instead of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hoopx.frames import CONTINUED, DATA, DONE, RECOVERED
from hoopx.recording.originals import OriginalsReader
from hoopx.values import ATTEMPTED, ORIGINAL, PASSED, Frame

HELD: Final = 64 * 1024 * 1024
"""Bytes of originals of which it is not told yet what became of them: four times the largest unit of a protocol. Behind more than that
they are taken for forwarded."""


class Unmasked:
    """
    Give it the frames of one session in order.

    @param head: HEAD's object.
    @param identities: from L{hoopx.recording.auditors.identities}.
    @raise hoopx.errors.HoopxError: like L{OriginalsReader}.
    """

    def __init__(self, head: Mapping[str, Any], identities: Sequence[Any]) -> None:
        self._reader = OriginalsReader(dict(head), identities)
        self._waiting: dict[tuple[int, int], deque[Frame]] = {}
        self._dropped: set[tuple[int, int]] = set()
        self._held = 0

    def feed(self, frame: Frame) -> list[Frame]:
        """
        @return: the frame, or what stands in its place: originals that were masked as PASSED, those of which nothing was sent as ATTEMPTED.
        @raise hoopx.reading.Unreadable: an original is not what was sealed in its place.
        """
        if frame.kind in (DONE, RECOVERED):
            return [*self.finish(), frame]
        if frame.kind != DATA:
            return [frame]
        flow = (frame.channel, frame.side)
        if frame.origin == ORIGINAL:
            return self._hold(flow, frame._replace(payload=self._reader.open(frame)))
        found = self._became(flow, ATTEMPTED if frame.origin == ATTEMPTED else PASSED)
        if found:
            self._dropped.add(flow)
        if flow in self._dropped:
            if not frame.flags & CONTINUED:
                self._dropped.discard(flow)
            return found
        return [frame]

    def finish(self) -> list[Frame]:
        """@return: originals at whose recording the gateway has died: they were not forwarded."""
        return [frame for flow in list(self._waiting) for frame in self._became(flow, ATTEMPTED)]

    def _hold(self, flow: tuple[int, int], frame: Frame) -> list[Frame]:
        waiting = self._waiting.setdefault(flow, deque())
        waiting.append(frame)
        self._held += len(frame.payload)
        found = []
        while self._held > HELD and waiting:
            found.append(waiting.popleft()._replace(origin=PASSED))
            self._held -= len(found[-1].payload)
        return found

    def _became(self, flow: tuple[int, int], origin: int) -> list[Frame]:
        found = [frame._replace(origin=origin) for frame in self._waiting.pop(flow, ())]
        self._held -= sum(len(frame.payload) for frame in found)
        return found


def unmasked(frames: Iterable[Frame], head: Mapping[str, Any], identities: Sequence[Any]) -> Iterator[Frame]:
    """
    @param frames: of one session, in order.
    @raise hoopx.errors.HoopxError: as L{Unmasked} does.
    """
    session = Unmasked(head, identities)
    for frame in frames:
        yield from session.feed(frame)
    yield from session.finish()
