# -*- test-case-name: tests.recording.test_recovery -*-
"""
What stands in one segment, however it ends.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Any, Final

from attrs import Factory, define

from hoopx.frames import DATA, DONE, EVENT, LINK, RECOVERED, START, Decoder, FrameError, encode, segmentNumber, unpack
from hoopx.reading import CHUNK, Opener, readSegment
from hoopx.values import CLIENT, MADE, TARGET, Frame

TOTALS: Final = ("bytes_from_client", "bytes_from_target", "frames_from_client", "frames_from_target")
"""What LINK, DONE and RECOVERED say of the session so far: DATA of origin passed or attempted."""


@define
class Scan:
    """
    @ivar number: of the segment.
    @ivar end: where the last whole frame ends.
    @ivar size: of the file.
    @ivar sequence: of the last whole frame; C{at} and C{last}, its time and kind.
    @ivar torn: what follows C{end} is the beginning of a frame, or was never written (zeros).
    @ivar ended: the kind of the frame that ends the session, DONE or RECOVERED, or 0.
    @ivar connected: the target was reached.
    @ivar totals: of the session up to C{end}.
    @ivar digest: C{hashlib} object over the file up to C{end}.
    """

    number: int | None = None
    end: int = 0
    size: int = 0
    frames: int = 0
    sequence: int = 0
    at: int = 0
    torn: bool = True
    last: int = 0
    ended: int = 0
    connected: bool = False
    totals: dict[str, int] = Factory(lambda: dict.fromkeys(TOTALS, 0))
    digest: Any = Factory(sha256)


def scanSealed(path: str, opener: Opener) -> Scan:
    """
    Like L{scanSegment}, for a sealed segment however it is stored.

    @raise hoopx.frames.FrameError: it is damaged.
    @raise hoopx.errors.HoopxError: C{opener} can not open it.
    """
    scan = Scan(torn=False)
    with opener(path) as file:
        scan.digest.update(START)
        for frame in readSegment(file, os.path.basename(path)):
            _count(scan, frame)
            scan.digest.update(encode(*frame))
    return scan


def scanSegment(path: str) -> Scan:
    """
    Read a plain segment as far as it is good.

    @raise ValueError: its first frame is whole and is none that a segment begins with.
    """
    scan = Scan(size=os.path.getsize(path))
    decoder = Decoder(os.path.basename(path))
    wrong: FrameError | None = None
    with open(path, "rb") as file:
        while wrong is None and (data := file.read(CHUNK)):
            try:
                frames = decoder.feed(data)
            except FrameError as error:
                wrong = error
                break
            for frame in frames:
                _count(scan, frame)
        wrong = decoder.finish() if decoder.frames or wrong is None else wrong
        scan.end = decoder.offset if decoder.frames else 0
        scan.frames = decoder.frames
        file.seek(scan.end)
        scan.torn = wrong is None or wrong.torn or not file.read().strip(b"\0")
        file.seek(0)
        left = scan.end
        while left:
            data = file.read(min(left, CHUNK))
            scan.digest.update(data)
            left -= len(data)
    return scan


def _count(scan: Scan, frame: Frame) -> None:
    if not scan.frames:
        scan.frames = 1
        scan.number = segmentNumber(frame)
        if scan.number is None:
            raise ValueError("the first frame is neither HEAD nor LINK")
        value = unpack(frame.payload)
        if frame.kind == LINK:
            scan.connected = True
            scan.totals = {name: int(value[name]) for name in TOTALS}
    if frame.kind == DATA and frame.origin < MADE and frame.side in (CLIENT, TARGET):
        side = "client" if frame.side == CLIENT else "target"
        scan.totals[f"bytes_from_{side}"] += len(frame.payload)
        scan.totals[f"frames_from_{side}"] += 1
    if frame.kind == DATA or (frame.kind == EVENT and b'"event":"connected"' in frame.payload):
        scan.connected = True
    if frame.kind in (DONE, RECOVERED):
        scan.ended = frame.kind
    scan.last, scan.sequence, scan.at = frame.kind, frame.sequence, frame.at
