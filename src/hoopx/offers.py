# -*- test-case-name: tests.test_offers -*-
"""
What sessions answer to from other connections: PostgreSQL's cancel keys.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Callable, Final, Hashable

from hoopx.state.audit import networkOf

ADDRESSES: Final = 1000
"""Addresses (of IPv6, networks: one machine has all of it) whose wrong keys are remembered."""
WRONG_LIMIT: Final = 20
"""Wrong keys from one address in a row of C{FORGET} seconds; then its calls go unanswered. A 32-bit key is not to be guessed."""
FORGET: Final = 60.0


class Offers:
    """
    Keys and who answers to them.

    @param seconds: a clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._answers: dict[Hashable, Callable] = {}
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._seconds = seconds

    def __contains__(self, key: Hashable) -> bool:
        return key in self._answers

    def add(self, key: Hashable, answer: Callable) -> None:
        self._answers[key] = answer

    def remove(self, key: Hashable) -> None:
        self._answers.pop(key, None)

    def call(self, address: str, key: Hashable, *arguments: Any) -> bool:
        """@return: C{True} when somebody answered."""
        host = networkOf(address)
        count, since = self._wrong.get(host, (0, 0.0))
        now = self._seconds()
        if now - since > FORGET:
            count, since = 0, now
        if count >= WRONG_LIMIT:
            return False
        answer = self._answers.get(key)
        if answer is None:
            self._wrong[host] = (count + 1, since)
            self._wrong.move_to_end(host)
            if len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)
            return False
        answer(*arguments)
        return True
