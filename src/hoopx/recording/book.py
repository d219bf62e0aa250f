# -*- test-case-name: tests.recording.test_evidence -*-
"""
A folder of recordings against the leaves of a ledger: what each session must be, and which ones are missing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from hoopx.frames import OPEN, segmentName, unpack
from hoopx.recording.chain import Attested
from hoopx.recording.verify import STOPS, Problem, Verdict
from hoopx.ulid import ulidTime

_NOBODY = Attested()

RECORDED: Final = frozenset({"opened", "sealed", "done", "recovered", "erased"})
"""Leaves that speak of a recording, not of what somebody has done with it."""

SLACK: Final = 60.0
"""Seconds between a session's name and its first leaf, at the most."""


class Book:
    """
    @param leaves: of a ledger, in its order, each one verified.
    @param pending: leaves that no checkpoint covers yet, and nobody has signed. They add to what the signed ones say, of what is too
        young to have been signed; they excuse nothing: nothing is missed, and nothing is erased, on their word.
    @param following: the ledger is a copy that follows, as in a store: what is younger than its last leaf is on its way, and of a
        session without a sealed segment nothing is to be there yet.
    @ivar since: seconds since the epoch of the first leaf; C{None} in an empty ledger.
    @ivar before: name of the ledger in whose place this one was begun (L{hoopx.ledger.renewal}), or C{None}.
    @ivar times: seconds since the epoch of each leaf.
    @ivar last: session -> index of the last leaf that speaks of its recording.
    @ivar vouched: digests of rows of the audit of which signed leaves speak.
    @ivar trail: digests of rows that leaves have taken in the order of the rows -> which of them it is.
    """

    def __init__(self, leaves: Iterable[bytes] = (), pending: Iterable[bytes] = (), following: bool = False) -> None:
        self._following = following
        self.until = 0.0
        self.sessions: dict[str, Attested] = {}
        self.since: float | None = None
        self.before: str | None = None
        self.times = array("d")
        self.last: dict[str, int] = {}
        self.vouched: set[str] = set()
        self.trail: dict[str, int] = {}
        for line in leaves:
            self._add(line)
        self.vouched.update(self.trail)
        self._signed = {session for session, said in self.sessions.items() if said.key is not None or said.sealed or said.ended}
        self._logged = {session for session, said in self.sessions.items() if said.key is not None}
        self._erasing: set[str] = set()
        for line in pending:
            leaf = unpack(line)
            if leaf.get("type") == "erased":
                self._seen(leaf)
                self._erasing.add(str(leaf["session"]))
            else:
                self._add(line)

    def _add(self, line: bytes) -> None:
        leaf = unpack(line)
        self._seen(leaf)
        if leaf["type"] == "continued" and len(self.times) == 1:
            self.before = str(leaf["origin"])
        if "audit" in leaf:  # of an erasure before its turn: the row itself has another leaf
            if leaf["type"] == "erased":
                self.vouched.add(leaf["audit"])
            else:  # the first one: a hold's further leaves come as sessions do
                self.trail.setdefault(leaf["audit"], len(self.trail))
        if "session" in leaf:
            self._enter(leaf)
            if leaf["type"] in RECORDED:
                self.last[leaf["session"]] = len(self.times) - 1

    def _seen(self, leaf: Mapping[str, Any]) -> None:
        self.times.append(float(leaf["at"]))
        if self.since is None:
            self.since = float(leaf["at"])
        self.until = max(self.until, float(leaf["at"]))

    def _enter(self, leaf: Mapping[str, Any]) -> None:
        sessions = self.sessions
        kind, session = leaf["type"], leaf["session"]
        said = sessions.get(session)
        if said is None:
            said = sessions[session] = Attested()
        if kind == "opened" and said.key is None:
            sessions[session] = evolve(said, key=leaf["key"], head=leaf["head"])
        elif kind == "sealed":
            # The first one counts: what comes later was not there when the witnesses saw it.
            said.sealed.setdefault(leaf["segment"], (leaf["seal"], leaf["object"]))
        elif kind in ("done", "recovered") and said.ended is None:
            sessions[session] = evolve(said, ended=kind, segments=leaf["segments"], end=leaf["end"])
        elif kind == "erased":
            sessions[session] = evolve(said, erased=True)

    def attested(self, session: str) -> Attested:
        """What the ledger says of a session, of one that it does not know, too."""
        return self.sessions.get(session, _NOBODY)

    def judged(self, verdict: Verdict) -> Verdict:
        """
        What the session's place in the ledger makes of a verdict on its files: one that the ledger should know, and does not, has
        been smuggled in, or the ledger is not the one that it was recorded under.
        """
        session = verdict.session
        verdict.logged = session in self._logged
        if session in self._erasing:
            return erasing(session)
        if self._following and [each.reason for each in verdict.problems] == [STOPS] and self.attested(session).ended is None:
            verdict.state, verdict.problems = "live", []  # what comes next is not stored yet
        if verdict.state not in ("complete", "recovered", "live", "interrupted"):
            return verdict
        if self.attested(session).key is not None or verdict.vouched or self.older(session):
            return verdict  # if it was not opened here: under the ledger before this one
        # That the ledger speaks of it otherwise, such as of a hold, says nothing of what is in the recording.
        if not verdict.connected:
            return verdict  # its leaf comes before the target is called; of one that was refused the others may be on their way
        if self._following and self._younger(session):
            return Verdict(session, "unchecked", [Problem(segmentName(0), None, "it is younger than the ledger here: look again later")])
        verdict.problems = [Problem(OPEN if verdict.state == "live" else segmentName(0), 0, "the ledger does not know this session")]
        verdict.state = "TAMPERED"
        return verdict

    def older(self, session: str) -> bool:
        """Did a session begin before the ledger did?"""
        try:
            return self.since is not None and ulidTime(session) < self.since
        except ValueError:
            return False

    def _younger(self, session: str) -> bool:
        try:
            return ulidTime(session) >= self.until - SLACK
        except ValueError:
            return False

    def missing(self, seen: Iterable[str]) -> Iterator[Verdict]:
        """
        @param seen: sessions that are in the folder.
        @return: verdicts on those that are not.
        """
        there = set(seen)
        for session, said in self.sessions.items():
            if session in there:
                continue
            if said.erased:
                yield Verdict(session, "erased", logged=True)
            elif session in self._erasing:
                yield erasing(session)
            elif session in self._signed and (said.sealed or not self._following):
                reason = f"the ledger has this session{_size(said)}, and it is not there"
                yield Verdict(session, "missing", [Problem(segmentName(0), None, reason)], logged=True)

    def erased(self, session: str) -> bool:
        return self.attested(session).erased


def erasing(session: str) -> Verdict:
    """Of a session on its way out."""
    return Verdict(session, "unchecked", [Problem("", None, "it is being erased, and no checkpoint says so yet")], logged=True)


def _size(said: Attested) -> str:
    count = said.segments or len(said.sealed)
    return f" of {count} segment{'s' if count != 1 else ''}" if count else ""
