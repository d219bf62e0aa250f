# -*- test-case-name: tests.test_timers -*-
"""
Timers of thousands of sessions on a few delayed calls: those that are due in the same second share one.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Callable


class Timers:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param bucket: seconds that share one delayed call. A timer is late by up to that, and never early.
    """

    def __init__(self, clock: Any, bucket: float = 1.0) -> None:
        self._clock = clock
        self._bucket = bucket
        self._buckets: dict[int, dict[Timer, None]] = {}
        self._calls: dict[int, Any] = {}

    def later(self, delay: float, call: Callable[..., Any], *arguments: Any) -> Timer:
        """@return: a timer that can be cancelled, also when it is over."""
        now = self._clock.seconds()
        index = ceil((now + delay) / self._bucket)
        timer = Timer(self, index, call, arguments)
        bucket = self._buckets.get(index)
        if bucket is None:
            self._buckets[index] = {timer: None}
            self._calls[index] = self._clock.callLater(max(0.0, index * self._bucket - now), self._due, index)
        else:
            bucket[timer] = None
        return timer

    def _due(self, index: int) -> None:
        del self._calls[index]
        timers = self._buckets.pop(index)
        while timers:
            timer = next(iter(timers))
            del timers[timer]
            # A fault in one must not take the others along.
            self._clock.callLater(0, timer.run)


    def forget(self, timer: Timer, index: int) -> None:
        """A timer was cancelled. The last one of its second takes the delayed call along."""
        bucket = self._buckets.get(index)
        if bucket is not None and bucket.pop(timer, self) is None and not bucket and index in self._calls:
            del self._buckets[index]
            self._calls.pop(index).cancel()


class Timer:
    """One call to come."""

    __slots__ = ("_arguments", "_call", "_index", "_timers")

    def __init__(self, timers: Timers, index: int, call: Callable[..., Any], arguments: tuple) -> None:
        self._timers = timers
        self._index = index
        self._call: Callable[..., Any] | None = call
        self._arguments = arguments

    def cancel(self) -> None:
        self._call = None
        self._timers.forget(self, self._index)

    def run(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call(*self._arguments)
