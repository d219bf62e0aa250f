# -*- test-case-name: tests.curator.test_through -*-
"""
How far the audit is in the ledger: up to the row before the first one that is under way. Rows are taken side by side, and one that takes
longer must not be passed over by the next start because a later one was faster. Pure.
"""

from __future__ import annotations


class Through:
    """
    @ivar last: number and hash of the row up to which all are through.
    """

    def __init__(self, last: tuple[int, str] = (0, "")) -> None:
        self.last = last
        self._waiting: set[int] = set()
        self._done: dict[int, str] = {}

    def begin(self, row: int) -> None:
        """@param row: comes after those that have begun; or again, when it has failed. C{0}: not one of the audit's."""
        if row:
            self._waiting.add(row)

    def end(self, row: int, audit: str) -> bool:
        """
        It is in the ledger. One that fails does not end: it is told again.

        @return: whether L{last} is another one now.
        """
        if not row:
            return False
        self._waiting.discard(row)
        self._done[row] = audit
        first = min(self._waiting, default=row + max(self._done))
        found = sorted(each for each in self._done if each < first)
        if found and found[-1] > self.last[0]:
            self.last = (found[-1], self._done[found[-1]])
            changed = True
        else:
            changed = False
        for each in found:
            del self._done[each]
        return changed
