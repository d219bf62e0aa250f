# -*- test-case-name: tests.curator.test_leisure -*-
"""
The index is written when there is time. On Linux low priority alone does not see to that: who runs keeps the processor for its slice also
when somebody more important wakes up, and two processors may be one that is shared. So the index's process rests when it has to wait.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from hoopx.curator.overseer import used

TURN: Final = 0.02
"""Seconds of a processor between two looks: a look costs a thousandth of that."""
CROWDED: Final = 0.5
"""Seconds that are waited for each second of a processor, from which on others have need of it."""
REST: Final = 4.0
"""Seconds of rest for each second of a processor then: it still gets on, and what waits for it does so on the disk."""
LONGEST: Final = 5.0
"""Seconds of one rest. Much may have been done since the last look without a pause (an index of an older version brought
over, a large transaction), and all recordings wait behind this one; who ends the process waits no longer (L{hoopx.curator.apart})."""


class Leisure:
    """
    To be called often, where nothing is locked that others wait for.

    @param spent: callable() -> seconds that the process has had a processor, and has waited for one (L{used}).
    @param sleep: callable(seconds).
    """

    def __init__(
        self, spent: Callable[[], tuple[float, float]] = lambda: used(os.getpid()), sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._spent = spent
        self._sleep = sleep
        self._ran, self._waited = spent()

    def __call__(self) -> None:
        ran, waited = self._spent()
        mine = ran - self._ran
        if mine < TURN:
            return
        if waited - self._waited >= mine * CROWDED:
            self._sleep(min(mine * REST, LONGEST))
            ran, waited = self._spent()
        self._ran, self._waited = ran, waited
