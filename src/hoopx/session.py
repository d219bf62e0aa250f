# -*- test-case-name: tests.test_door -*-
"""
One identity at one target with one recording: its deadlines and its end.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import ProtocolViolation, RecordingFailed, Refusal
from hoopx.interfaces import ISession
from hoopx.lane import Lane, placed
from hoopx.values import CLIENT, MADE, TARGET, Claim, Grant, Identity, Target

REASONS: Final = {
    "client-left": "the client closed its connection",
    "target-left": "the target closed its connection",
    "idle": "nothing was said for too long",
    "deadline": "the session reached its maximum duration",
    "expired": "the access token reached its end",
    "killed": "an operator ended the session",
    "revoked": "the access was revoked",
    "grant-lost": "the grant is gone from the configuration",
    "refused": "the session was not admitted",
    "target-failed": "the target could not be reached, verified or logged in to",
    "login-timeout": "the login took too long",
    "violation": "a side did not keep to its protocol",
    "recording-failed": "the session can not be recorded any more",
    "shutdown": "the gateway was stopped",
    "internal-error": "a fault in the gateway",
}
"""Reasons of DONE."""

SILENT: Final = frozenset({"client-left", "target-left", "refused", "target-failed"})
"""Reasons of which nobody needs to be told, or has been told."""


_REFUSED: Final = {"unavailable": "target-failed", "login-timeout": "login-timeout", "invalid": "violation"}

LINGER: Final = 10.0
"""Seconds that a slow disk has to make the last bytes safe before the session ends without them."""


@implementer(ISession)
class Session:
    """
    See L{ISession}. Made by L{hoopx.admission}, ended once.

    @ivar leaving: the reason, should the target close its connection now.
    @ivar ending: the reason, from the moment the end begins.
    @ivar dead: nothing is sent any more.
    """

    __slots__ = (
        "_idle", "_lanes", "_maximum", "broker", "claim", "dead", "door", "ending", "grant", "id", "identity", "judged", "leaving",
        "recording",
        "started", "target",
    )  # fmt: skip

    log = Logger()

    def __init__(self, broker: Any, door: Any, recording: Any, identity: Identity, claim: Claim, target: Target, grant: Grant) -> None:
        self.broker = broker
        self.door = door
        self.recording = recording
        self.id = recording.session
        self.identity = identity
        self.claim = claim
        self.target = target
        self.grant = grant
        self.judged = bool(broker.policy is not None and broker.policy.concerns(identity, target, target.protocol))
        self.started = broker.clock.seconds()
        self.ending: str | None = None
        self.dead = False
        self.leaving = "target-left"
        self._lanes: list[Lane] = []
        self._idle: Any = None
        self._maximum: Any = None

    def lane(self, channel: int, out: Any = None, masks: Collection[int] = ()) -> Lane:
        lane = Lane(self, channel, out or self.door.outs(), self.door, masks)
        self._lanes.append(lane)
        return lane

    def note(self, kind: str, **fields: Any) -> None:
        unsafe = self.recording.note(kind, **fields)
        if unsafe is not None:
            unsafe.addErrback(self.recordingFailed)

    # Deadlines.

    def live(self) -> None:
        """The session has begun: idle and maximum deadlines run."""
        limits = self.broker.limits
        self._idle = self.broker.timers.later(limits.idleTimeout, self._checkIdle)
        seconds, reason = self.grant.maxDuration or limits.maxDuration, "deadline"
        if self.identity.expires is not None:
            left = self.identity.expires - self.broker.wall()
            if left < seconds:
                seconds, reason = max(0.0, left), "expired"
        self._setMaximum(self.broker.clock.seconds() + seconds, reason)

    def _setMaximum(self, when: float, reason: str) -> None:
        self._maximum = None
        left = when - self.broker.clock.seconds()
        if left <= 0:
            self.end(reason)
        else:
            self._maximum = self.broker.timers.later(left, self._setMaximum, when, reason)

    def _checkIdle(self) -> None:
        # A client that waits for a person or for its answer is not idle, however long that takes.
        self._idle = None
        left = self.broker.limits.idleTimeout - (self.broker.monotonic() - self.recording.lastActivity) / 1e9
        if left <= 0 and not any(lane.held or lane.last == CLIENT for lane in self._lanes):
            self.end("idle")
        else:
            self._idle = self.broker.timers.later(max(left, 1.0), self._checkIdle)

    # The end.

    def end(self, reason: str, message: str = "") -> None:
        if self.ending is not None:
            return
        self.ending = reason
        for timer in (self._idle, self._maximum):
            if timer is not None:
                timer.cancel()
        self._idle = self._maximum = None
        if reason not in SILENT and self._lanes:
            self._say(reason, message or REASONS.get(reason, reason))
        for lane in self._lanes:
            try:
                lane.abandon()
            except RecordingFailed:
                self.ending = "recording-failed"
        if self.ending == "recording-failed" or not self.unsafe:
            self.finish()
        else:
            # What is being made safe is still delivered: the last lane to have done so finishes.
            self.broker.timers.later(LINGER, self.finish)

    @property
    def unsafe(self) -> int:
        """Bytes that are recorded but not yet safe, and so not yet sent."""
        return sum(lane.unsafe for lane in self._lanes)

    def _say(self, reason: str, message: str) -> None:
        """Tell the client, recorded like everything else; only when recording itself has failed, unrecorded."""
        lane, failed = self._lanes[0], reason == "recording-failed"
        try:
            words = self.door.conversation.end(reason, message)
            # Within a unit that has come in part the client would take our words for the rest of it.
            if not words or not lane.speakable(failed):
                return
        except Exception:
            self.log.failure("the end could not be told", session=self.id)
            return
        if failed:
            lane.out[TARGET](words)
            return
        try:
            lane.forward(TARGET, words, origin=MADE)
        except RecordingFailed:
            self.ending = "recording-failed"
            if lane.speakable(True):
                lane.out[TARGET](words)

    def refused(self, refusal: Refusal) -> None:
        """Not admitted, or the target login failed; the client has been told."""
        self._noteQuietly("refused", code=refusal.code, text=refusal.message)
        self.end(_REFUSED.get(refusal.code, "refused"))

    def finish(self) -> None:
        """Nothing is sent any more: close the connections and the recording."""
        if self.dead:
            return
        self.dead = True
        reason = self.ending or "internal-error"
        self.door.finish(reason)
        self.broker.ended(self)
        self.broker.tell("ended", session=self.id, user=self.identity.name, target=self.target.name, reason=reason)
        self.recording.close(reason).addBoth(lambda _: self.broker.closed(self))

    # What can go wrong. Each of these ends this session, and nothing else.

    def recordingFailed(self, failure: Failure) -> None:
        if self.ending is None:
            self.log.error("recording failed: {why}", session=self.id, why=failure.getErrorMessage())
            self.broker.tell("alarm", session=self.id, alarm="recording-failed", why=failure.getErrorMessage())
        elif not self.dead and self._lanes and self.ending not in ("client-left", "recording-failed"):
            # It was to end anyway, and the word about that is among what can not be recorded.
            self.ending = "recording-failed"
            self._say(self.ending, REASONS[self.ending])
        self.end("recording-failed")
        self.finish()

    def failed(self, failure: Failure) -> None:
        if failure.check(RecordingFailed):
            self.recordingFailed(failure)
        elif failure.check(ProtocolViolation):
            self._noteQuietly("note", text=failure.getErrorMessage())
            self.end("violation", failure.getErrorMessage())
        else:
            if any(lane.masks for lane in self._lanes):
                # What it says may be what is hidden from everybody else.
                self.log.error("a fault in the gateway ends a session: {what}", what=placed(failure), session=self.id)
            else:
                self.log.failure("a fault in the gateway ends a session", failure=failure, session=self.id)
            self.end("internal-error")

    def _noteQuietly(self, kind: str, **fields: Any) -> None:
        try:
            self.note(kind, **fields)
        except RecordingFailed:
            pass
