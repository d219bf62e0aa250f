# -*- test-case-name: tests.recording.test_store -*-
"""
All recordings of one gateway: their beginning, the sweep that sees to checks and seals, and the state of the disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import RecordingFailed
from hoopx.interfaces import IRecordings
from hoopx.ledger.keys import loadKey
from hoopx.recording.auditors import recipients
from hoopx.recording.disk import Disk
from hoopx.recording.files import DISK_FULL, Files
from hoopx.recording.journal import Journal
from hoopx.recording.locks import lockData
from hoopx.recording.opening import Opened, Opener
from hoopx.recording.recovery import Recovered, Recovery
from hoopx.recording.settings import RecordingSettings
from hoopx.recording.writer import Recording

DEFAULTS: Final = RecordingSettings()
SWEEP: Final = 1.0
"""Seconds between two looks at what is due."""
SLICE: Final = 50
"""Signatures made at once. A signature takes 35 µs and the next slice comes after 0.1 s: under 2 % of a core, whatever the number
of sessions; with more sessions than that, each is checked less often."""
PAUSE: Final = 0.1
TOGETHER: Final = 64
"""Recordings begun in one round of fsync."""
OPENERS: Final = 4
"""Rounds at once; the file system joins them in one commit."""
WAITING: Final = 2000
"""Recordings that may wait to be begun: a second's work of a slow disk."""
JUMP: Final = 0.5
"""Seconds by which the wall clock must leave the monotonic one for a CLOCK frame out of turn."""


@implementer(IRecordings)
class Recordings:
    """
    @param data: path of the data directory.
    @param node: the gateway's name.
    @param version: of the gateway.
    @param plugins: name -> version and hash of the plugins in use, for HEAD.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param threads: has C{call(work, *arguments) -> Deferred}; see L{hoopx.recording.threads.Threads}.
    @param journalThreads: the same with one thread of its own.
    @param curator: L{hoopx.curator.process.Curator}, which recovers what a crash left and is told what is sealed; C{None}: nobody seals
        recordings off, and they are recovered here.
    @ivar full: the disk is full: nothing is appended until its reserve is whole again, so that the reserve is there for closing.
    @ivar recovered: what the start found, a list of L{Recovered}.
    @ivar took: told how many nanoseconds a frame took: of each recording about one a second, and whatever was slow. Never on the
        path of an ordinary frame.
    """

    log = Logger()

    def __init__(
        self,
        data: str,
        *,
        node: str,
        version: str,
        plugins: Any,
        clock: Any,
        threads: Any,
        journalThreads: Any = None,
        settings: RecordingSettings = DEFAULTS,
        monotonic: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
        files: Files | None = None,
        alarm: Callable[[str, Mapping[str, Any]], None] | None = None,
        curator: Any = None,
    ) -> None:
        self.data = data
        self.settings = settings
        self.files = Files() if files is None else files
        self.monotonic = monotonic
        self.wall = wall
        self.threads = threads
        self.full = False
        self.recovered: list[Recovered] = []
        self.took: Callable[[int], Any] = lambda nanoseconds: None
        self.disk = Disk(self.files, data, settings.reserve, settings.refuseBelow)
        self.journal: Journal | None = None
        if settings.durability == "synced":
            self.journal = Journal(self.files, os.path.join(data, "journal"), journalThreads or threads)
        about = {"node": node, "gateway": version, "plugins": plugins}
        self._opener = Opener(self.files, data, about, monotonic, wall, self.journal is not None)
        self.keepOriginals(settings.originals)
        self._clock = clock
        self._alarm = alarm
        self._curator = curator
        self._open: set[Recording] = set()
        self._active: dict[Recording, None] = {}
        self._requests: list[tuple[dict[str, Any], Deferred[Recording]]] = []
        self._openers = 0
        self._trouble: str | None = "the gateway has not started"
        self._polling = False
        self._faults = 0
        self._call: Any = None
        self._lock = -1
        self._skew = 0.0
        self._stopped = False

    def keepOriginals(self, auditors: Sequence[str]) -> None:
        """
        Sessions that begin from now on seal what is masked.

        @param auditors: public keys; without one it is not kept.
        @raise hoopx.recording.auditors.KeyProblem: one of them is none; nothing is changed.
        """
        self._opener.auditors = recipients(auditors)

    def start(self, progress: Callable[[int, int], None] | None = None) -> Deferred[None]:
        """
        Own the data directory, put right what a crash left, take the reserve.

        @param progress: called in a thread with how many of how many open recordings are recovered.
        @return: Deferred[None]; fails with L{hoopx.recording.locks.Locked} or L{OSError}. A full or failing disk is no failure:
            see L{obstacle}.
        """
        owned = self.threads.call(self._own)
        return owned.addCallback(self._recover, progress).addCallbacks(self._started, self._letGo)

    def _own(self) -> None:
        for name in ("", "recordings", "keys", "journal"):
            self.files.makeDirectories(os.path.join(self.data, name).rstrip("/"))
        self._lock = lockData(self.data)

    def _recover(self, _: None, progress: Callable[[int, int], None] | None) -> Deferred[list[Recovered]]:
        if self._curator is not None:
            recovered: Deferred[list[Recovered]] = self._curator.recover(progress)
            return recovered
        return self.threads.call(self._recoverHere, progress)

    def _recoverHere(self, progress: Callable[[int, int], None] | None) -> list[Recovered]:
        key = loadKey(os.path.join(self.data, "keys"), self.files)
        return Recovery(self.files, self.data, key, self.wall).run(progress)

    def _letGo(self, failure: Failure) -> Failure:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        return failure

    def _started(self, found: list[Recovered]) -> Deferred[None]:
        self.recovered = found
        return self.threads.call(self.disk.poll).addCallback(self._begins)

    def _begins(self, trouble: str | None) -> None:
        self._setTrouble(trouble)
        self._skew = self.wall() - self.monotonic() / 1e9
        self._call = self._clock.callLater(SWEEP, self._sweep)

    def stop(self, reason: str = "stopped") -> Deferred[None]:
        """Close what is open, let go of the data directory."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._trouble = "the gateway is stopping"
        for _, waiting in self._requests:
            waiting.errback(RecordingFailed(self._trouble))
        self._requests = []
        self._stopped = True
        return DeferredList([recording.close(reason) for recording in list(self._open)]).addCallback(self._let)

    def _let(self, _: Any) -> Any:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self.journal is not None:
            return self.journal.stop()
        return None

    def obstacle(self) -> str | None:
        return self._trouble

    def figures(self) -> dict[str, Any]:
        """
        For metrics: C{open} (recordings), C{unsealed} (bytes in open segments), C{age} (seconds since the oldest frame in them), C{free}
        (bytes, C{None} while unknown), C{refuseBelow}, C{reserve} (bytes), C{held} (the reserve is whole).
        """
        now = since = self.monotonic()
        unsealed = 0
        for recording in self._open:
            begun, size = recording.unsealed()
            if begun:
                since = min(since, begun)
                unsealed += size
        return {"open": len(self._open), "unsealed": unsealed, "age": (now - since) / 1e9, **self.disk.figures()}

    # -- beginning

    def open(self, head: dict[str, Any]) -> Deferred[Recording]:
        if self._trouble is not None:
            return fail(RecordingFailed(f"no session can be recorded: {self._trouble}"))
        if len(self._requests) >= WAITING:
            return fail(RecordingFailed("no session can be recorded: too many are beginning"))
        waiting: Deferred[Recording] = Deferred()
        self._requests.append((head, waiting))
        if self._openers < OPENERS:
            self._begin()
        return waiting

    def _begin(self) -> None:
        batch, self._requests = self._requests[:TOGETHER], self._requests[TOGETHER:]
        self._openers += 1
        opened = self.threads.call(self._opener.open, [head for head, _ in batch])
        opened.addBoth(self._begun, batch)

    def _begun(self, outcomes: Any, batch: list[tuple[dict[str, Any], Deferred[Recording]]]) -> None:
        self._openers -= 1
        if isinstance(outcomes, Failure):
            self.log.failure("Recordings could not be begun.", outcomes)
            outcomes = [outcomes.value] * len(batch)
        for outcome, (_, waiting) in zip(outcomes, batch, strict=True):
            if isinstance(outcome, Opened):
                recording = Recording(self, outcome.segment, outcome.session, outcome.began, outcome.key, outcome.head, outcome.originals)
                self._open.add(recording)
                waiting.callback(recording)
                if self._stopped:
                    recording.close("stopped")
                continue
            reason = getattr(outcome, "strerror", None) or str(outcome)
            if isinstance(outcome, OSError):
                self._suspect(reason, outcome.errno in DISK_FULL)
            waiting.errback(RecordingFailed(f"no session can be recorded: {reason}"))
        if self._requests and self._openers < OPENERS:
            self._begin()

    # -- what recordings say

    def wake(self, recording: Recording, due: int) -> None:
        """Something was written to the recording: look at it at C{due} (monotonic nanoseconds) at the latest."""
        if recording not in self._active:
            self._active[recording] = None
            recording.due = due
        elif due < recording.due:
            recording.due = due

    def sleep(self, recording: Recording) -> None:
        """There is nothing to see to in this recording until it is written to."""
        self._active.pop(recording, None)

    def failed(self, recording: Recording, full: bool, reason: str) -> None:
        """A recording has failed."""
        self.sleep(recording)
        self._suspect(reason, full)

    def closed(self, recording: Recording) -> None:
        """A recording is closed."""
        self.sleep(recording)
        self._open.discard(recording)
        if self._curator is not None:
            self._curator.recordingEnded(recording.session, recording.path, *recording.lastSealed())

    def retire(self, recording: Recording, descriptors: list[int], number: int) -> None:
        """Sync sealed segments, the last of them C{number}, let go of them, and tell the curator."""
        last, digest = recording.lastSealed()
        if last != number:
            digest = ""
        if descriptors:
            synced = self.threads.call(self._sync, descriptors, recording.path)
            synced.addCallbacks(self._synced, self._unsynced, callbackArgs=(recording, number, digest), errbackArgs=(recording,))
        else:
            self._synced(None, recording, number, digest)

    def _synced(self, _: None, recording: Recording, number: int, digest: str) -> None:
        if self._curator is not None:
            self._curator.sealed(recording.session, recording.path, number, digest)

    def _sync(self, descriptors: list[int], path: str) -> None:
        try:
            for descriptor in descriptors:
                self.files.fdatasync(descriptor)
        finally:
            for descriptor in descriptors:
                self.files.close(descriptor)
        self.files.syncDirectory(path)

    def _unsynced(self, failure: Failure, recording: Recording) -> None:
        recording.fail(failure.value if isinstance(failure.value, OSError) else OSError(5, "internal error"))

    # -- the disk

    def _suspect(self, reason: str, full: bool) -> None:
        self._faults += 1
        self.disk.suspect()
        if full and not self.full:
            self.full = True
            for recording in self._open:
                recording.arm()
        self._setTrouble(reason)

    def _setTrouble(self, trouble: str | None) -> None:
        if trouble != self._trouble and not self._stopped:
            if trouble is None:
                self.log.info("Sessions can be recorded.")
            else:
                self.log.error("No new session can be recorded: {trouble}.", trouble=trouble)
                if self._alarm is not None:
                    self._alarm("disk", {"message": f"no new session can be recorded: {trouble}"})
            self._trouble = trouble

    def _polled(self, trouble: Any, faults: int) -> None:
        self._polling = False
        if faults != self._faults:  # something failed while the disk was looked at: look again
            self.disk.suspect()
            return
        if isinstance(trouble, Failure):
            self.log.failure("The disk could not be looked at.", trouble)
            trouble = "the disk could not be looked at"
        if trouble is None:
            self.full = False
        self._setTrouble(trouble)

    # -- the sweep

    def _sweep(self) -> None:
        now = self.monotonic()
        if not self._polling:
            self._polling = True
            self.threads.call(self.disk.poll).addBoth(self._polled, self._faults)
        skew = self.wall() - now / 1e9
        if abs(skew - self._skew) > JUMP:
            for recording in self._open:
                recording.arm(clock=True)
        self._skew = skew
        self._call = self._clock.callLater(SWEEP, self._sweep)
        self._see(now)

    def _see(self, now: int) -> None:
        due = [recording for recording in self._active if recording.due <= now]
        signed = 0
        for number, recording in enumerate(due):
            if signed == SLICE:
                self._rest(due[number:])
                return
            signed += recording.sweep(now)

    def _rest(self, due: list[Recording]) -> None:
        """More than a slice is due."""
        for recording in due:  # those that waited longest come first next time
            recording.due = 0
        if self._call is not None:
            self._call.reset(PAUSE)
