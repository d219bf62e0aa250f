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
PATIENCE = 120.0
"""Seconds for what a quiet machine does in a moment, or in a few seconds: a slow and busy one may need many times as long. Only what fails
waits so long."""


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
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


def steady(condition: Callable[[], object], what: str, held: float = 0.5, seconds: float = PATIENCE) -> None:
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
