# -*- test-case-name: tests.recording.test_recovery -*-
"""
What a crash left, put right at the next start: each open recording gets RECOVERED and a seal, so that none ever looks complete
that is not. Whatever instant it is interrupted at, the next run goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.logger import Logger

from hoopx.frames import OPEN, RECOVERED, SEAL, START, FrameError, encode, segmentName
from hoopx.recording.files import DISK_FULL, Files
from hoopx.recording.journal import readJournal
from hoopx.recording.locks import tryLock
from hoopx.recording.scan import Scan, scanSealed, scanSegment
from hoopx.recording.segment import NEXT, begin, linkFrame
from hoopx.recording.signing import publicHex, sign
from hoopx.recording.stored import Encrypted, openSegment


@frozen
class Recovered:
    """
    What was done about one session.

    @ivar outcome: C{"recovered"}; C{"finished"}: only its last renaming was missing; C{"removed"}: it had not begun;
        C{"quarantined"}: it can not be read, and was moved away; C{"locked"}: somebody else writes it; C{"failed"}: the disk
        failed, the next start tries again.
    @ivar cut: bytes cut off the end.
    """

    session: str
    path: str
    outcome: str
    cut: int = 0
    detail: str = ""


class Recovery:
    """
    Everything here blocks: run it in a thread, before sessions begin.

    @param key: the ledger key.
    @param opened: callable(session) -> has it an OPEN leaf in the ledger? Then its target may have been reached, whatever of its recording
        the disk has lost.
    """

    log = Logger()

    def __init__(
        self,
        files: Files,
        data: str,
        key: Ed25519PrivateKey,
        wall: Callable[[], float],
        opened: Callable[[str], bool] = lambda session: False,
    ) -> None:
        self._opened = opened
        self._files = files
        self._data = data
        self._key = key
        self._wall = wall
        self._journal: dict[str, list[tuple[int, int, str, int, int]]] = {}

    def run(self, progress: Callable[[int, int], None] | None = None) -> list[Recovered]:
        """
        @param progress: called with how many of how many are done.
        @return: what was done, per session.
        """
        journals = self._readJournals()
        paths = list(self._unfinished())
        found = []
        for number, path in enumerate(paths):
            if progress is not None:
                progress(number, len(paths))
            found.append(self._one(path))
        if progress is not None:
            progress(len(paths), len(paths))
        if not any(one.outcome in ("locked", "failed") for one in found):
            self._forget(journals, any(one.outcome == "quarantined" for one in found))
        return found

    def _unfinished(self) -> Iterator[str]:
        """The directories that hold an open segment, or nothing at all."""
        days = [os.path.join(self._data, "recordings")]
        for _ in range(3):
            days = [entry.path for day in days for entry in sorted(os.scandir(day), key=_name) if entry.is_dir()]
        for day in days:
            for entry in sorted(os.scandir(day), key=_name):
                if entry.is_dir(follow_symlinks=False):
                    names = os.listdir(entry.path)
                    if not names or OPEN in names or NEXT in names:
                        yield entry.path

    def _one(self, path: str) -> Recovered:
        session = os.path.basename(path)
        try:
            try:
                done = self._recover(path, session)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                self._files.unlink(os.path.join(self._data, "reserve"))
                done = self._recover(path, session)
        except (FrameError, ValueError, KeyError, TypeError, AttributeError) as error:
            done = self._quarantine(path, session, str(error))
        except OSError as error:
            self.log.error("Recording {session} could not be recovered: {reason}.", session=session, reason=error.strerror)
            return Recovered(session, path, "failed", detail=error.strerror or str(error))
        self.log.info("Recording {session}: {outcome}, {cut} bytes cut off.", session=session, outcome=done.outcome, cut=done.cut)
        return done

    def _recover(self, path: str, session: str) -> Recovered:
        self._unlink(os.path.join(path, NEXT))
        name = os.path.join(path, OPEN)
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._nothing(path, session)
        except PermissionError:  # sealed already: mode 0440
            os.chmod(name, 0o600)
            descriptor = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if not tryLock(descriptor):
                return Recovered(session, path, "locked")
            return self._open(path, session, descriptor)
        finally:
            self._files.close(descriptor)

    def _nothing(self, path: str, session: str) -> Recovered:
        if os.listdir(path):
            return self._behind(path, session, 0)
        os.rmdir(path)
        return Recovered(session, path, "removed")

    def _open(self, path: str, session: str, descriptor: int) -> Recovered:
        name = os.path.join(path, OPEN)
        scan = scanSegment(name)
        if not scan.frames:
            return self._empty(path, session, scan)
        assert scan.number is not None
        cut = self._cut(session, descriptor, scan)
        if self._merge(session, descriptor, scan):
            scan = scanSegment(name)
        sealed = os.path.join(path, segmentName(scan.number or 0))
        if scan.last == SEAL:
            self._name(name, sealed, descriptor)
            if scan.ended or os.path.exists(os.path.join(path, segmentName((scan.number or 0) + 1))):
                self._unlink(name)
                self._files.syncDirectory(path)
                return Recovered(session, path, "finished", cut)
            self._succeed(path, session, scan, cut)
            self._unlink(name)
            self._files.syncDirectory(path)
            return Recovered(session, path, "recovered", cut)
        tail = b""
        scan.connected = scan.connected or self._opened(session)
        if scan.last != RECOVERED:
            tail = self._recoveredFrame(session, scan, cut)
            scan.digest.update(tail)
            scan.sequence += 1
            scan.frames += 1
        tail += self._sealFrame(session, scan.number or 0, scan.frames, scan.digest.hexdigest(), scan.sequence + 1, scan.at)
        self._files.writeAll(descriptor, tail)
        self._files.fchmod(descriptor, 0o440)
        self._files.fsync(descriptor)
        self._files.rename(name, sealed)
        self._files.syncDirectory(path)
        return Recovered(session, path, "recovered", cut, "" if scan.connected else "never connected")

    def _empty(self, path: str, session: str, scan: Scan) -> Recovered:
        """No whole frame: killed while the file was being made, before anybody relied on it."""
        name = os.path.join(path, OPEN)
        if not scan.torn:
            raise ValueError("open.hxr is not a segment")
        if os.listdir(path) != [OPEN]:
            return self._behind(path, session, scan.size)
        self._unlink(name)
        os.rmdir(path)
        return Recovered(session, path, "removed", scan.size)

    def _behind(self, path: str, session: str, cut: int) -> Recovered:
        """Sealed segments stand, and nothing readable behind them."""
        numbers = sorted(name for name in os.listdir(path) if name.endswith(".hxr") and name[:-4].isdecimal())
        if not numbers:
            raise ValueError("there is no segment")
        try:
            scan = scanSealed(os.path.join(path, numbers[-1]), openSegment)
        except Encrypted as error:  # packing sees to it that what follows is on the disk before
            raise ValueError(f"what follows {error.segment} is lost, and that is encrypted") from None
        if scan.last != SEAL:
            raise ValueError(f"{numbers[-1]} is not sealed")
        if not scan.ended:
            self._succeed(path, session, scan, cut)
        self._unlink(os.path.join(path, OPEN))
        self._files.syncDirectory(path)
        return Recovered(session, path, "finished" if scan.ended else "recovered", cut)

    # -- steps

    def _cut(self, session: str, descriptor: int, scan: Scan) -> int:
        cut = scan.size - scan.end
        if cut and not scan.torn:  # not the end of an unfinished write: keep what is cut off
            kept = os.path.join(self._data, "quarantine", f"{session}.cut")
            self._files.makeDirectories(os.path.dirname(kept))
            copy = self._files.create(kept, os.O_TRUNC)
            try:
                self._files.writeAll(copy, os.pread(descriptor, cut, scan.end))
                self._files.fsync(copy)
            finally:
                self._files.close(copy)
            self.log.error(
                "Recording {session} is damaged at byte {offset}: what follows is kept in {kept}.",
                session=session,
                offset=scan.end,
                kept=kept,
            )
        if cut:
            self._files.ftruncate(descriptor, scan.end)
        return cut

    def _merge(self, session: str, descriptor: int, scan: Scan) -> bool:
        """Frames that the journal has and the file lost."""
        end = scan.end
        for number, offset, journal, position, size in self._journal.get(session, ()):
            if number == scan.number and offset == end:
                with open(journal, "rb") as file:
                    file.seek(position)
                    self._files.writeAll(descriptor, file.read(size))
                end += size
        return end != scan.end

    def _name(self, name: str, sealed: str, descriptor: int) -> None:
        try:
            self._files.link(name, sealed)
        except FileExistsError:
            if not os.path.samefile(name, sealed):
                raise ValueError(f"{os.path.basename(sealed)} is another segment than open.hxr") from None
        self._files.fchmod(descriptor, 0o440)
        self._files.fsync(descriptor)

    def _succeed(self, path: str, session: str, scan: Scan, cut: int) -> None:
        """A segment of its own for RECOVERED, behind one that is sealed."""
        number = (scan.number or 0) + 1
        link = linkFrame(session, number, scan.digest.hexdigest(), scan.sequence + 1, scan.at, scan.totals)
        scan.number, scan.sequence = number, scan.sequence + 1
        recovered = self._recoveredFrame(session, scan, cut)
        digest = sha256(START + link + recovered).hexdigest()
        seal = self._sealFrame(session, number, 2, digest, scan.sequence + 2, scan.at)
        descriptor = begin(self._files, os.path.join(path, NEXT), link + recovered + seal)
        try:
            self._files.fchmod(descriptor, 0o440)
            self._files.fsync(descriptor)
        finally:
            self._files.close(descriptor)
        self._files.rename(os.path.join(path, NEXT), os.path.join(path, segmentName(number)))

    def _recoveredFrame(self, session: str, scan: Scan, cut: int) -> bytes:
        value = {
            "session": session,
            "segment": scan.number,
            "cut": cut,
            "last": scan.sequence,
            "at": scan.at / 1e9,
            "wall": self._wall(),
            "connected": scan.connected,
            "key": publicHex(self._key),
            **scan.totals,
        }
        return encode(scan.at, scan.sequence + 1, 0, RECOVERED, payload=sign(self._key, "recovered", value))

    def _sealFrame(self, session: str, number: int, frames: int, digest: str, sequence: int, at: int) -> bytes:
        value = {
            "session": session,
            "segment": number,
            "frames": frames,
            "sha256": digest,
            "salt": os.urandom(16).hex(),
            "key": publicHex(self._key),
        }
        return encode(at, sequence, 0, SEAL, payload=sign(self._key, "seal", value))

    def _quarantine(self, path: str, session: str, reason: str) -> Recovered:
        self.log.error("Recording {session} can not be read and is quarantined: {reason}", session=session, reason=reason)
        try:
            place = os.path.join(self._data, "quarantine")
            self._files.makeDirectories(place)
            target = os.path.join(place, session)
            while os.path.exists(target):
                target += "+"
            self._files.rename(path, target)
            self._files.syncDirectory(place)
        except OSError as error:
            return Recovered(session, path, "failed", detail=f"{reason}; {error.strerror}")
        return Recovered(session, target, "quarantined", detail=reason)

    def _unlink(self, path: str) -> None:
        try:
            self._files.unlink(path)
        except FileNotFoundError:
            pass

    # -- the journal

    def _readJournals(self) -> list[str]:
        directory = os.path.join(self._data, "journal")
        if not os.path.isdir(directory):
            return []
        paths = [os.path.join(directory, name) for name in sorted(os.listdir(directory), key=lambda name: (len(name), name))]
        for path in paths:
            for session, number, offset, position, size in readJournal(path):
                self._journal.setdefault(session, []).append((number, offset, path, position, size))
        return paths

    def _forget(self, journals: list[str], keep: bool) -> None:
        for path in journals:
            if keep:
                name = f"journal-{int(self._wall())}-{os.path.basename(path)}"
                self._files.rename(path, os.path.join(self._data, "quarantine", name))
            else:
                self._unlink(path)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
