# -*- test-case-name: tests.recording.test_recovery -*-
"""
The beginning of recordings, in a thread: directories, HEAD, keys, and one round of fsync for all that begin together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.frames import FORMAT, HEAD, LIMIT, OPEN, encode, pack
from hoopx.heading import within
from hoopx.recording.files import Files
from hoopx.recording.originals import FIELD, Originals
from hoopx.recording.segment import Segment, begin
from hoopx.recording.signing import publicHex
from hoopx.ulid import ulid, ulidTime


class Opened(NamedTuple):
    """
    A recording whose HEAD is on the disk.

    @ivar key: the session's public key, hexadecimal.
    @ivar head: SHA-256 of the HEAD frame's payload, hexadecimal.
    @ivar originals: seals what is masked, or C{None}: it is not kept.
    """

    session: str
    segment: Segment
    began: int
    key: str
    head: str
    originals: Originals | None = None


def sessionDirectory(data: str, session: str, started: float) -> str:
    """@param started: seconds since the epoch; the day is UTC's."""
    return os.path.join(data, "recordings", time.strftime("%Y/%m/%d", time.gmtime(started)), session)


class Opener:
    """
    @param about: what every HEAD of this gateway says.
    @param synced: of the recordings.
    @ivar auditors: to whom sessions that begin from now on seal what is masked (L{hoopx.recording.auditors.recipients}).
    """

    def __init__(
        self,
        files: Files,
        data: str,
        about: dict[str, Any],
        monotonic: Callable[[], int],
        wall: Callable[[], float],
        synced: bool,
    ) -> None:
        self._files = files
        self._data = data
        self._about = about
        self._monotonic = monotonic
        self._wall = wall
        self._synced = synced
        self.auditors: Sequence[Any] = ()

    def open(self, heads: list[dict[str, Any]]) -> list[Opened | Exception]:
        """
        Begin a recording for each head. One that fails leaves nothing and stops no other.

        @return: in the order of the heads.
        """
        outcomes: list[Opened | Exception] = []
        directories: set[str] = set()
        for head in heads:
            try:
                outcomes.append(self._begin(head, directories))
            except (OSError, ValueError, TypeError) as error:
                outcomes.append(error)
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Opened):
                try:
                    self._files.fsync(outcome.segment.descriptor)
                    self._files.syncDirectory(outcome.segment.path)
                except OSError as error:
                    outcomes[number] = self._undo(outcome, error)
        try:
            for directory in sorted(directories):
                self._files.syncDirectory(directory)
        except OSError as error:
            return [self._undo(o, error) if isinstance(o, Opened) else o for o in outcomes]
        return outcomes

    def _begin(self, head: dict[str, Any], directories: set[str]) -> Opened:
        started = within(self._wall())  # of a session without a time nobody could be told
        session = ulid(started)
        key = Ed25519PrivateKey.generate()
        said = dict(head, **self._about, session=session, format=FORMAT, started=started, key=publicHex(key))
        auditors = self.auditors
        originals = Originals(session, auditors) if auditors else None
        if originals is not None:
            said[FIELD] = originals.head
        payload = pack(said)
        if len(payload) > LIMIT:
            raise ValueError("HEAD is too long")
        path = sessionDirectory(self._data, session, ulidTime(session))  # where it is looked for
        directories.update(self._files.makeDirectories(path))
        frame = encode(0, 1, 0, HEAD, payload=payload)
        began = self._monotonic()
        try:
            descriptor = begin(self._files, os.path.join(path, OPEN), frame)
        except OSError:
            self._remove(path)
            raise
        segment = Segment(self._files, path, session, key, self._synced, descriptor, frame)
        return Opened(session, segment, began, said["key"], sha256(payload).hexdigest(), originals)

    def _undo(self, opened: Opened, error: OSError) -> OSError:
        opened.segment.shut()
        try:
            self._files.unlink(os.path.join(opened.segment.path, OPEN))
        except OSError:
            return error
        self._remove(opened.segment.path)
        return error

    def _remove(self, path: str) -> None:
        try:
            os.rmdir(path)
        except OSError:
            pass
