# -*- test-case-name: tests.curator.test_outage -*-
"""
Something that is tried again until it works: when to tell that it does not.
"""

from __future__ import annotations

from typing import Any


class Outage:
    """
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param patience: seconds that it may fail before somebody is told; C{0.0}: at once.
    @ivar seconds: for so long it has failed; C{0.0} when it works.
    """

    def __init__(self, clock: Any, patience: float = 0.0) -> None:
        self._clock = clock
        self._patience = patience
        self._since: float | None = None
        self._told = False

    @property
    def seconds(self) -> float:
        return 0.0 if self._since is None else float(self._clock.seconds() - self._since)

    def failed(self, hopeless: bool = False) -> bool:
        """
        It has, once more.

        @param hopeless: waiting does not help.
        @return: whether this is the moment to tell of it: once an outage.
        """
        if self._since is None:
            self._since = self._clock.seconds()
        if self._told or not (hopeless or self.seconds >= self._patience):
            return False
        self._told = True
        return True

    def over(self) -> bool:
        """It works. @return: whether somebody was told that it does not."""
        told, self._since, self._told = self._told, None, False
        return told
