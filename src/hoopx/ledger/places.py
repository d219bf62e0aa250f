# -*- test-case-name: tests.ledger.test_log -*-
"""
Where leaves stand, by what there may be one of only: those in the tail in memory, those before it in L{Lookup}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hoopx.ledger.leaf import ROTATED, parse
from hoopx.ledger.leaves import Leaves
from hoopx.ledger.lookup import Lookup, keyOf
from hoopx.ledger.tiles import WIDTH

MAX_TAIL: Final = 4096
"""Leaves in the tail before they go to tiles without being asked: what opening reads again, and what is in memory."""


class Places:
    """
    Sees to it that every leaf that is added, or leaves the tail, can be found.

    @param directory: C{data/ledger}.
    """

    def __init__(self, directory: str, leaves: Leaves) -> None:
        """Nothing is found before L{catchUp}."""
        self._leaves = leaves
        self._recent: dict[str, int] = {}
        self._lookup = Lookup(directory)

    def catchUp(self) -> None:
        """Learn what was added since the cache was written, or all of it."""
        lookup = self._lookup
        if lookup.covered > self._leaves.size or lookup.covered % WIDTH:
            lookup.clear()
        while lookup.covered < self._leaves.base:
            start = lookup.covered
            lookup.add(_keys(self._leaves.slice(start, start + WIDTH), start), start + WIDTH)
        self._recent = dict(_keys(self._leaves.recent, self._leaves.base))

    def find(self, key: str) -> int | None:
        """@param key: of L{hoopx.ledger.lookup.lookupKey}. @return: the first leaf's index; of L{ROTATED} the last one's."""
        found = self._recent.get(key)
        before = self._lookup.find(key) if found is None or key != ROTATED else None
        return found if before is None else before

    def add(self, fresh: Sequence[bytes], coming: dict[str, int]) -> None:
        """
        Leaves; durable when it returns.

        @param coming: key -> index of those that have one.
        """
        if len(self._leaves.recent) + len(fresh) > MAX_TAIL:
            self.settle()
        self._leaves.append(fresh)
        self._recent.update(coming)

    def settle(self) -> None:
        """What fills bundles goes from the tail to tiles."""
        base = self._leaves.base
        self._leaves.settle(lambda leaves, start: self._lookup.add(_keys(leaves, start), start + len(leaves)))
        if self._leaves.base != base:
            self._recent = dict(_keys(self._leaves.recent, self._leaves.base))

    def close(self) -> None:
        self._lookup.close()


def _keys(leaves: Sequence[bytes], start: int) -> list[tuple[str, int]]:
    """What leaves can be found by, and where they stand: the first of each, of key rotations the last."""
    found: dict[str, int] = {}
    for at, line in enumerate(leaves, start):
        key = keyOf(parse(line))
        if key is not None and (key == ROTATED or key not in found):
            found[key] = at
    return list(found.items())
