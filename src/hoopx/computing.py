# -*- test-case-name: tests.test_computing -*-
"""
Computations that would hold everybody up: in threads of their own, and what is asked twice at a time is done once.
"""

from __future__ import annotations

from typing import Any, Callable, Final

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.errors import Refusal

_GONE: Final = object()
WAITING_LIMIT: Final = 100
"""Different computations under way or waiting. A target that asks for the longest there is, again and again, fills no more."""


class Computing:
    """
    @param threads: has C{call(function, *arguments)} -> Deferred; few, and for nothing else: a session's own work must not keep the
        disk waiting.
    """

    log = Logger()

    def __init__(self, threads: Any) -> None:
        self._threads = threads
        # Keys hold arguments, which may be secret: they are gone when the result is there.
        self._askers: dict[tuple, list[Deferred]] = {}

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred:
        """
        @param function: pure; the same arguments give the same result. It must let go of the interpreter's lock.
        @param arguments: hashable.
        @return: Deferred of its result. A computation whose askers have all cancelled before it began is not done. Fails with
            L{Refusal} when too many wait.
        """
        key = (function, *arguments)
        askers = self._askers.get(key)
        if askers is None:
            if len(self._askers) >= WAITING_LIMIT:
                self.log.warn("{limit} computations wait: one more is refused", limit=WAITING_LIMIT)
                return fail(Refusal("limit", "the gateway has too much to compute", "Try again later."))
            askers = self._askers[key] = []
            self._begin(key, askers)
        asker: Deferred = Deferred(askers.remove)
        askers.append(asker)
        return asker

    def _begin(self, key: tuple, askers: list[Deferred]) -> None:
        self._threads.call(_unlessGone, askers, *key).addBoth(self._done, key, askers)

    def _done(self, result: Any, key: tuple, askers: list[Deferred]) -> None:
        if result is _GONE and askers:
            # Somebody has asked again in the meantime.
            self._begin(key, askers)
            return
        del self._askers[key]
        for asker in askers[:]:
            # One that fires may cancel another.
            if asker in askers:
                askers.remove(asker)
                asker.errback(result) if isinstance(result, Failure) else asker.callback(result)


def _unlessGone(askers: list[Deferred], function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments) if askers else _GONE
