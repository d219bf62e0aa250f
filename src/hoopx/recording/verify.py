# -*- test-case-name: tests.recording.test_verify -*-
"""
Whether a recording is what was written: the chain of LINK, CHECK and SEAL, and what a ledger says of it, with public keys alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from hashlib import sha256
from stat import S_ISLNK
from typing import IO, Final

from attrs import Factory, define, frozen

from hoopx.frames import DONE, OPEN, RECOVERED, FrameError, segmentName, segmentNumber
from hoopx.reading import Opener, Unreadable, readSegment
from hoopx.recording.chain import WRONG, Attested, Chain
from hoopx.recording.files import irregular
from hoopx.recording.locks import isLocked
from hoopx.recording.outline import fits, outline
from hoopx.recording.segment import NEXT
from hoopx.recording.stored import AGE, PLAIN, SNIFF, Encrypted, kindOf, openSegment
from hoopx.recording.walk import Walk

STOPS: Final = "the recording stops here, without an end"
AGAIN: Final = 5
"""How often a session that changes under our hands (sealed, packed, ended) is read anew before what was found is believed."""


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
    @ivar state: C{"complete"}, C{"recovered"}, C{"live"}, C{"interrupted"} (not recovered yet), C{"never connected"},
        C{"TAMPERED"}, C{"missing"} (the ledger has it, the folder has not), C{"erased"} (and the ledger says so), or
        C{"unchecked"} (it can not be read; or it is encrypted, and neither an identity nor a ledger tells what it should be).
    @ivar problems: what is wrong; empty unless tampered, missing or unchecked.
    @ivar until: nanoseconds since session start of the last frame that a signature covers; 0 when that can not be read.
    @ivar key: the session's public key, from HEAD, to be compared with where else it was published.
    @ivar bytes: that were read, as they lie on the disk.
    @ivar logged: the ledger knows the session.
    @ivar connected: the target was reached.
    @ivar vouched: the ledger has the seal of each of its segments.
    @ivar behind: how many sealed segments there are that the ledger has not.
    @ivar tail: frames behind the first one of the segment that is not sealed.
    @ivar last: nanoseconds since session start of the last frame, as far as it can be read.
    @ivar closed: how many encrypted segments no identity has opened: of each the file is the one in the ledger, and that is all that
        was checked.
    @ivar opened: how many encrypted segments one has opened.
    """

    session: str
    state: str = "live"
    problems: list[Problem] = Factory(list)
    until: int = 0
    key: str = ""
    bytes: int = 0
    logged: bool = False
    connected: bool = False
    vouched: bool = False
    behind: int = 0
    tail: int = 0
    last: int = 0
    closed: int = 0
    opened: int = 0


class _Reader:
    """One session, segment by segment, once."""

    def __init__(self, path: str, opener: Opener, chain: Chain, linked: bool) -> None:
        self.path = path
        self.linked = linked
        self.opener = opener
        self.chain = chain
        self.verdict = Verdict(chain.session, logged=chain.attested is not None and chain.attested.key is not None)
        self.name = ""
        self.unchecked: list[Problem] = []
        self.last: tuple[int, int] | None = None
        self.open = False

    def wrong(self, reason: str, frame: int | None = None) -> None:
        self.verdict.problems.append(Problem(self.name, frame, reason))

    def run(self) -> Verdict:
        chain = self.chain
        while True:
            self.name, path, status = self.find(chain.number)
            here = (status.st_dev, status.st_ino) if status is not None else None
            if status is None or here == self.last:
                break
            if chain.ended:
                self.wrong("a segment stands behind the end of the session")
                break
            if (what := irregular(status.st_mode)) is not None:
                if os.path.islink(path) and not os.path.exists(path):
                    self.wrong("the segment is missing: where it was is a symbolic link that leads nowhere")
                    break
                self.unchecked.append(Problem(self.name, None, what))
                return self.end()
            self.open = self.name == OPEN
            self.verdict.bytes += os.path.getsize(path)
            try:
                readable = self.segment(path)
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                self.unchecked.append(Problem(self.name, None, f"can not be read: {error.strerror or error}"))
                return self.end()
            if not readable or self.open:
                break
            self.last = here
            chain.number += 1
        if not self.verdict.problems:
            self.whole()
        return self.end()

    def find(self, number: int) -> tuple[str, str, os.stat_result | None]:
        """Segment C{number} under whichever name it has; of lstat(2) C{None} when there is none."""
        for name in (segmentName(number), OPEN, segmentName(number)):
            path = os.path.join(self.path, name)
            try:
                status = os.lstat(path)
                if self.linked and S_ISLNK(status.st_mode):
                    status = os.lstat(os.readlink(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            return name, path, status
        return OPEN, os.path.join(self.path, OPEN), None

    def segment(self, path: str) -> bool:
        """@return: C{False} when what follows can not be judged."""
        chain = self.chain
        if chain.number and chain.public is None:
            self.unchecked.append(Problem(self.name, None, "the session's key stands in a segment that is encrypted"))
            chain.before = None
            return True
        try:
            if not self.open and self.fast(path):
                self.read(path)
                return self.packed(path)
            with self.opener(path) as file:
                if self.open and (said := _number(file)) is not None and said > chain.number:
                    self.name = segmentName(chain.number)
                    self.wrong("the segment is missing")
                    return False
                if self.open:
                    file.seek(0)
                walk = Walk(chain, self.open, self.wrong)
                if not walk.run(file, self.name):
                    return False
                self.read(path)
                self.verdict.tail = max(0, walk.frames - 1) if self.open else 0
                return self.open or self.packed(path)
        except Encrypted as error:
            return self.closed(path, str(error))
        except Unreadable as error:
            self.wrong(str(error))
            return False

    def read(self, path: str) -> None:
        """All frames of a segment were."""
        with open(path, "rb") as file:
            self.verdict.opened += kindOf(file.read(SNIFF)) == AGE

    def fast(self, path: str) -> bool:
        try:
            with self.opener(path) as file:
                found = outline(file)
        except Unreadable:
            return False
        return found is not None and fits(self.chain, found)

    def packed(self, path: str) -> bool:
        """
        A file must be the very one that the ledger has: of SEAL, the last frame, the seal itself covers the object, not where and when it
        stands.
        """
        attested = self.chain.attested
        if attested is None or self.chain.number not in attested.sealed:
            return True
        with open(path, "rb") as file:
            if kindOf(file.read(SNIFF)) == PLAIN and self.chain.before == attested.sealed[self.chain.number][1]:
                return True  # plain: it was hashed anyway
            file.seek(0)
            return self.object(file, attested.sealed[self.chain.number][1])

    def closed(self, path: str, why: str) -> bool:
        """An encrypted segment: the ledger must know the file."""
        chain = self.chain
        chain.before = None
        if chain.attested is None or chain.number not in chain.attested.sealed:
            self.unchecked.append(Problem(self.name, None, why))
            return True
        # What can not be read in it, the ledger says: of a session that has an opening the target may have been reached.
        chain.connected = chain.connected or chain.number > 0 or chain.attested.key is not None
        with open(path, "rb") as file:
            if not self.object(file, chain.attested.sealed[chain.number][1]):
                return False
        self.verdict.closed += 1
        if chain.attested.ended is not None and chain.number + 1 == chain.attested.segments:
            chain.ended = RECOVERED if chain.attested.ended == "recovered" else DONE
        return True

    def object(self, file: IO[bytes], expected: str) -> bool:
        sha = sha256()
        while data := file.read(1 << 20):
            sha.update(data)
        if sha.hexdigest() != expected:
            self.wrong("the stored file is not the one in the ledger")
            return False
        return True

    def whole(self) -> None:
        """Is anything missing at the end?"""
        chain, attested = self.chain, self.chain.attested
        count = chain.number
        names = [name for name in os.listdir(self.path) if name.endswith(".hxr") and name not in (OPEN, NEXT)]
        if strange := sorted(name for name in names if not _numbered(name)):
            self.name = strange[0]
            self.wrong("no segment has such a name")
            return
        later = sorted(int(name[:-4]) for name in names if int(name[:-4]) >= count)
        if later and (not self.open or (later[-1] > count and not isLocked(os.path.join(self.path, OPEN)))):
            self.name = segmentName(count)
            self.wrong("the segment is missing")
        elif attested is not None and attested.sealed and max(attested.sealed) >= count:
            self.name = segmentName(count)
            self.wrong("the segment is missing, which the ledger has")
        elif attested is not None and attested.ended is not None and count + self.open < attested.segments:
            self.name = segmentName(count)
            self.wrong("the segment is missing, which the ledger has")
        elif attested is not None and attested.ended is not None and self.open:
            self.name = OPEN
            self.wrong("the session goes on, which has an end in the ledger")
        elif self.open:
            pass
        elif not count:
            self.name = OPEN
            self.wrong("there is no segment")
        elif not chain.ended and not self.unchecked:
            self.name = segmentName(count - 1)
            self.wrong(STOPS)
        elif attested is not None and attested.ended is not None and not self.unchecked:
            self.name = segmentName(count - 1)
            if (chain.ended, count) != (RECOVERED if attested.ended == "recovered" else DONE, attested.segments):
                self.wrong(f"the session ends here, and in the ledger in segment {attested.segments - 1}: {attested.ended}")

    def end(self) -> Verdict:
        verdict, chain = self.verdict, self.chain
        verdict.key = chain.public.hex() if chain.public is not None else ""
        verdict.until = chain.until
        verdict.connected = chain.connected
        verdict.last = chain.at
        verdict.behind = len(set(range(chain.number)) - (chain.attested.sealed.keys() if chain.attested is not None else set()))
        verdict.vouched = chain.attested is not None and set(range(chain.number or 1)) <= chain.attested.sealed.keys()
        if verdict.problems:
            verdict.state = "TAMPERED"
        elif self.unchecked:
            verdict.state = "unchecked"
            verdict.problems = self.unchecked
        elif self.open:
            verdict.state = "live" if isLocked(os.path.join(self.path, OPEN)) else "interrupted"
        elif chain.ended == RECOVERED:
            verdict.state = "recovered" if chain.connected else "never connected"
        else:
            verdict.state = "complete"
        return verdict


def _numbered(name: str) -> bool:
    """Is it a sealed segment's name?"""
    return re.fullmatch(r"[0-9]{6,20}\.hxr", name) is not None and segmentName(int(name[:-4])) == name


def _number(file: IO[bytes]) -> int | None:
    """The number that C{open.hxr} itself says, if it can be read."""
    try:
        for frame in readSegment(file, torn=True):
            return segmentNumber(frame)
    except (FrameError, *WRONG):
        pass
    return None


def verifySession(
    path: str,
    ledger: bytes | Collection[bytes] | None = None,
    public: bytes | None = None,
    attested: Attested | None = None,
    opener: Opener = openSegment,
    linked: bool = False,
) -> Verdict:
    """
    Read a recording and check everything that can be checked offline. A session that goes on meanwhile is no trouble.

    @param path: the session's directory, that bears its name.
    @param ledger: the ledger's public key (32 bytes), or all that it has had; without it a RECOVERED frame proves only itself.
    @param public: the session's public key from elsewhere; without it HEAD's own is believed.
    @param attested: what the ledger says of the session.
    @param opener: opens segments, with the auditor's identities where they are encrypted.
    @param linked: the directory is the reader's own, of links to the files (L{hoopx.recording.elsewhere.together}); else none is followed.
    @raise OSError: the directory can not be read.
    """
    session = os.path.basename(os.path.abspath(path))
    keys = (ledger,) if isinstance(ledger, bytes) else ledger
    pinned = public is not None
    if public is None and attested is not None and attested.key is not None:
        public = bytes.fromhex(attested.key)
    before = _listing(path)
    for left in range(AGAIN, -1, -1):
        chain = Chain(session, keys, attested, public, pinned)
        try:
            verdict = _Reader(path, opener, chain, linked).run()
        except FileNotFoundError:
            verdict = Verdict(session, "TAMPERED", [Problem(OPEN, None, "a segment vanished while it was read")])
        if verdict.state in ("complete", "recovered", "never connected", "live"):
            break
        before, now = _listing(path), before
        if before == now or not left:
            break
    return verdict


def _listing(path: str) -> list[tuple[str, int]]:
    """Names and files: other ones after every seal, packing and end."""
    with os.scandir(path) as entries:
        return sorted((entry.name, entry.inode()) for entry in entries)
