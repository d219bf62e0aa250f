# -*- test-case-name: tests.state.test_thread -*-
"""
Where the state store's calls run, so that none of them blocks the reactor.
"""

from __future__ import annotations

from typing import Any, Callable, Protocol

from twisted.internet.defer import Deferred, execute
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool


class Threads(Protocol):
    """Runs blocking functions somewhere."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """@return: Deferred of what the function returns."""


class StateThread:
    """
    One thread: calls run in their order, and never two at once.

    @param reactor: L{twisted.internet.interfaces.IReactorFromThreads}.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(1, 1, "hoopx state")

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        """Run what was asked for, then end. Waits for it: a commit's time."""
        self._pool.stop()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """@return: Deferred of what the function returns; it fires on the reactor's thread."""
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)


class Directly:
    """Runs calls at once: for command lines, where there is no reactor, and for tests."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return execute(function, *arguments)
