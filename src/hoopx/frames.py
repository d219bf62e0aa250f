# -*- test-case-name: tests.test_frames -*-
"""
The format of recordings, version 1, and nothing else: bytes to frames and back (docs/reference/format.rst).
"""

from __future__ import annotations

import json
from struct import Struct
from typing import Any, Final
from zlib import crc32

from hoopx.errors import HoopxError
from hoopx.values import Frame

MAGIC: Final = b"\x89HXR\r\n\x1a\n"
"""First bytes of a segment. Like PNG's: a transfer as text, or one that strips the high bit, breaks it visibly."""
FORMAT: Final = 1
START: Final = MAGIC + FORMAT.to_bytes(2, "big")
"""What a plain segment of this format begins with."""

HEADER: Final = 32
LIMIT: Final = 1 << 20
"""Longest payload of one frame: what a reader must be ready to hold. Longer ones are cut, with L{CONTINUED}."""
CONTINUED: Final = 1
"""Flag: the payload goes on in the next frame of this channel and side."""

HEAD: Final = 1
LINK: Final = 2
DATA: Final = 3
EVENT: Final = 4
CLOCK: Final = 5
CHECK: Final = 6
SEAL: Final = 7
DONE: Final = 8
RECOVERED: Final = 9
KINDS: Final = {
    HEAD: "head",
    LINK: "link",
    DATA: "data",
    EVENT: "event",
    CLOCK: "clock",
    CHECK: "check",
    SEAL: "seal",
    DONE: "done",
    RECOVERED: "recovered",
}

OPEN: Final = "open.hxr"
"""Name of the segment that is being written."""

EVENTS: Final[dict[str, str]] = {
    "admitted": "The access policy let the session in: grant, account.",
    "refused": "The session or a command was refused: code, message.",
    "policy": "Which version of the rules is in force from here on: digest.",
    "verdict": "A command was judged other than allowed: verdict, guard, reason, sequence of the frame it stands in.",
    "approval": "A second person was asked, or answered: approval, state, by.",
    "credential": "A target credential was fetched: the reference, never the secret.",
    "connect": "A connection to the target is being opened: endpoint.",
    "connected": "The connection to the target stands: address.",
    "login": "The login at the target is over: method, username.",
    "tls": "A side speaks TLS from here on: side, version, cipher, peer.",
    "cancel": "A request to cancel what runs was passed to the target, or withdrew a held command.",
    "channel-open": "A channel of the session begins: what it carries.",
    "channel-close": "A channel of the session has ended.",
    "half-close": "A side has said that it will send no more: side.",
    "note": "A remark of the gateway that is worth keeping.",
    "alarm": "Something that a person should look at: alarm, why.",
    "killed": "A person or a rule ended the session: by, reason.",
    "slow-disk": "Writing this recording took too long and went through a thread from here on: milliseconds.",
    "startup": "The startup parameters the client sent, without its proof of identity.",
}
"""The catalogue of EVENT frames: name -> meaning. Whoever records a new kind adds it here."""

_header: Final = Struct(">IIQQIBBBB")
_prefix: Final = Struct(">II")
_rest: Final = Struct(">QQIBBBB")
packPrefix: Final = _prefix.pack
packRest: Final = _rest.pack


class FrameError(HoopxError):
    """
    A segment can not be read on.

    @ivar segment: its file name, or C{""}.
    @ivar offset: of the frame that is wrong, in bytes.
    @ivar frame: its number in the segment, from 0.
    @ivar torn: C{True} when the bytes simply end inside the frame.
    """

    def __init__(self, segment: str, offset: int, frame: int, reason: str, torn: bool = False) -> None:
        super().__init__(f"{segment or 'segment'}: frame {frame} at byte {offset}: {reason}")
        self.segment = segment
        self.offset = offset
        self.frame = frame
        self.reason = reason
        self.torn = torn


def encode(
    at: int, sequence: int, channel: int, kind: int, side: int = 0, origin: int = 0, flags: int = 0, payload: bytes = b""
) -> bytes:
    """
    One frame as bytes.

    @param at: nanoseconds since session start.
    @param payload: at most L{LIMIT} bytes.
    @raise ValueError: the payload is too long.
    """
    if len(payload) > LIMIT:
        raise ValueError(f"a frame's payload is at most {LIMIT} bytes, not {len(payload)}")
    body = packRest(at, sequence, channel, kind, side, origin, flags) + payload
    return packPrefix(len(payload), crc32(body)) + body


def pack(value: dict[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def unpack(payload: bytes) -> dict[str, Any]:
    """@raise ValueError: not a JSON object."""
    try:
        value = json.loads(payload)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


class Decoder:
    """
    Bytes of one segment, in any splits, to frames. Holds back at most one frame.

    @ivar offset: of the end of the last whole frame, counted from the segment's beginning.
    @ivar frames: how many whole frames were read.
    @ivar sequence: of the last whole frame.
    """

    def __init__(self, segment: str = "", sequence: int = -1) -> None:
        self.segment = segment
        self.offset = 0
        self.frames = 0
        self.sequence = sequence
        self._buffer = bytearray()
        self._error: FrameError | None = None

    @property
    def buffered(self) -> int:
        """Bytes after L{offset} that are not a whole frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """
        Take the next bytes.

        @return: the frames that are whole now.
        @raise FrameError: the bytes are no segment. Frames before the wrong one are returned first: then the next call raises,
            every further one too, and L{finish} tells.
        """
        if self._error is not None:
            raise self._error
        found: list[Frame] = []
        self._buffer += data
        try:
            self._cut(found)
        except FrameError as error:
            self._error = error
            if not found:
                raise
        return found

    def _cut(self, found: list[Frame]) -> None:
        buffer = self._buffer
        cursor = 0
        try:
            if not self.offset:
                if not buffer.startswith(START):
                    if len(buffer) < len(START) and START.startswith(buffer):
                        return
                    raise self._wrong(_whatStart(bytes(buffer[: len(START)])))
                cursor = len(START)
                self.offset = cursor
            available = len(buffer)
            while available - cursor >= HEADER:
                size, crc, at, sequence, channel, kind, side, origin, flags = _header.unpack_from(buffer, cursor)
                if size > LIMIT:
                    raise self._wrong(f"length {size} is more than {LIMIT}")
                end = cursor + HEADER + size
                if end > available:
                    return
                if crc32(memoryview(buffer)[cursor + 8 : end]) != crc:
                    raise self._wrong("checksum does not match")
                if sequence <= self.sequence:
                    raise self._wrong(f"sequence {sequence} follows {self.sequence}")
                payload = bytes(buffer[cursor + HEADER : end])
                found.append(Frame(at, sequence, channel, kind, side, origin, flags, payload))
                self.sequence = sequence
                self.offset += end - cursor
                self.frames += 1
                cursor = end
        finally:
            del buffer[:cursor]

    def finish(self) -> FrameError | None:
        """@return: C{None} when the bytes end with a whole frame; else what is wrong at L{offset}."""
        if self._error is not None:
            return self._error
        if self._buffer or not self.offset:
            return self._wrong(f"{len(self._buffer)} bytes of an unfinished frame", torn=True)
        return None

    def _wrong(self, reason: str, torn: bool = False) -> FrameError:
        return FrameError(self.segment, self.offset, self.frames, reason, torn)


def _whatStart(begin: bytes) -> str:
    if begin.startswith(MAGIC):
        found = int.from_bytes(begin[len(MAGIC) :], "big")
        return f"format {found} is not known to this version of hoopx, which reads {FORMAT}: use the version that wrote it, or a newer one"
    if begin.startswith(b"\x28\xb5\x2f\xfd"):
        return "the segment is compressed (zstd)"
    if begin.startswith(b"age-encr"):
        return "the segment is encrypted (age)"
    return "not a segment of a recording"


def segmentName(number: int) -> str:
    """File name of a sealed segment."""
    return f"{number:06d}.hxr"


def segmentNumber(frame: Frame) -> int | None:
    """The number that a segment's first frame says, or C{None} when it is no first frame."""
    if frame.kind == HEAD:
        return 0
    if frame.kind == LINK:
        number = unpack(frame.payload).get("segment")
        return number if isinstance(number, int) else None
    return None
