# -*- test-case-name: tests.curator.test_tail -*-
"""
How a sealed segment begins and ends: what a leaf says of it, without reading all that is between.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import IO, Any, Final
from zlib import crc32

from attrs import frozen

from hoopx.frames import DONE, HEAD, HEADER, LINK, RECOVERED, SEAL, START, Decoder, FrameError, unpack
from hoopx.heading import believed
from hoopx.reading import readSegment
from hoopx.recording.outline import stands
from hoopx.values import Frame

TAIL: Final = 16 * 1024
"""Bytes at the end that hold SEAL, and DONE or RECOVERED before it: each is JSON of a few hundred bytes."""
FIRST: Final = (1 << 20) + HEADER + len(START)
"""Bytes that the first frame has at the most."""


@frozen
class Ends:
    """
    @ivar seal: SHA-256 of the SEAL frame's payload, hexadecimal.
    @ivar ended: C{"done"}, C{"recovered"}, or C{""} when the session goes on.
    @ivar end: SHA-256 of the DONE or RECOVERED frame's payload, hexadecimal, or C{""}.
    @ivar wall: seconds since the epoch that this frame says, or C{None}.
    """

    seal: str
    ended: str = ""
    end: str = ""
    wall: float | None = None


def endsOf(path: str) -> Ends:
    """
    @param path: of a plain segment.
    @raise ValueError: it is not sealed.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = file.seek(max(0, size - TAIL))
        data = file.read(TAIL)
        last, at = _frameBefore(data, len(data))
        if last is None or last.kind != SEAL:
            raise ValueError(f"{os.path.basename(path)} is not sealed")
        before, at = _frameBefore(data, at)
        if before is not None and before.kind in (DONE, RECOVERED):
            file.seek(0)
            if not stands(file, offset + at):
                before = None  # the end of what somebody has sent: the session is not over because he says so
    return _ends(last, before)


def endsOfStream(file: IO[bytes], segment: str) -> Ends:
    """
    The same of any segment that can be read, from its beginning.

    @raise ValueError: it is not sealed, or damaged.
    """
    before: Frame | None = None
    last: Frame | None = None
    try:
        for frame in readSegment(file, segment):
            before, last = last, frame
    except FrameError as error:
        raise ValueError(str(error)) from None
    if last is None or last.kind != SEAL:
        raise ValueError(f"{segment} is not sealed")
    return _ends(last, before)


def _ends(seal: Frame, before: Frame | None) -> Ends:
    digest = sha256(seal.payload).hexdigest()
    if before is None or before.kind not in (DONE, RECOVERED):
        return Ends(digest)
    wall = unpack(before.payload).get("wall")
    return Ends(
        digest,
        "done" if before.kind == DONE else "recovered",
        sha256(before.payload).hexdigest(),
        float(wall) if isinstance(wall, (int, float)) else None,
    )


def _frameBefore(data: bytes, end: int) -> tuple[Frame | None, int]:
    """The frame that ends at C{end}, found from behind: the place whose length and checksum fit. @return: and where it begins."""
    view = memoryview(data)
    for at in range(end - HEADER, -1, -1):
        if int.from_bytes(view[at : at + 4], "big") != end - at - HEADER:
            continue
        if crc32(view[at + 8 : end]) != int.from_bytes(view[at + 4 : at + 8], "big"):
            continue
        decoder = Decoder()
        return decoder.feed(START + data[at:end])[0], at
    return None, end


def firstOf(file: IO[bytes], segment: str) -> Frame:
    """
    @param file: a plain segment, at its beginning.
    @return: HEAD or LINK.
    @raise ValueError: there is none.
    """
    decoder = Decoder(segment)
    taken = 0
    try:
        while taken < FIRST and (data := file.read(8192)):
            taken += len(data)
            found = decoder.feed(data)
            if found:
                if found[0].kind not in (HEAD, LINK):
                    break
                return found[0]
    except FrameError as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"{segment} does not begin with HEAD or LINK")


def headOf(file: IO[bytes], segment: str) -> dict[str, Any]:
    """@return: the HEAD frame's object. @raise ValueError: there is none, or it makes no sense."""
    frame = firstOf(file, segment)
    if frame.kind != HEAD:
        raise ValueError(f"{segment} does not begin with HEAD")
    return believed(unpack(frame.payload))
