# -*- test-case-name: tests.curator.test_answering -*-
"""
The curator's end of the pipe.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from attrs import asdict
from twisted.internet.defer import Deferred, fail, inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.curator import commands
from hoopx.curator.commands import LARGEST, SAID, CuratorFailed
from hoopx.curator.settings import CuratorSettings, load

PAGE: Final = 100
"""Recovered sessions told at once: each has a path and a reason, some 300 bytes."""


class Answers(commands.Peer):
    """
    @param make: callable(alarm, progress, renew) -> L{hoopx.curator.workshop.Workshop}.
    @param over: callable(): the gateway is gone, or wants no more.
    """

    log = Logger()

    def __init__(self, make: Callable[..., Any], over: Callable[[], None]) -> None:
        super().__init__()
        self._workshop = make(self.tell, self._progress, self._renew)
        self._over = over
        self._pieces: list[bytes] = []
        self._again: list[bytes] = []
        self._holds: list[bytes] = []
        self._found: list[Any] = []
        self._recovered: Deferred[Any] | None = None

    def connectionLost(self, reason: Failure = commands.GONE) -> None:
        super().connectionLost(reason)
        self._over()

    @commands.Configure.responder
    def configure(self, piece: bytes, last: bool) -> Any:
        settings = self._piece(self._pieces, piece, last)
        if settings is None:
            return {}
        self._pieces = []
        return self._said(self._workshop.begin, settings).addCallback(lambda _: {})

    def _piece(self, pieces: list[bytes], piece: bytes, last: bool) -> CuratorSettings | None:
        """@return: the settings, with the last piece."""
        if sum(map(len, pieces)) + len(piece) > LARGEST:
            raise CuratorFailed("these are no settings")
        pieces.append(piece)
        if not last:
            return None
        try:
            return load(b"".join(pieces))
        except ValueError as error:
            raise CuratorFailed(str(error)) from None

    @commands.Recover.responder
    @inlineCallbacks
    def recover(self, fresh: bool) -> Any:
        if not self._found:
            found = yield self._said(self._workshop.recover, fresh)
            self._found = recoveredLines(found)
        page, self._found = self._found[:PAGE], self._found[PAGE:]
        for line in page:
            line[-1] = line[-1][:SAID // 10]
        return {"found": json.dumps(page).encode(), "more": bool(self._found)}

    @commands.Opened.responder
    def opened(self, **fields: str) -> Any:
        return self._said(self._workshop.opened, **fields).addCallback(_index)

    @commands.Audit.responder
    def audit(self, audit: str, row: int) -> Any:
        return self._said(self._workshop.audit, audit, row).addCallback(_index)

    @commands.Hold.responder
    def hold(self, session: str, on: bool, audit: str, row: int, hold: int, filter: str) -> Any:
        said = json.loads(filter) if filter else None
        return self._said(self._workshop.hold, session, on, audit, row, hold, said).addCallback(_index)

    @commands.Holds.responder
    def holds(self, piece: bytes, last: bool) -> Any:
        if sum(map(len, self._holds)) + len(piece) > LARGEST:
            self._holds = []
            raise CuratorFailed("these are too many holds")
        self._holds.append(piece)
        if not last:
            return {}
        rows, self._holds = json.loads(b"".join(self._holds)), []
        return self._said(self._workshop.holds, rows).addCallback(lambda _: {})

    @commands.Expired.responder
    def expired(self, after: str) -> Any:
        return self._said(self._workshop.expired, after).addCallback(lambda found: {"found": json.dumps(found).encode()})

    @commands.Erase.responder
    def erase(self, session: str, audit: str) -> Any:
        return self._said(self._workshop.erase, session, audit).addCallback(lambda index: {"index": index})

    @commands.ConfirmClock.responder
    def confirmClock(self) -> Any:
        return self._said(self._workshop.confirmClock).addCallback(lambda said: {"said": json.dumps(said).encode()})

    @commands.Reload.responder
    def reload(self, piece: bytes, last: bool) -> Any:
        settings = self._piece(self._again, piece, last)
        if settings is None:
            return {}
        self._again = []
        return self._said(self._workshop.reload, settings).addCallback(lambda _: {})

    @commands.Sealed.responder
    def sealed(self, session: str, path: str, segment: int, digest: str) -> dict[str, Any]:
        self._workshop.sealed(session, path, segment, digest)
        return {}

    @commands.Ended.responder
    def ended(self, session: str, path: str, segment: int, digest: str) -> dict[str, Any]:
        self._workshop.sealed(session, path, segment, digest)
        return {}

    @commands.Survey.responder
    def survey(self) -> dict[str, Any]:
        self._workshop.survey()
        return {}

    @commands.Status.responder
    def status(self) -> Any:
        return self._said(self._workshop.status).addCallback(lambda status: {"status": json.dumps(status).encode()})

    @commands.Stop.responder
    def stop(self, seconds: float) -> Any:
        return self._said(self._workshop.stop, seconds).addCallback(lambda _: {})

    def _said(self, work: Callable[..., Any], *arguments: Any, **fields: Any) -> Deferred[Any]:
        """What fails is told to the gateway; AMP would close the connection for an error that it does not know."""

        def failed(failure: Failure) -> None:
            if failure.check(CuratorFailed):
                raise CuratorFailed(failure.getErrorMessage()[:SAID])
            self.log.failure("A fault in the curator.", failure)
            raise CuratorFailed(f"a fault in the curator: {failure.type.__name__}")

        return maybeDeferred(work, *arguments, **fields).addErrback(failed)

    # -- towards the gateway

    def tell(self, alarm: str, text: str) -> None:
        """Something that a person should look at."""
        self.log.error("{alarm}: {text}", alarm=alarm, text=text)
        if self.transport is not None:
            self.callRemote(commands.Alarm, alarm=alarm, text=text[:SAID]).addErrback(lambda _: None)

    def _progress(self, done: int, count: int) -> None:
        if self.transport is not None:
            self.callRemote(commands.Progress, done=done, count=count).addErrback(lambda _: None)

    def _renew(self) -> Deferred[Any]:
        """@return: Deferred, fired when the secrets are those that there are now; fails when they can not be had."""
        if self.transport is None:
            return fail(CuratorFailed("the gateway is gone"))
        told: Deferred[Any] = Deferred()  # one of AMP's own that nobody looks at yet would end the connection when it fails
        self.callRemote(commands.Renew).addCallbacks(told.callback, told.errback)
        return told


def _index(indexes: list[int]) -> dict[str, int]:
    return {"index": indexes[0]}


def recoveredLines(found: list[Any]) -> list[list[Any]]:
    """@param found: of L{hoopx.recording.recovery.Recovered}. @return: as JSON can say it."""
    return [list(asdict(each).values()) for each in found]
