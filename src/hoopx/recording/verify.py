# -*- test-case-name: tests.recording.test_verify -*-
"""
Whether a recording is what was written: the chain of LINK, CHECK and SEAL, with public keys alone.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Any

from attrs import Factory, define, frozen

from hoopx.frames import (
    CHECK,
    CLOCK,
    CONTINUED,
    DATA,
    DONE,
    EVENT,
    HEAD,
    LINK,
    OPEN,
    RECOVERED,
    SEAL,
    START,
    FrameError,
    Opener,
    Unreadable,
    encode,
    readSegment,
    segmentName,
    unpack,
)
from hoopx.recording.locks import isLocked
from hoopx.recording.signing import verify
from hoopx.recording.stored import openSegment
from hoopx.values import Frame


@frozen
class Problem:
    """
    @ivar segment: file name.
    @ivar frame: number of the frame in the segment, from 0, or C{None} when it is the segment itself.
    """

    segment: str
    frame: int | None
    reason: str

    def __str__(self) -> str:
        return self.segment + (f": frame {self.frame}" if self.frame is not None else "") + f": {self.reason}"


@define
class Verdict:
    """
    @ivar state: C{"complete"}, C{"recovered"}, C{"live"}, C{"interrupted"} (not recovered yet), C{"never connected"} or
        C{"TAMPERED"}.
    @ivar problems: what is wrong; empty unless tampered.
    @ivar until: nanoseconds since session start of the last frame that a signature covers.
    @ivar key: the session's public key, from HEAD, to be compared with where else it was published.
    """

    session: str
    state: str = "live"
    problems: list[Problem] = Factory(list)
    until: int = 0
    key: str = ""


class _Reader:
    """One session, segment by segment."""

    def __init__(self, path: str, ledger: bytes | None, public: bytes | None, opener: Opener) -> None:
        self.opener = opener
        self.session = os.path.basename(os.path.normpath(path))
        self.path = path
        self.ledger = ledger
        self.public = public
        self.pinned = public is not None
        self.verdict = Verdict(self.session)
        self.problems: list[Problem] = self.verdict.problems
        self.sequence = -1
        self.before = ""
        self.number = 0
        self.name = ""
        self.index = 0
        self.sha: Any = None
        self.signer: bytes | None = None
        self.ended = 0
        self.sealed = False
        self.connected = False
        self.at = 0

    def wrong(self, reason: str, frame: int | None = None) -> None:
        self.problems.append(Problem(self.name, frame, reason))

    def run(self) -> Verdict:
        names = sorted(os.listdir(self.path))
        numbered = [name for name in names if name != OPEN and name.endswith(".hxr") and name[:-4].isdigit()]
        for self.number, self.name in enumerate(numbered):
            if self.name != segmentName(self.number):
                self.name = segmentName(self.number)
                self.wrong("the segment is missing")
                return self.end(False)
            if self.ended:
                self.wrong("a segment stands behind the end of the session")
                return self.end(False)
            if not self.segment(os.path.join(self.path, self.name), False):
                return self.end(False)
        name = os.path.join(self.path, OPEN)
        if OPEN in names and not (numbered and os.path.samefile(name, os.path.join(self.path, numbered[-1]))):
            self.name, self.number = OPEN, len(numbered)
            if self.ended:
                self.wrong("a segment stands behind the end of the session")
                return self.end(False)
            self.segment(name, True)
            return self.end(True)
        if not numbered:
            self.name = OPEN
            self.wrong("there is no segment")
        elif not self.ended:
            self.wrong("the recording stops here, without an end")
        return self.end(False)

    def end(self, open: bool) -> Verdict:
        verdict = self.verdict
        if self.problems:
            verdict.state = "TAMPERED"
        elif open:
            verdict.state = "live" if isLocked(os.path.join(self.path, OPEN)) else "interrupted"
        elif self.ended == RECOVERED:
            verdict.state = "recovered" if self.connected else "never connected"
        else:
            verdict.state = "complete"
        return verdict

    def segment(self, path: str, open_: bool) -> bool:
        """@return: C{False} when what follows can not be judged."""
        self.sha = sha256(START)
        self.index = 0
        self.sealed = False
        self.signer = self.public
        first = True
        try:
            with self.opener(path) as file:
                for frame in readSegment(file, self.name, self.sequence, torn=open_):
                    if self.sealed:
                        self.wrong("a frame stands behind the seal", self.index)
                        return False
                    if not (self.first(frame) if first else self.later(frame)):
                        return False
                    first = False
                    self.sha.update(encode(*frame))
                    self.sequence, self.at = frame.sequence, frame.at
                    self.index += 1
        except FrameError as error:
            self.wrong(error.reason, error.frame)
            return False
        except Unreadable as error:
            self.wrong(str(error))
            return False
        if not open_ and not self.sealed:
            self.wrong("the segment ends without a seal", self.index)
            return False
        self.before = self.sha.hexdigest()
        return True

    def first(self, frame: Frame) -> bool:
        try:
            value = unpack(frame.payload)
            if frame.kind != (LINK if self.number else HEAD):
                raise ValueError("the segment begins without " + ("LINK" if self.number else "HEAD"))
            if value.get("session") != self.session:
                raise ValueError(f"the segment is of another session: {value.get('session')}")
            if self.number:
                if value.get("segment") != self.number:
                    raise ValueError(f"the segment is number {value.get('segment')}")
                if value.get("sha256") != self.before:
                    raise ValueError("LINK does not match the segment before")
                self.connected = True
                return True
            key = bytes.fromhex(value["key"])
            if self.pinned and key != self.public:
                raise ValueError("HEAD names another key than the session's")
            self.public = self.signer = key
            self.verdict.key = value["key"]
        except (ValueError, KeyError, TypeError) as error:
            self.wrong(str(error), 0)
            return False
        return True

    def later(self, frame: Frame) -> bool:
        if frame.at < self.at and frame.kind in (DATA, EVENT, CLOCK):
            self.wrong("time runs backwards", self.index)
        if self.ended and frame.kind != SEAL and (self.ended, frame.kind) != (DONE, RECOVERED):
            self.wrong("a frame stands behind the end of the session", self.index)
            return False
        try:
            if frame.kind in (HEAD, LINK):
                raise ValueError("HEAD or LINK in the middle of a segment")
            if frame.kind == CHECK:
                self.signed("check", frame)
                self.verdict.until = frame.at
            elif frame.kind == SEAL:
                if self.signed("seal", frame).get("frames") != self.index:
                    raise ValueError("the seal counts other frames than there are")
                self.sealed = True
                self.verdict.until = frame.at
            elif frame.kind == RECOVERED:
                self.recovered(frame)
            elif frame.kind == DONE:
                self.ended = DONE
            elif frame.kind == DATA or b'"event":"connected"' in frame.payload:
                self.connected = True
        except (ValueError, KeyError, TypeError) as error:
            self.wrong(str(error), self.index)
            return False
        if frame.flags & ~CONTINUED:
            self.wrong(f"flags {frame.flags} are not known", self.index)
        return True

    def signed(self, kind: str, frame: Frame) -> dict[str, Any]:
        assert self.signer is not None
        value = verify(self.signer, kind, frame.payload)
        if value.get("session") != self.session or value.get("segment") != self.number:
            raise ValueError("the signature is of another session or segment")
        if value.get("sha256") != self.sha.hexdigest():
            raise ValueError("the hash does not match what stands before")
        return value

    def recovered(self, frame: Frame) -> None:
        key = bytes.fromhex(unpack(frame.payload)["key"])
        if self.ledger is not None and key != self.ledger:
            raise ValueError("RECOVERED names another key than the ledger's")
        value = verify(key, "recovered", frame.payload)
        if value.get("session") != self.session or value.get("segment") != self.number or value.get("last") != self.sequence:
            raise ValueError("RECOVERED is of another session, segment or frame")
        self.signer = key
        self.ended = RECOVERED


def verifySession(
    path: str, ledger: bytes | None = None, public: bytes | None = None, opener: Opener = openSegment
) -> Verdict:
    """
    Read a recording and check everything that can be checked offline.

    @param path: the session's directory.
    @param ledger: the ledger's public key (32 bytes); without it a RECOVERED frame proves only itself.
    @param public: the session's public key from elsewhere (the ledger); without it HEAD's own is believed.
    @param opener: opens segments, with the auditor's identities when they are encrypted.
    @raise hoopx.recording.stored.Encrypted: one is encrypted, and the opener has no identity for it.
    """
    return _Reader(path, ledger, public, opener).run()
