# -*- test-case-name: tests.test_reading -*-
"""
Recordings in files, read in their order: a segment, or all those of a session, sealed or still being written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import IO, Final

from hoopx.errors import HoopxError
from hoopx.frames import OPEN, START, Decoder, FrameError, segmentName, segmentNumber
from hoopx.values import Frame

CHUNK: Final = 1 << 18
"""How much of a segment is read at once."""

Opener = Callable[[str], IO[bytes]]
"""Opens a segment by its path, whichever way it is stored: L{hoopx.recording.stored.opener}. May raise L{Unreadable}; and reading may."""


class Unreadable(HoopxError):
    """What holds a segment (compression, encryption) is damaged: raised in reading, told as a L{FrameError} of the frame it hits."""


def openPlain(path: str) -> IO[bytes]:
    """An L{Opener} of plain segments."""
    return open(path, "rb")


def readOn(file: IO[bytes], decoder: Decoder, size: int = CHUNK) -> list[Frame] | None:
    """
    @param size: of the chunk, in bytes.
    @return: the frames of the next chunk, C{None} at the end.
    @raise FrameError:
    """
    try:
        data = file.read(size)
    except Unreadable as error:
        raise FrameError(decoder.segment, decoder.offset, decoder.frames, str(error)) from None
    return decoder.feed(data) if data else None


def readSegment(file: IO[bytes], segment: str = "", sequence: int = -1, torn: bool = False) -> Iterator[Frame]:
    """
    The frames of one segment.

    @param file: open for reading, at its beginning.
    @param sequence: of the last frame before this segment.
    @param torn: tolerate that the bytes end inside a frame.
    @raise FrameError: after the frames that are good.
    """
    decoder = Decoder(segment, sequence)
    while (found := readOn(file, decoder)) is not None:
        yield from found
    wrong = decoder.finish()
    if wrong is not None and not (torn and wrong.torn):
        raise wrong


def readSession(path: str | os.PathLike[str], opener: Opener = openPlain) -> Iterator[Frame]:
    """
    The frames of one session, in order; of a live one, those that are there by now. A torn tail of C{open.hxr} is left out.

    @param path: the session's directory.
    @param opener: opens segments; without one those that are compressed or encrypted can not be read.
    @raise FrameError: a segment is missing or damaged.
    """
    number = 0
    sequence = -1
    last: tuple[int, int] | None = None
    while True:
        name, file = _openSegment(path, number, opener)
        if file is None:
            if last is None:
                raise FrameError(OPEN, 0, 0, "there is no segment at all")
            return
        with file:
            status = os.fstat(file.fileno())
            here = (status.st_dev, status.st_ino)
            if here == last:  # between the two names of a segment that is just being sealed
                return
            first = True
            for frame in readSegment(file, name, sequence, torn=name == OPEN):
                if first:
                    first = False
                    said = _number(frame, name)
                    if said != number:
                        if name == OPEN and said > number and os.path.exists(os.path.join(path, segmentName(number))):
                            break  # it was sealed while we looked: read it under its new name
                        raise FrameError(name, len(START), 0, f"segment {said} stands where {number} should be")
                sequence = frame.sequence
                yield frame
            else:
                if name == OPEN and not os.path.exists(os.path.join(path, segmentName(number))):
                    return
                last = here
                number += 1


def _number(frame: Frame, name: str) -> int:
    try:
        said = segmentNumber(frame)
    except ValueError as error:
        raise FrameError(name, len(START), 0, f"LINK can not be read: {error}") from None
    if said is None:
        raise FrameError(name, len(START), 0, "the first frame is neither HEAD nor LINK")
    return said


def _openSegment(path: str | os.PathLike[str], number: int, opener: Opener) -> tuple[str, IO[bytes] | None]:
    for name in (segmentName(number), OPEN, segmentName(number)):
        try:
            return name, opener(os.path.join(path, name))
        except FileNotFoundError:
            continue
        except Unreadable as error:
            raise FrameError(name, 0, 0, str(error)) from None
    return OPEN, None
