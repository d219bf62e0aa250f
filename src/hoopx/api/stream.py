# -*- test-case-name: tests.api.test_stream -*-
"""
A live session's objects on their way to somebody who watches.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

# How often is looked for more: soon enough for eyes.
LOOK_SECONDS: Final = 0.2

# What has much to catch up with leaves so much for everybody else between two looks.
BREATH_SECONDS: Final = 0.02


@implementer(IPushProducer)
class Stream:
    """
    Lines from a source to a request. A reader who does not read is waited for: nothing is kept for them.

    @param request: L{twisted.web.iweb.IRequest}
    @param source: L{hoopx.api.control.ITail}
    @param clock: L{twisted.internet.interfaces.IReactorTime}
    """

    def __init__(self, request: Any, source: Any, clock: Any) -> None:
        self._request = request
        self._source = source
        self._clock = clock
        self._paused = False
        self._reading = False
        self._next: Any = None
        self._done: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """@return: fires at the session's end; cancelled when the reader leaves."""
        done: Deferred[None] = Deferred(lambda _: self._finish())
        self._done = done
        self._request.registerProducer(self, True)
        self._request.write(b"")  # the headers, so that the reader knows that they are connected
        self._look()
        return done

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._reading and self._next is None and self._done is not None:
            self._look()

    def stopProducing(self) -> None:
        self._finish()

    def _look(self) -> None:
        self._next = None
        self._reading = True
        maybeDeferred(self._source.read).addCallbacks(self._lines, self._finish).addErrback(self._finish)

    def _lines(self, lines: list[str] | None) -> None:
        self._reading = False
        if self._done is None:
            return
        if lines is None:
            self._finish(None, True)
            return
        if lines:
            self._request.write("".join(line + "\n" for line in lines).encode("utf-8", "replace"))
        if not self._paused:
            # Never at once: the reactor has others to serve, and a write tells us to pause only when it is back.
            pause = BREATH_SECONDS if self._source.behind else 0 if lines else LOOK_SECONDS
            self._next = self._clock.callLater(pause, self._look)

    def _finish(self, why: Failure | None = None, atEnd: bool = False) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._request.unregisterProducer()
        self._source.close()
        if why is not None:
            done.errback(why)
        elif atEnd:
            done.callback(None)
