# -*- test-case-name: tests.recording.test_store -*-
"""
Where slow work goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool


class Threads:
    """
    A thread pool behind one method.

    @param reactor: an L{twisted.internet.interfaces.IReactorFromThreads}.
    @param pool: a started L{twisted.python.threadpool.ThreadPool}.
    """

    def __init__(self, reactor: Any, pool: Any) -> None:
        self._reactor = reactor
        self._pool = pool

    def call(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """@return: a Deferred of what C{work(*arguments)}, run in a thread, returns or raises."""
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)
