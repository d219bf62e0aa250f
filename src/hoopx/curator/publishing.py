# -*- test-case-name: tests.curator.test_publishing -*-
"""
Checkpoints: signed when there are new leaves, shown to the witnesses, and published with what they signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator.outage import Outage
from hoopx.curator.scribe import Scribe
from hoopx.curator.settings import Witness
from hoopx.errors import HoopxError
from hoopx.witness.errors import WitnessRefused

EVERY: Final = 1.0
"""Seconds between two checkpoints at the least: a signature, a small file and its fsync."""
PATIENCE: Final = 20.0
"""Seconds that a witness has to answer, with a second request where it knows another size than was thought."""
AGAIN: Final = 10.0
"""Seconds before witnesses that did not sign are asked again, without new leaves too."""
MISSED: Final = 60.0
"""Seconds without the quorum before there is an alarm: a witness may be restarted."""


@define(eq=False)
class Asked:
    """
    One witness.

    @ivar size: of the last checkpoint it signed; C{at}, when (seconds since the epoch).
    @ivar problem: why it did not sign the last one, or C{""}.
    """

    witness: Witness
    size: int = 0
    at: float | None = None
    problem: str = ""
    refused: bool = False


class Publisher:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param alarm: callable(alarm, text).
    @param submit: callable(url, vkey, checkpoint, proofFor, old) -> Deferred[bytes], a cosignature's line
        (L{hoopx.witness.client.submit}).
    @param published: callable(size, note): a checkpoint is published.
    """

    log = Logger()

    def __init__(
        self,
        scribe: Scribe,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
        witnesses: Sequence[Witness] = (),
        quorum: int = 0,
        submit: Callable[..., Any] | None = None,
        published: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self._scribe = scribe
        self._clock = clock
        self._wall = wall
        self._alarm = alarm
        self._asked = [Asked(each) for each in witnesses]
        self._quorum = quorum
        self._submit = submit
        self._published = published
        self._call: Any = None
        self._busy = False
        self._last = -EVERY
        self._signed = 0
        self._good = 0
        self._at: float | None = None
        self._outage = Outage(clock, MISSED)
        self._idle: list[Deferred[None]] = []
        self._stopped = False

    def told(self) -> None:
        """There are new leaves (or, at the start, there may be)."""
        if self._call is None and not self._busy and not self._stopped:
            self._call = self._clock.callLater(max(0.0, self._last + EVERY - self._clock.seconds()), self._due)

    def _due(self) -> None:
        self._call = None
        self._last = self._clock.seconds()
        self._busy = True
        self._go().addErrback(self._failed).addCallback(self._over)

    @inlineCallbacks
    def _go(self) -> Any:
        note = yield self._scribe.threads.call(self._scribe.ledger.checkpoint)
        size = sizeOf(note)
        self._signed = size
        if self._asked:
            lines = yield DeferredList([self._ask(each, note, size) for each in self._asked])
            signatures = [line for _, line in lines if line]
            if len(signatures) < self._quorum:
                self._miss(len(signatures))
                return
            if self._outage.over():
                self.log.info("The checkpoint of {size} leaves has its quorum of witnesses again.", size=size)
            note += b"".join(signatures)
            yield self._scribe.threads.call(self._scribe.ledger.publish, note)
        self._good, self._at = size, self._wall()
        if self._published is not None:
            self._published(size, note)

    def _ask(self, asked: Asked, note: bytes, size: int) -> Deferred[bytes]:
        def proofFor(old: int) -> Any:
            return self._scribe.threads.call(self._scribe.ledger.consistency, old, size)

        assert self._submit is not None
        answer: Deferred[bytes] = maybeDeferred(self._submit, asked.witness.url, asked.witness.key, note, proofFor, asked.size)
        answer.addTimeout(PATIENCE, self._clock)
        return answer.addCallbacks(self._cosigned, self._notCosigned, callbackArgs=(asked, size), errbackArgs=(asked,))

    def _cosigned(self, line: bytes, asked: Asked, size: int) -> bytes:
        asked.size, asked.at, asked.problem, asked.refused = size, self._wall(), "", False
        return line if line.endswith(b"\n") else line + b"\n"

    def _notCosigned(self, failure: Failure, asked: Asked) -> bytes:
        asked.problem = failure.getErrorMessage() or failure.type.__name__
        if failure.check(WitnessRefused) and not asked.refused:
            asked.refused = True
            self._alarm("witness-refused", f"the witness {asked.witness.url} refuses the ledger: {asked.problem}")
        elif not failure.check(WitnessRefused):
            self.log.warn("witness {url} has not signed: {why}", url=asked.witness.url, why=asked.problem)
        return b""

    def _miss(self, count: int) -> None:
        if self._outage.failed():
            why = f"the ledger's checkpoint has {count} of {self._quorum} witnesses for {self._outage.seconds:.0f} s"
            self._alarm("witness-quorum", why)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(OSError, HoopxError):
            self.log.failure("No checkpoint can be made.", failure)
        self._alarm("checkpoint", f"no checkpoint can be made: {failure.getErrorMessage()}")
        self._last = self._clock.seconds() + AGAIN - EVERY

    def _over(self, _: Any) -> None:
        self._busy = False
        if self._good < self._scribe.size:
            if self._good < self._signed == self._scribe.size:  # nothing new but the witnesses' silence
                self._last = self._clock.seconds() + AGAIN - EVERY
            self.told()
        idle, self._idle = self._idle, []
        for each in idle:
            each.callback(None)

    def finish(self) -> Deferred[None]:
        """At the end: one more checkpoint, if there are new leaves. @return: Deferred[None]"""
        if self._busy:
            busy: Deferred[None] = Deferred()
            self._idle.append(busy)
            return busy.addCallback(lambda _: self.finish())
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._stopped = True
        if self._signed >= self._scribe.size:
            return succeed(None)
        return self._go().addErrback(self._failed)

    def status(self) -> dict[str, Any]:
        """Signed and published sizes, why the last write has failed (C{None}: it has not), and how each witness is."""
        return {
            "trouble": self._scribe.trouble,
            "signed": self._signed,
            "published": self._good,
            "at": self._at,
            "quorum": self._quorum,
            "witnesses": [
                {"url": each.witness.url, "size": each.size, "at": each.at, "problem": each.problem[:200]} for each in self._asked
            ],
        }


def sizeOf(note: bytes) -> int:
    """@return: how many leaves a checkpoint speaks of: the second line of C2SP's tlog-checkpoint."""
    return int(note.split(b"\n", 2)[1])
