# -*- test-case-name: tests.recording.test_verify -*-
"""
A segment, frame by frame: what exactly is wrong with it, and where.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import IO, Any

from hoopx.frames import CHECK, CLOCK, CONTINUED, DATA, DONE, EVENT, HEAD, HEADER, LINK, RECOVERED, SEAL, Decoder, FrameError, unpack
from hoopx.reading import CHUNK, Unreadable
from hoopx.recording.chain import WRONG, Chain
from hoopx.values import Frame

Wrong = Callable[[str, "int | None"], None]
"""Told what is wrong and of which frame: its number in the segment, or C{None}."""


class Walk:
    """
    @param open_: the segment is still written: its end may be torn off, and has no seal.
    @param wrong: told of everything that is wrong.
    """

    def __init__(self, chain: Chain, open_: bool, wrong: Wrong) -> None:
        self._chain = chain
        self._open = open_
        self._wrong = wrong
        self._signer = chain.public
        self._sha: Any = sha256()
        self._index = 0
        self._sealed = False

    @property
    def frames(self) -> int:
        """That were read and found good."""
        return self._index

    def run(self, file: IO[bytes], name: str) -> bool:
        """
        @param file: the plain segment, at its beginning.
        @return: C{False} when what follows can not be judged.
        """
        decoder = Decoder(name, self._chain.sequence)
        try:
            while data := file.read(CHUNK):
                raw = self._held + data
                frames = decoder.feed(data)
                if not self._frames(frames, raw, decoder):
                    return False
            error = decoder.finish()
            if error is not None and not (self._open and error.torn):
                raise error
        except FrameError as error:
            if not (self._open and decoder.frames and _blank(file, error.offset)):
                self._wrong(error.reason, error.frame)
                return False
        except Unreadable as error:
            self._wrong(str(error), decoder.frames)
            return False
        if not self._open and not self._sealed:
            self._wrong("the segment ends without a seal", self._index)
            return False
        self._chain.before = self._sha.hexdigest()
        return True

    _held = b""
    """The beginning of a frame that is not whole yet."""

    def _frames(self, frames: list[Frame], raw: bytes, decoder: Decoder) -> bool:
        """@param raw: the bytes of the frames, and of the beginning of the next one."""
        at = hashed = decoder.offset - sum(HEADER + len(frame.payload) for frame in frames)
        base = decoder.offset + decoder.buffered - len(raw)
        if not base and frames:
            hashed = 0
        for frame in frames:
            if self._sealed:
                self._wrong("a frame stands behind the seal", self._index)
                return False
            if frame.kind in (CHECK, SEAL):
                self._sha.update(raw[hashed - base : at - base])
                hashed = at
            if not (self._later(frame) if self._index else self._first(frame)):
                return False
            self._chain.sequence, self._chain.at = frame.sequence, frame.at
            self._index += 1
            at += HEADER + len(frame.payload)
        if frames:
            self._sha.update(raw[hashed - base : at - base])
            self._held = raw[at - base :]
        else:
            self._held = raw
        return True

    def _first(self, frame: Frame) -> bool:
        chain = self._chain
        try:
            chain.public = self._signer = chain.first(frame)
        except WRONG as error:
            self._wrong(_said(error), 0)
            return False
        chain.connected = chain.connected or frame.kind == LINK
        return True

    def _later(self, frame: Frame) -> bool:
        chain = self._chain
        if frame.at < chain.at and frame.kind in (DATA, EVENT, CLOCK):
            self._wrong("time runs backwards", self._index)
        if chain.ended and frame.kind != SEAL and (chain.ended, frame.kind) != (DONE, RECOVERED):
            self._wrong("a frame stands behind the end of the session", self._index)
            return False
        try:
            if frame.kind in (HEAD, LINK):
                raise ValueError("HEAD or LINK in the middle of a segment")
            if frame.kind == CHECK:
                chain.signed(self._signer, "check", frame, self._sha)
                chain.until = frame.at
            elif frame.kind == SEAL:
                if chain.signed(self._signer, "seal", frame, self._sha).get("frames") != self._index:
                    raise ValueError("the seal counts other frames than there are")
                self._sealed = True
                chain.until = frame.at
            elif frame.kind == RECOVERED:
                self._signer = chain.recovered(frame, chain.sequence)
                chain.connected = chain.connected or unpack(frame.payload).get("connected") is not False
                chain.ended = RECOVERED
            elif frame.kind == DONE:
                chain.end("done", frame)
                chain.ended = DONE
            elif frame.kind == DATA or b'"event":"connected"' in frame.payload:
                chain.connected = True
        except WRONG as error:
            self._wrong(_said(error), self._index)
            return False
        if frame.flags & ~CONTINUED:
            self._wrong(f"flags {frame.flags} are not known", self._index)
        return True


def _blank(file: IO[bytes], offset: int) -> bool:
    """Was what follows never written? Some file systems leave zeros at the end when the power goes."""
    file.seek(offset)
    while data := file.read(CHUNK):
        if data.strip(b"\0"):
            return False
    return True


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, ValueError) else f"the frame's object is not what it should be: {error}"
