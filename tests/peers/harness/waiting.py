# -*- test-case-name: tests.peers.test_harness -*-
"""
Waiting for a condition, never for time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STEP = 0.02


def until(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """
    @param what: for the failure's text.
    @return: the first true value of the condition.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}; last seen: {value!r}")
        time.sleep(STEP)


def steady(condition: Callable[[], object], what: str, held: float = 0.5, seconds: float = 30.0) -> None:
    """Wait until a condition has been true at every look for C{held} seconds."""
    since = [0.0]

    def look() -> bool:
        now = time.monotonic()
        if not condition():
            since[0] = 0.0
        elif not since[0]:
            since[0] = now
        return bool(since[0]) and now - since[0] >= held

    until(look, what, seconds)
