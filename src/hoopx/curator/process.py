# -*- test-case-name: tests.curator.test_process -*-
"""
The curator as the gateway sees it: a child process that is started, told its settings, and started again when it dies.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator import commands
from hoopx.curator.alarms import Alarms
from hoopx.curator.asking import PATIENCE, Openings
from hoopx.curator.commands import CuratorFailed
from hoopx.curator.pipes import Listener, Pipes
from hoopx.recording.recovery import Recovered

FIRST: Final = 0.1
"""Seconds before the first new start..."""
LONGEST: Final = 10.0
"""...twice as long each time, up to this: a new session waits L{hoopx.curator.asking.PATIENCE} for it."""
STEADY: Final = 60.0
"""Seconds of service after which the back-off begins anew."""
TRIES: Final = 5
"""Starts in which it may die before the gateway gives up its own start."""
LOOK: Final = 2.0
"""Seconds between two looks at how it is."""
SILENT: Final = PATIENCE + LOOK
"""Seconds without an answer to that after which it is called silent: one has been waited for so long that a new session is refused."""
HUNG: Final = 60.0
"""Seconds without an answer to that after which it is killed. Its slow work is in threads: an answer takes milliseconds."""
FINISH: Final = 10.0
"""Seconds that it has at the gateway's end for what is sealed; the rest is done at the next start."""
EXIT: Final = 5.0
"""Seconds from the end of its input to its own; then it is killed."""
LONG: Final = 120.0
"""Seconds for one question that may take long: a session's objects are removed from a store one by one."""
HINTS: Final = 2000
"""Hints that may be unanswered; more are not sent, but replaced by one to look for itself."""


class Curator:
    """
    @param spawn: callable(ProcessProtocol), see L{spawner}.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param configuration: callable() -> bytes or Deferred[bytes]: what L{hoopx.curator.settings.dump} gives. Asked at each start.
    @param tell: callable(alarm, {"text": ...}) for alarms.
    @ivar state: C{"down"}, C{"starting"} or C{"ready"}; L{status} tells C{"silent"} of one that is ready and does not answer.
    """

    log = Logger()

    def __init__(
        self,
        spawn: Callable[[Any], Any],
        clock: Any,
        configuration: Callable[[], Any],
        tell: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        self._spawn = spawn
        self._clock = clock
        self._configuration = configuration
        self._tell = tell
        self._pipes: Pipes | None = None
        self._openings = Openings(clock, Alarms(clock, self.alarm))
        self._ready: Deferred[list[Recovered]] | None = None
        self._recovering: Callable[[int, int], None] | None = None
        self._fresh = True
        self._tries = 0
        self._wait = FIRST
        self._since = 0.0
        self._call: Any = None
        self._look: Any = None
        self._seen = 0.0
        self._status: dict[str, Any] = {}
        self._hints = 0
        self._missed = False
        self._starts = 0
        self._gone: Deferred[None] | None = None
        self.state = "down"

    # -- its life

    def recover(self, progress: Callable[[int, int], None] | None = None) -> Deferred[list[Recovered]]:
        """
        Start it, at the gateway's own start, with the data directory ours.

        @return: Deferred[list[L{Recovered}]] when it is ready; fails with L{CuratorFailed}.
        """
        self._recovering = progress
        ready: Deferred[list[Recovered]] = Deferred()
        self._ready = ready
        self._begin()
        return ready

    def _begin(self) -> None:
        self._call = None
        self._starts += 1
        try:
            self._spawn(Pipes(self, Listener(self)))
        except Exception as error:  # no process could be made: memory, descriptors
            self.log.error("The curator can not be started: {why}", why=str(error))
            self._again()

    def connected(self, pipes: Pipes) -> None:
        """Of L{Pipes}."""
        self._pipes = pipes
        self.state = "starting"
        self._introduce(pipes).addCallbacks(self._isReady, self._refused, callbackArgs=(pipes,), errbackArgs=(pipes,))

    @inlineCallbacks
    def _introduce(self, pipes: Pipes) -> Any:
        configuration = yield maybeDeferred(self._configuration)
        for piece, last in commands.pieces(configuration):
            yield pipes.peer.callRemote(commands.Configure, piece=piece, last=last)
        found: list[Recovered] = []
        more = True
        while more:
            answer = yield pipes.peer.callRemote(commands.Recover, fresh=self._fresh)
            found += [Recovered(*each) for each in json.loads(answer["found"])]
            more = answer["more"]
        return found

    def _isReady(self, found: list[Recovered], pipes: Pipes) -> None:
        if self._pipes is not pipes:
            return
        self.state = "ready"
        self._fresh = False
        self._since = self._seen = self._clock.seconds()
        self._openings.use(pipes.peer)
        self._look = self._clock.callLater(0, self._ask)
        if self._ready is not None:
            ready, self._ready = self._ready, None
            ready.callback(found)
        else:
            self.log.info("The curator is back.")

    def _refused(self, failure: Failure, pipes: Pipes) -> None:
        """It could not be set up: it says why, or it died."""
        if failure.check(CuratorFailed) and self._ready is not None:
            ready, self._ready = self._ready, None
            ready.errback(failure)
        elif self._pipes is pipes:
            self.log.error("The curator does not start: {why}", why=failure.getErrorMessage())
        self._kill(pipes)

    def _kill(self, pipes: Pipes) -> None:
        try:
            pipes.transport.signalProcess("KILL")  # type: ignore[union-attr]
        except Exception:  # it is gone already
            pass

    def ended(self, pipes: Pipes, reason: Failure) -> None:
        """Of L{Pipes}: the process is gone."""
        if self._pipes is not pipes:
            return
        self._pipes = None
        self.state = "down"
        self._openings.lose()
        self._hints = 0
        if self._look is not None and self._look.active():
            self._look.cancel()
        self._look = None
        if self._gone is not None:
            self._gone.callback(None)
            return
        self.log.error("The curator has ended: {why}", why=reason.getErrorMessage())
        self._again()

    def _again(self) -> None:
        if self._ready is not None:
            self._tries += 1
            if self._tries >= TRIES:
                ready, self._ready = self._ready, None
                ready.errback(CuratorFailed("the curator can not be started: its last words are in the log"))
                return
        elif self._fresh:  # the start has failed: nobody wants it any more
            return
        else:
            self.alarm("curator-down", "the curator has ended; it is started again")
        if self._since and self._clock.seconds() - self._since > STEADY:
            self._wait = FIRST
        self._since = 0.0
        self._call = self._clock.callLater(self._wait, self._begin)
        self._wait = min(self._wait * 2, LONGEST)

    def stop(self) -> Deferred[None]:
        """@return: Deferred[None], fired when the process has ended."""
        self._openings.stop()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._gone = Deferred()
        gone = self._gone
        pipes = self._pipes
        if pipes is None:
            gone.callback(None)
            return gone
        timers = [
            self._clock.callLater(FINISH + 1.0, self._eof, pipes),
            self._clock.callLater(FINISH + 1.0 + EXIT, self._kill, pipes),
        ]
        if self.state == "ready":
            pipes.peer.callRemote(commands.Stop, seconds=FINISH).addBoth(lambda _: self._eof(pipes))
        else:
            self._eof(pipes)

        def over(_: Any) -> None:
            for timer in timers:
                if timer.active():
                    timer.cancel()

        return gone.addCallback(over)

    def _eof(self, pipes: Pipes) -> None:
        if self._pipes is pipes:
            pipes.transport.closeStdin()  # type: ignore[union-attr]

    # -- what it is told

    def opened(self, recording: Any) -> Deferred[int]:
        """
        @param recording: has C{session}, C{path}, C{key} and C{head} (hexadecimal).
        @return: Deferred[index], when the OPEN leaf is durable; fails with L{CuratorFailed}. May be cancelled.
        """
        return self._openings.add(
            commands.Opened, session=recording.session, path=recording.path, key=recording.key, head=recording.head
        )

    def audit(self, audit: str, row: int = 0) -> Deferred[int]:
        """@param audit: hash, hexadecimal. @return: Deferred[index]; fails with L{CuratorFailed}."""
        return self._openings.add(commands.Audit, audit=audit, row=row)

    def audited(self) -> Deferred[tuple[int, str]]:
        """@return: Deferred[the last row of the audit that is in the ledger, and its hash]; fails with L{CuratorFailed}."""

        def said(answer: dict[str, Any]) -> tuple[int, str]:
            status = json.loads(answer["status"])
            if status.get("audit") is None:
                raise CuratorFailed("the curator has not said how far the audit is in the ledger")
            return int(status["audit"]), str(status["audited"])

        return self._slowly(commands.Status).addCallback(said)

    def hold(self, session: str, on: bool, audit: str, row: int, hold: int = 0, filter: Any = None) -> Deferred[int]:
        """
        A session is held, or no longer; or (C{session} is empty) those of a filter. @return: Deferred[index]; fails with
        L{CuratorFailed}.
        """
        said = "" if filter is None else json.dumps(filter)
        return self._openings.add(commands.Hold, session=session, on=on, audit=audit, row=row, hold=hold, filter=said)

    @inlineCallbacks
    def holds(self, rows: list[dict[str, Any]]) -> Any:
        """@param rows: all that hold now. @return: Deferred[None]; fails with L{CuratorFailed}."""
        said = [{name: row[name] for name in ("id", "session", "filter")} for row in rows]
        for piece, last in commands.pieces(json.dumps(said).encode()):
            yield self._slowly(commands.Holds, piece=piece, last=last)

    def expired(self, after: str) -> Deferred[list[dict[str, Any]]]:
        """@return: see L{hoopx.retention.erasing.Eraser.expired}; fails with L{CuratorFailed}."""
        return self._slowly(commands.Expired, after=after).addCallback(lambda answer: json.loads(answer["found"]))

    def erase(self, session: str, audit: str) -> Deferred[int]:
        """@return: Deferred[index of the leaf]; fails with L{CuratorFailed}."""
        return self._slowly(commands.Erase, session=session, audit=audit).addCallback(lambda answer: answer["index"])

    def confirmClock(self) -> Deferred[Any]:
        """A person says that the clock is right. @return: Deferred[what came of it]; fails with L{CuratorFailed}."""
        return self._slowly(commands.ConfirmClock).addCallback(lambda answer: json.loads(answer["said"]))

    @inlineCallbacks
    def reload(self) -> Any:
        """Tell it of new settings; where it is not there, it is told at its next start."""
        configuration = yield maybeDeferred(self._configuration)
        for piece, last in commands.pieces(configuration):
            yield self._slowly(commands.Reload, piece=piece, last=last)

    def _slowly(self, command: Any, **fields: Any) -> Deferred[Any]:
        """Ask for what may take long. Not asked again of a successor: what was asked for can be asked for again."""
        if self.state != "ready" or self._pipes is None:
            return fail(CuratorFailed("the curator is not there at the moment: try again"))
        asked: Deferred[Any] = self._pipes.peer.callRemote(command, **fields)
        asked.addTimeout(LONG, self._clock)

        def failed(failure: Failure) -> Failure:
            if failure.check(CuratorFailed):
                return failure
            return Failure(CuratorFailed(f"the curator has not answered: {failure.type.__name__}"))

        return asked.addErrback(failed)

    def sealed(self, session: str, path: str, segment: int, digest: str = "") -> None:
        """
        A segment of a recording is sealed and on the disk.

        @param digest: hex SHA-256 of its file; C{""}: not known, so the curator hashes what it does not pack.
        """
        self._hint(commands.Sealed, session=session, path=path, segment=segment, digest=digest)

    def recordingEnded(self, session: str, path: str, segment: int = -1, digest: str = "") -> None:
        """A recording is closed. C{segment}: the last one that is sealed, C{-1}: none."""
        self._hint(commands.Ended, session=session, path=path, segment=segment, digest=digest)

    def _hint(self, command: Any, **fields: Any) -> None:
        if self.state != "ready" or self._pipes is None:
            return  # it looks for itself when it starts
        if self._hints >= HINTS:
            self._missed = True
            return
        self._hints += 1
        self._pipes.peer.callRemote(command, **fields).addBoth(self._hinted, self._pipes)

    def _hinted(self, _: Any, pipes: Pipes) -> None:
        if self._pipes is not pipes:
            return
        self._hints -= 1
        if self._missed and not self._hints:
            self._missed = False
            self._hint(commands.Survey)

    # -- how it is

    def _ask(self) -> None:
        pipes = self._pipes
        assert pipes is not None
        if self._clock.seconds() - self._seen > HUNG:
            self.alarm("curator-hung", f"the curator has not answered for {HUNG:.0f} s: it is killed and started again")
            self._kill(pipes)
            return
        self._look = self._clock.callLater(LOOK, self._ask)
        pipes.peer.callRemote(commands.Status).addCallbacks(self._answered, lambda failure: None)

    def _answered(self, answer: dict[str, Any]) -> None:
        self._seen = self._clock.seconds()
        self._status = json.loads(answer["status"])

    def status(self) -> dict[str, Any]:
        """@return: what it said last (L{hoopx.curator.workshop.Workshop.status}), with C{state} and C{starts}."""
        silent = self.state == "ready" and self._clock.seconds() - self._seen > SILENT
        return {**self._status, "state": "silent" if silent else self.state, "starts": self._starts}

    def alarm(self, alarm: str, text: str) -> None:
        """Something that a person should look at."""
        self.log.error("{alarm}: {text}", alarm=alarm, text=text)
        if self._tell is not None:
            self._tell(alarm, {"why": text})

    def progress(self, done: int, count: int) -> None:
        if self._recovering is not None:
            self._recovering(done, count)
