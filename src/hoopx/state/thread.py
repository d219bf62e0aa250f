# -*- test-case-name: tests.state.test_thread -*-
"""
Where the state store's calls run, so that none of them blocks the reactor.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Protocol

from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from hoopx.errors import HoopxError

SECONDS: Final = 8.0
"""A call waits so long for its turn and its answer: longer than a server's own limits, shorter than a login's deadline."""


class Unavailable(HoopxError):
    """The state store does not answer."""


class Threads(Protocol):
    """Runs blocking functions somewhere."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """@return: Deferred of what the function returns."""


class StateThread:
    """
    One thread: calls run in their order, and never two at once.

    @param reactor: L{twisted.internet.interfaces.IReactorFromThreads} and C{IReactorTime}.
    @param seconds: how long a call may take, from its asking on.
    @ivar stuck: callable(), told when a call takes too long: lets whatever the thread waits for fail.
    """

    def __init__(self, reactor: Any, seconds: float = SECONDS) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pool = ThreadPool(1, 1, "hoopx state")
        self.stuck: Callable[[], Any] = lambda: None

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        """Run what was asked for, then end. Waits for it: a commit's time, or what a server that does not answer is given."""
        self._pool.stop()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """
        @return: Deferred of what the function returns; it fires on the reactor's thread. Fails with L{Unavailable} when that takes
            too long: a call whose turn has not come by then is not made any more.
        """
        return self._call(_Asked(self._reactor, self._seconds, self.stuck), function, *arguments)

    def patiently(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Like L{call}, however long it takes: for opening and closing the store, when nobody waits to log in."""
        return self._call(_Asked(self._reactor, None, self.stuck), function, *arguments)

    def _call(self, asked: _Asked, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        self._pool.callInThreadWithCallback(asked.answered, asked.run, function, *arguments)
        return asked.done


class _Asked:
    """
    One call.

    @param seconds: C{None}: however long it takes.
    @ivar done: Deferred of its answer.
    """

    def __init__(self, reactor: Any, seconds: float | None, stuck: Callable[[], Any]) -> None:
        self.done: Deferred[Any] = Deferred()
        self._reactor = reactor
        self._stuck = stuck
        self._running = False
        self._over = False
        self._late: Any = None if seconds is None else reactor.callLater(seconds, self._tooLate)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """In the thread."""
        if self._over:
            return None
        self._running = True
        try:
            return function(*arguments)
        finally:
            self._running = False

    def answered(self, success: bool, answer: Any) -> None:
        """In the thread."""
        self._reactor.callFromThread(self._answered, answer)

    def _answered(self, answer: Any) -> None:
        if self._over:
            return
        self._over = True
        if self._late is not None:
            self._late.cancel()
        self.done.callback(answer)  # a Failure fails it

    def _tooLate(self) -> None:
        self._over = True
        if self._running:
            self._stuck()
        self.done.errback(Failure(Unavailable("the state store does not answer")))


class Directly:
    """Runs calls at once: for command lines, where there is no reactor, and for tests."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return execute(function, *arguments)
