# -*- test-case-name: tests.recording.test_strict -*-
"""
What is in order, and yet not proven: evidence that falls short of logged, sealed, signed by a key that is known, and witnessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from hoopx.ledger.note import Verifier
from hoopx.recording.book import Book
from hoopx.recording.evidence import GOOD
from hoopx.recording.register import Register
from hoopx.recording.verify import Verdict
from hoopx.ulid import ulidTime

GRACE: Final = 600.0
"""Seconds that what was recorded just now may take until it is sealed (5 minutes at the most), logged, signed and witnessed."""


@frozen
class Strict:
    """
    @ivar key: name of the ledger whose key was given, or C{None}: none was.
    @ivar witnesses: keys that were given; C{quorum}: how many of them have to have signed.
    @ivar now: seconds since the epoch.
    @ivar grace: seconds, see L{GRACE}.
    @ivar fresh: seconds that the quorum's newest signatures may be old, or C{None}: an idle ledger gets no new ones.
    """

    key: str | None
    witnesses: Sequence[Verifier]
    quorum: int
    now: float
    grace: float = GRACE
    fresh: float | None = None

    def ledger(self, register: Register | None) -> list[str]:
        """@return: what is missing for its word to count fully; of a ledger that is tampered with, nothing."""
        if register is None:
            return ["there is no ledger"]
        if register.state != "consistent":
            return []
        found = []
        if self.key != register.origin:
            found.append("no key of it was given: the ledger's own word for its key was taken")
        if not self.witnesses:
            found.append("no witness was given: whoever holds the ledger's key can have rolled it back")
        if not register.size:
            found.append("it has no checkpoint: nothing in it is signed")
        size, at = self._seen(register)
        times = register.book.times if register.book is not None else ()
        if self.witnesses and size < len(times) and not self._young(times[size]):
            found.append(f"{len(times) - size} leaves, from leaf {size} on, are under no checkpoint that the quorum has signed")
        elif not self.witnesses and register.size < len(times) and not self._young(times[register.size]):
            found.append(f"{len(times) - register.size} leaves, from leaf {register.size} on, are under no checkpoint")
        if self.fresh is not None and self.witnesses and not self.now - self.fresh <= at <= self.now + GRACE:
            found.append(f"the quorum's newest signatures are not of the last {self.fresh:.0f} seconds")
        return found

    def session(self, verdict: Verdict, register: Register | None) -> str | None:
        """@return: what it falls short of, or C{None}; also C{None} of one that is wrong anyway."""
        if verdict.state not in GOOD or verdict.state == "never connected":
            return None
        began = _began(verdict.session)
        young = self._young(began + verdict.last / 1e9)
        book = register.book if register is not None else None
        last = book.last.get(verdict.session) if book is not None else None
        if book is None or register is None:
            return "no ledger that could be believed has it"
        if last is None:
            # Its opening is logged before the target is called; of one that was refused before that, all is written when it is over.
            early = verdict.state in ("live", "interrupted", "complete") and not verdict.connected
            if early and young:
                return None
            if book.older(verdict.session):
                return f"it is {_older(book)}, which can not have it: checked by its own key alone"
            return "it is in no ledger: checked by its own key alone"
        attested = book.attested(verdict.session)
        if verdict.behind and not young:
            more = f", for it is {_older(book)}" if book.older(verdict.session) and attested.key is None else ""
            return f"{verdict.behind} of its segments are not in the ledger{more}"
        if verdict.state in ("complete", "recovered") and attested.ended is None and not young:
            return "its end is not in the ledger"
        if verdict.tail and not young:
            return f"{verdict.tail} frames at its end are not sealed"
        if last >= register.size and not self._young(book.times[last]):
            return "no signed checkpoint has all of it"
        if self.witnesses and last >= self._seen(register)[0] and not self._young(book.times[last]):
            return "no checkpoint that the quorum has signed has all of it"
        return None

    def _seen(self, register: Register) -> tuple[int, int]:
        """Leaves, and seconds since the epoch, that the quorum has signed."""
        told = [register.heard.get((one.name, one.keyId), (0, 0)) for one in self.witnesses]
        if not told:
            return 0, 0
        sizes, times = (sorted((one[which] for one in told), reverse=True) for which in (0, 1))
        return sizes[self.quorum - 1], times[self.quorum - 1]

    def _young(self, at: float) -> bool:
        return self.now - self.grace < at <= self.now + self.grace


def _older(book: Book) -> str:
    if book.before is None:
        return "older than the ledger"
    return f"older than the ledger, which was begun in place of {book.before} (its sessions are in that one: ledger.old-{book.before})"


def _began(session: str) -> float:
    try:
        return ulidTime(session)
    except ValueError:
        return 0.0
