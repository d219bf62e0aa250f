# -*- test-case-name: tests.recording.test_outline -*-
"""
A sealed segment, fast: hashed in bulk, from frame to frame by their lengths alone. Whatever is unusual is left to L{walk}.

That is enough, for the seal's signature covers every byte: no checksum, sequence or time in the segment can be other than when it
was signed. By how the frames lie the seal is found for certain: what only looks like one, inside a payload, is passed over.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import IO, Any, Final, NamedTuple

from hoopx.frames import CHECK, DONE, HEADER, LIMIT, RECOVERED, SEAL, START, Decoder, FrameError, unpack
from hoopx.recording.chain import WRONG, Chain
from hoopx.values import Frame

BLOCK: Final = 1 << 20
"""Bytes read and hashed at once: as much as stays in the processor's cache."""
LONG: Final = 1 << 18
"""A first or last frame that is longer is unusual. They must fit into a block."""

_hop: Final = Struct(">I24xB").unpack_from


class Outline(NamedTuple):
    """
    @ivar first: HEAD or LINK.
    @ivar last: DONE and RECOVERED, if they are there, and SEAL: the last frames.
    @ivar frames: how many stand before SEAL.
    @ivar sha: C{hashlib} object over everything before SEAL.
    @ivar whole: SHA-256 of the segment, hexadecimal.
    """

    first: Frame
    last: list[Frame]
    frames: int
    sha: Any
    whole: str


def outline(file: IO[bytes]) -> Outline | None:
    """
    @param file: a plain segment, at its beginning.
    @return: C{None} when it is not what a sealed segment should be, or not usual.
    """
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    sha = sha256()
    first: Frame | None = None
    last: list[Frame] = []
    sealed: Any = None
    begun = False
    frames = have = skip = 0
    at = len(START)
    while True:
        read = file.readinto(view[have:])  # type: ignore[attr-defined]
        if not read:
            break
        have += read
        if sealed is not None or have < len(START):
            return None  # behind the seal; or no segment
        if not begun and not buffer.startswith(START):
            return None
        begun = True
        if skip >= have:
            sha.update(view[:have])
            skip -= have
            have = 0
            continue
        at, skip = at + skip, 0
        stop = have - HEADER
        while at <= stop:
            size, kind = _hop(buffer, at)
            end = at + HEADER + size
            if kind > CHECK or not frames:
                if size > LONG:
                    return None
                if end > have:
                    break  # whole in the next block
                frame = _frame(view[at:end])
                if frame is None:
                    return None
                if not frames:
                    first = frame
                else:
                    last.append(frame)
                if kind == SEAL:
                    sha.update(view[:at])
                    sealed = sha.copy()
                    sha.update(view[at:have])
                    break
            elif last or size > LIMIT:
                return None  # an end in the middle
            frames += 1
            at = end
        if sealed is not None:
            if end != have:
                return None
            have = 0
            continue
        done = min(at, have)
        sha.update(view[:done])
        skip = at - done
        view[: have - done] = bytes(view[done:have])
        have -= done
        at = 0
    if sealed is None or first is None:
        return None
    return Outline(first, last, frames, sealed, sha.hexdigest())


def stands(file: IO[bytes], at: int) -> bool:
    """
    Does a frame begin there? Only the way from the first frame on tells: a payload can end with bytes that look like a frame, checksum and
    all, and it is the client or the target that chooses them.

    @param file: a plain segment, at its beginning.
    @param at: offset in it.
    """
    position, base, rest = len(START), 0, b""
    while position < at:
        read = file.read(BLOCK)
        if not read:
            return False
        data = rest + read
        stop = base + len(data) - 4
        while position < at and position <= stop:
            position += HEADER + int.from_bytes(data[position - base : position - base + 4], "big")
        passed = min(position - base, len(data))
        rest = data[passed:]
        base += passed
    return position == at


def _frame(data: memoryview) -> Frame | None:
    try:
        (frame,) = Decoder().feed(START + bytes(data))
    except (FrameError, ValueError):
        return None
    return frame


def fits(chain: Chain, found: Outline) -> bool:
    """
    Go on along the chain, if the segment fits.

    @return: C{False}: it does not, and nothing has changed.
    """
    kinds = [frame.kind for frame in found.last]
    if kinds not in ([SEAL], [DONE, SEAL], [RECOVERED, SEAL], [DONE, RECOVERED, SEAL]) or found.first.sequence <= chain.sequence:
        return False
    seal = found.last[-1]
    try:
        public = signer = chain.first(found.first)
        for frame in found.last[:-1]:
            if frame.kind == RECOVERED:
                signer = chain.recovered(frame, None)
            else:
                chain.end("done", frame)
        if chain.signed(signer, "seal", seal, found.sha).get("frames") != found.frames:
            return False
        connected = chain.connected or chain.number > 0
        if len(kinds) > 1:
            connected = connected or _connected(found.last[-2])
    except WRONG:
        return False
    if not connected and chain.attested is not None and chain.attested.key is None:
        return False  # the ledger has no opening of it: whether nobody spoke is seen from the frames, and not from what DONE says
    chain.public = public
    chain.connected = connected
    chain.ended = kinds[-2] if len(kinds) > 1 else 0
    chain.sequence = seal.sequence
    chain.at = chain.until = seal.at
    chain.before = found.whole
    return True


def _connected(end: Frame) -> bool:
    """Was the target reached? Of a session that was refused before, DONE counts no byte of either side."""
    said = unpack(end.payload)
    if end.kind == DONE:
        return any(said.get(name) for name in ("frames_from_client", "frames_from_target"))
    return said.get("connected") is not False
