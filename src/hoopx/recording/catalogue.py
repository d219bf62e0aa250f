# -*- test-case-name: tests.recording.test_catalogue -*-
"""
What recordings a data directory holds. Reads files only: no gateway need run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, frozen

from hoopx.errors import HoopxError
from hoopx.frames import DONE, HEAD, HEADER, OPEN, RECOVERED, SEAL, START, Decoder, FrameError, unpack
from hoopx.heading import believed
from hoopx.reading import CHUNK, Opener, Unreadable, readSession
from hoopx.recording.elsewhere import MARKER, Place, placed
from hoopx.recording.follow import Follower
from hoopx.recording.locks import isLocked
from hoopx.recording.outline import stands
from hoopx.recording.scan import TOTALS, scanSegment
from hoopx.recording.stored import Encrypted, openSegment
from hoopx.ulid import ulidTime
from hoopx.values import Frame

TAIL: Final = 64 * 1024
"""How much of the last segment is read to find DONE: it stands before the seal, and both are short."""


class NotFound(HoopxError):
    """There is no such session."""


class Ambiguous(HoopxError):
    """Several sessions begin like that. C{sessions} names some."""

    def __init__(self, prefix: str, sessions: list[str]) -> None:
        super().__init__(f"{prefix} could be any of {', '.join(sessions)}")
        self.sessions = sessions


@frozen
class Summary:
    """
    One session at a glance.

    @ivar path: its directory.
    @ivar head: the HEAD frame's object; C{{}} when it can not be read.
    @ivar state: C{"opening"}, C{"live"} (a gateway writes it), C{"complete"}, C{"recovered"} (ends where the gateway did),
        C{"damaged"}, or C{"encrypted"}: it is over, and whoever has no identity can not tell how.
    @ivar ended: seconds since the epoch, or C{None} while it lives. Of an encrypted one: when its last segment was sealed.
    @ivar reason: why it ended, or what is damaged.
    @ivar totals: bytes and frames from each side, as DONE says them.
    """

    session: str
    path: str
    head: dict[str, Any]
    state: str
    started: float | None
    ended: float | None
    reason: str | None
    totals: dict[str, int]

    def line(self) -> dict[str, Any]:
        """As C{hoopx sessions list --json} prints it."""
        identity = self.head.get("identity") or {}
        return {
            "session": self.session,
            "user": identity.get("name"),
            "kind": identity.get("kind"),
            "actor": self.head.get("actor"),
            "target": self.head.get("target"),
            "account": self.head.get("account"),
            "protocol": self.head.get("protocol"),
            "client": self.head.get("client"),
            "started": self.started,
            "ended": self.ended,
            "state": self.state,
            "reason": self.reason,
            "bytes_from_client": self.totals.get("bytes_from_client", 0),
            "bytes_from_target": self.totals.get("bytes_from_target", 0),
        }


def paths(data: str) -> Iterator[str]:
    """The directories of all sessions, newest first."""
    top = os.path.join(data, "recordings")
    for year in _down(top):
        for month in _down(year):
            for day in _down(month):
                yield from _down(day)


def _down(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted((entry.path for entry in entries if entry.is_dir(follow_symlinks=False)), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []


def sessions(data: str, opener: Opener = openSegment) -> Iterator[Summary]:
    """All sessions of a data directory, newest first, read one by one."""
    for path in paths(data):
        found = summarise(path, opener)
        if found is not None:
            yield found


def find(data: str, prefix: str) -> str:
    """
    @param prefix: of a session id; the whole of it, or as much as tells it from others.
    @return: the session's directory.
    @raise NotFound: no session begins so.
    @raise Ambiguous: several do.
    """
    wanted = prefix.upper()
    found = [path for path in paths(data) if os.path.basename(path).startswith(wanted)] if wanted else []
    if not found:
        raise NotFound(f"there is no session {prefix!r} in {data}")
    if len(found) > 1 and os.path.basename(found[0]) != wanted:
        raise Ambiguous(prefix, [os.path.basename(path) for path in found[:5]])
    return found[0]


def frames(data: str, prefix: str, opener: Opener = openSegment) -> Iterator[Frame]:
    """
    The frames of one session, as far as they are written.

    @raise NotFound:
    @raise Ambiguous:
    @raise hoopx.frames.FrameError: a segment is damaged.
    @raise Encrypted: one is encrypted, and the opener has no identity for it.
    """
    return readSession(find(data, prefix), opener)


def follow(data: str, prefix: str, opener: Opener = openSegment) -> Follower:
    """@return: a L{Follower} of one session, from its beginning."""
    return Follower(find(data, prefix), opener)


def summarise(path: str, opener: Opener = openSegment) -> Summary | None:
    """
    @param path: a session's directory.
    @param opener: opens segments; with an auditor's identities also those that are encrypted (L{hoopx.recording.stored.opener}).
    @return: C{None} when nothing is recorded there (yet).
    """
    session = os.path.basename(path)
    for _ in range(3):  # a live session's open segment may take its name between two looks
        try:
            return _summarise(path, session, opener)
        except FileNotFoundError:
            continue
        except (FrameError, Unreadable, ValueError, KeyError, TypeError, OverflowError) as error:
            return Summary(session, path, {}, "damaged", None, None, str(error), {})
    return None


def _summarise(path: str, session: str, opener: Opener) -> Summary | None:
    there = os.listdir(path)
    names = sorted(name for name in there if name.endswith(".hxr") and name[:-4].isdecimal())
    kept = placed(path) if MARKER in there else None
    if kept is not None:
        names = sorted({*names, *kept.objects})
    if not names and not os.path.exists(os.path.join(path, OPEN)):
        return None
    head: dict[str, Any] | None = {}
    end, locked = None, ""
    try:
        head = readHead(os.path.join(path, names[0] if names else OPEN), opener)
        end = _readEnd(os.path.join(path, names[-1]), opener) if names else None
    except Encrypted as error:
        locked = str(error)
    except FileNotFoundError:
        if kept is None:
            raise
        return remembered(path, session, kept)
    if locked and kept is not None:
        return evolve(remembered(path, session, kept), state="encrypted", reason=locked)
    if head is None:
        return None
    started = float(head["started"]) if head else ulidTime(session)
    if locked and not os.path.exists(os.path.join(path, OPEN)):
        return Summary(session, path, head, "encrypted", started, os.stat(os.path.join(path, names[-1])).st_mtime, locked, {})
    if end is not None:
        kind, value, at = end
        if kind == DONE:
            return Summary(session, path, head, "complete", started, started + at, value.get("reason"), _totals(value))
        reason = "recovered" if value.get("connected", True) else "never connected"
        return Summary(session, path, head, "recovered", started, started + at, reason, _totals(value))
    name = os.path.join(path, OPEN)
    if kept is not None and not os.path.exists(name):
        reason = f"its end is missing: {names[-1]} is the last that is in {kept.store}"
        return Summary(session, path, head, "damaged", started, None, reason, {})
    live = isLocked(name)
    scan = scanSegment(name)
    if live:
        state = "live" if scan.connected else "opening"
        return Summary(session, path, head, state, started, None, None, scan.totals)
    if not scan.frames and not names:
        return None
    return Summary(session, path, head, "recovered", started, started + scan.at / 1e9, "interrupted", scan.totals)


def remembered(path: str, session: str, kept: Place) -> Summary:
    """What is known of a session whose segments are in a store, without asking the store."""
    said = kept.summary
    if not said:
        return Summary(session, path, {}, "damaged", None, None, f"its segments are in {kept.store}, and no more is noted here", {})
    totals = {str(name): int(count) for name, count in said["totals"].items()}
    believed({**said["head"], "started": said["started"]})
    return Summary(session, path, said["head"], said["state"], said["started"], said["ended"], said["reason"], totals)


def _totals(value: dict[str, Any]) -> dict[str, int]:
    return {name: int(value[name]) for name in TOTALS}


def readHead(path: str, opener: Opener = openSegment) -> dict[str, Any] | None:
    """
    @param path: of a session's first segment.
    @return: HEAD's object, or C{None} when it is not whole.
    @raise FrameError: it is no segment.
    @raise ValueError: it makes no sense.
    @raise Unreadable: it is compressed or encrypted, and damaged.
    @raise Encrypted: the opener has no identity for it.
    """
    decoder = Decoder(os.path.basename(path))
    with opener(path) as file:
        while data := file.read(4096):
            found = decoder.feed(data)
            if found:
                if found[0].kind != HEAD:
                    raise FrameError(os.path.basename(path), 0, 0, "the first frame is not HEAD")
                return believed(unpack(found[0].payload))
    return None


def _readTail(path: str, opener: Opener) -> tuple[int, bytes]:
    """
    A packed segment has to be read from its beginning: some milliseconds for a megabyte.

    @return: the last bytes, and where they begin.
    """
    with opener(path) as file:
        if file.seekable():
            size = file.seek(0, os.SEEK_END)
            return file.seek(max(0, size - TAIL)), file.read()
        tail, size = b"", 0
        while data := file.read(CHUNK):
            tail = (tail + data)[-TAIL:]
            size += len(data)
        return size - len(tail), tail


def _readEnd(path: str, opener: Opener) -> tuple[int, dict[str, Any], float] | None:
    """The session's last word before the last seal, found from the end of the file: its header ends in a rare pattern."""
    offset, tail = _readTail(path, opener)
    for kind in (RECOVERED, DONE):  # a killed gateway may have written DONE and no seal
        pattern = bytes((0, 0, 0, 0, kind, 0, 0, 0))
        place = tail.rfind(pattern)
        while place >= 0:
            begin = place + len(pattern) - HEADER
            frame = _lastWord(tail, begin)
            if frame is not None and _stands(path, opener, offset + begin):
                return kind, unpack(frame.payload), frame.at / 1e9
            place = tail.rfind(pattern, 0, place)
    return None


def _lastWord(tail: bytes, begin: int) -> Frame | None:
    """The frame at C{begin}, if nothing but it and the seal stands there."""
    if begin < 0:
        return None
    decoder = Decoder()
    try:
        found = decoder.feed(START + tail[begin:])
    except FrameError:
        return None
    if decoder.finish() is not None or [frame.kind for frame in found[1:]] != [SEAL]:
        return None
    return found[0]


def _stands(path: str, opener: Opener, at: int) -> bool:
    with opener(path) as file:
        return stands(file, at)
