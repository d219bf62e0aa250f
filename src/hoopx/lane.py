# -*- test-case-name: tests.test_lane -*-
"""
One ordered flow of a session, and the only place from which its bytes leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.interfaces import ILane
from hoopx.values import ALLOW, ATTEMPTED, CLIENT, HOLD, MADE, PASSED, TARGET, Approval, Block, Command, block

HELD_LIMIT: Final = 64 * 1024
"""Bytes that a held lane takes in before its client is paused. Until then disconnects and Ctrl-C are still seen."""
UNSAFE_LIMIT: Final = 64 * 1024
"""Bytes that wait to be safe before both sides are paused."""
REPEAT: Final = 15.0
"""Seconds between two words to a client whose command is held; also finds dead peers."""

WHERE: Final = 5
"""Places told of a fault: those nearest to it."""

INTERNAL: Final = block("the gateway could not judge this command", hint="Ask the gateway's operator: its log says why.", cause="error")


@implementer(ILane)
class Lane:
    """
    See L{ILane}.

    @param session: the L{hoopx.session.Session}.
    @param channel: its number in the recording.
    @param out: C{(None, towards the target, towards the client)}, indexed by the speaking side.
    @param masks: sides of whose words some are hidden.
    @ivar last: who spoke last: C{CLIENT} when it waits for an answer.
    @ivar unsafe: bytes that are recorded, but not yet safe and so not yet sent.
    @ivar units: what the target's codec has just given out, while it is being handled.
    @ivar missed: the unit of them at which the handling broke off.
    @param flow: the door: C{pauseBoth(reason)}, C{pauseClient(reason)} and their resumes, C{conversation}.
    """

    __slots__ = (
        "_abandoned", "_append", "_command", "_flow", "_held", "_heldBytes", "_latest", "_queue", "_raw", "_repeat", "_unsent",
        "_withdrawn", "channel", "last", "masks", "missed", "out", "session", "units", "unsafe",
    )  # fmt: skip

    log = Logger()

    def __init__(self, session: Any, channel: int, out: tuple, flow: Any, masks: Collection[int] = ()) -> None:
        self.session = session
        self.channel = channel
        self.out = out
        self.masks = masks
        self._flow = flow
        self._append = session.recording.append
        self.unsafe = 0
        self._unsent: deque[bool] = deque()
        self._latest: Deferred | None = None
        self.units: list | None = None
        self.missed: bytes | None = None
        self.last = TARGET
        self._held: Deferred | None = None
        self._heldBytes = 0
        self._queue: deque | None = None
        self._repeat: Any = None
        self._command: Command | None = None
        self._withdrawn: Block | None = None
        self._raw: bytes | None = None
        self._abandoned = False

    def forward(self, side: int, sent: bytes, recorded: bytes | None = None, origin: int = PASSED) -> None:
        pending = self._append(self.channel, side, origin, sent if recorded is None else recorded)
        self.last = side
        if pending is None:
            self.out[side](sent)
        else:
            self._untilSafe(pending, side, sent, sent, len(sent))

    def masked(self, side: int, sent: bytes, original: bytes) -> None:
        if side not in self.masks:
            raise ValueError("the lane was opened without a word that this side is masked")
        self._seal(side, original)
        pending = self._append(self.channel, side, MADE, sent)
        self.last = side
        if pending is not None:
            self._untilSafe(pending, side, sent, original, len(sent) + len(original))
        elif sent:
            self.out[side](sent)

    def _seal(self, side: int, original: bytes) -> None:
        sealed = self.session.recording.seal(self.channel, side, original)
        if sealed is not None:
            sealed.addErrback(self.session.recordingFailed)

    def _untilSafe(self, pending: Deferred, side: int, sent: bytes, unit: bytes, size: int) -> None:
        """@param unit: of which the bytes sent are made. @param size: bytes that are to be safe."""
        self.unsafe += size
        if side == TARGET:
            self._unsent.append(self._whole(unit))
        if self.unsafe >= UNSAFE_LIMIT:
            self._flow.pauseBoth("recording")
        pending.addCallbacks(self._safe, self.session.recordingFailed, callbackArgs=(side, sent, size))
        pending.addErrback(self.session.failed)
        self._latest = pending

    def after(self, call: Callable[[], object]) -> None:
        """Call when everything that was forwarded so far is sent; not at all when the session is over by then."""
        if not self.unsafe or self._latest is None:
            call()
            return

        def sent(_: object) -> None:
            if not self.session.dead:
                call()

        self._latest.addCallback(sent).addErrback(self.session.failed)

    def _safe(self, _: object, side: int, sent: bytes, size: int) -> None:
        self.unsafe -= size
        if self.session.dead:
            return
        if side == TARGET:
            self._unsent.popleft()
        if sent:
            self.out[side](sent)
        if not self.unsafe:
            self._latest = None
            if self.session.ending is None:
                self._flow.resumeBoth("recording")
            elif not self.session.unsafe:
                self.session.finish()

    # What the client has.

    def speakable(self, lost: bool) -> bool:
        """
        Whether words of the gateway's own would stand between two units, and not within one.

        @param lost: what is not sent yet never will be.
        """
        if lost and self._unsent:
            return self._unsent[0]
        if self.missed is not None:
            return self._whole(self.missed)
        return self._flow.conversation.targetCodec.atBoundary

    def _whole(self, raw: bytes) -> bool:
        """Whether all that was given out before C{raw} ends where a unit ends: only what comes first can go on with an old one."""
        units = self.units
        return not units or raw is not units[0][1] or self._flow.conversation.targetCodec.wasAtBoundary

    def attempt(self, side: int, raw: bytes) -> None:
        # What is not forwarded needs no waiting for.
        if side in self.masks:
            self._seal(side, raw)
            raw = b""
        pending = self._append(self.channel, side, ATTEMPTED, raw)
        if pending is not None:
            pending.addErrback(self.session.recordingFailed)

    def note(self, kind: str, **fields: Any) -> None:
        self.session.note(kind, channel=self.channel, **fields)

    def mask(self, fields: Any) -> None:
        return None

    # Judgement.

    def submit(self, raw: bytes, command: Any, proceed: Callable[[bytes], None]) -> None:
        if isinstance(command, Deferred):
            self.hold(command.addCallback(self._judgeLate), raw, proceed)
            return
        verdict = self.judge(command)
        if verdict is ALLOW:
            proceed(raw)
        elif verdict is HOLD:
            self._command = command
            self.hold(self._ask(command), raw, proceed)
        else:
            self.refuse(raw, command, verdict)

    def judge(self, command: Command) -> Any:
        """@return: C{ALLOW}, C{HOLD} or a L{Block}; a L{Block} whenever something went wrong."""
        try:
            verdict = self.session.broker.policy.judge(command, self.session)
        except Exception:
            self._fault("policy failed: the command is refused", Failure())
            return INTERNAL
        if verdict is ALLOW or verdict is HOLD or isinstance(verdict, Block):
            return verdict
        self.log.error("policy gave no verdict: the command is refused", session=self.session.id)
        return INTERNAL

    def _fault(self, what: str, failure: Failure) -> None:
        if self.masks:  # what it says may be what is hidden from everybody else
            self.log.error("{what}: {where}", what=what, where=placed(failure), session=self.session.id)
        else:
            self.log.failure(what, failure=failure, session=self.session.id)

    def _judgeLate(self, command: Command) -> Any:
        self._command = command
        verdict = self.judge(command)
        return self._ask(command) if verdict is HOLD else verdict

    def _ask(self, command: Command) -> Deferred:
        session = self.session
        approval = Approval(
            session.broker.newId(), session.id, session.identity, session.target.name, command, session.broker.wall()
        )
        self.note("approval", approval=approval.id, state="asked")
        self.session.broker.tell("held", session=self.session.id)
        try:
            answer = session.broker.approver.request(approval)
        except Exception:
            self._fault("approver failed: the command is refused", Failure())
            answer = succeed(INTERNAL)
        if not answer.called:
            self._wait(approval)
        return answer

    def _wait(self, approval: Approval) -> None:
        self._repeat = self.session.broker.clock.callLater(REPEAT, self._wait, approval)
        try:
            self._flow.conversation.waiting(self, approval)
        except Exception:
            self.session.failed(Failure())

    def refuse(self, raw: bytes, command: Command | None, verdict: Block) -> None:
        """Record the attempt and the verdict, and let the conversation tell the client."""
        self.attempt(CLIENT, raw)
        self.note("verdict", verdict="block", reason=verdict.reason, guard=verdict.guard, sequence=self.session.recording.sequence)
        self.session.broker.tell("blocked", session=self.session.id, guard=verdict.guard)
        self._flow.conversation.refuse(self, command, verdict)

    # Holds: this lane's client direction only.

    @property
    def held(self) -> bool:
        return self._queue is not None

    def hold(self, deferred: Deferred, raw: bytes, proceed: Callable[[bytes], None]) -> None:
        self._queue = deque() if self._queue is None else self._queue
        self._held = deferred
        self._raw = raw
        deferred.addCallbacks(self._released, self._unreleased, callbackArgs=(raw, proceed), errbackArgs=(raw,))
        deferred.addErrback(self.session.failed)

    def later(self, handler: Callable[[bytes], None] | None, raw: bytes) -> None:
        """Take a unit that arrived during a hold; it is handled, in order, after the release."""
        assert self._queue is not None
        self._queue.append((handler, raw))
        self._heldBytes += len(raw)
        if self._heldBytes > HELD_LIMIT:
            self._flow.pauseClient("hold")

    def withdraw(self, message: str) -> bool:
        if self._held is None:
            return False
        self._withdrawn = block(message, cause="withdrawn")
        self._held.cancel()
        return True

    def _released(self, verdict: Any, raw: bytes, proceed: Callable[[bytes], None]) -> None:
        self._settle()
        if self.session.dead or self._abandoned:
            return
        if verdict is ALLOW:
            self.note("verdict", verdict="allow", held=True)
            proceed(raw)
        else:
            self.refuse(raw, self._command, verdict if isinstance(verdict, Block) else INTERNAL)
        self._drain()

    def _unreleased(self, failure: Failure, raw: bytes) -> None:
        withdrawn, self._withdrawn = self._withdrawn, None
        self._settle()
        if self.session.dead or self._abandoned:
            return
        if withdrawn is None:
            self._fault("a held command failed: it is refused", failure)
        self.refuse(raw, self._command, withdrawn or INTERNAL)
        self._drain()

    def _settle(self) -> None:
        self._held = None
        if self._repeat is not None and self._repeat.active():
            self._repeat.cancel()
        self._repeat = None

    def _drain(self) -> None:
        """Handle what waited, in order, until another command is held."""
        queue = self._queue
        while queue and self._held is None and not self.session.dead:
            handler, raw = queue.popleft()
            self._heldBytes -= len(raw)
            if handler is None:
                self.forward(CLIENT, raw)
            else:
                handler(raw)
        if self._held is None:
            self._queue = None
            self._heldBytes = 0
            self._flow.resumeClient("hold")

    def abandon(self) -> None:
        """The session is over: whoever was asked need not answer, and what waited is recorded as attempted."""
        held, self._held = self._held, None
        raw, self._raw = self._raw, None
        self._settle()
        queue, self._queue = self._queue, None
        if held is not None:
            self._abandoned = True
            self.attempt(CLIENT, raw or b"")
            held.cancel()
        for _, raw in queue or ():
            self.attempt(CLIENT, raw)


def placed(failure: Failure) -> str:
    """What kind of failure and where, without its words."""
    where = ", ".join(f"{file}:{line} in {function}" for function, file, line, *_ in failure.frames[-WHERE:])
    return f"{failure.type.__name__ if failure.type else 'failure'} at {where or 'an unknown place'}"
