# -*- test-case-name: tests.index.test_search -*-
"""
Which sessions are wanted.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from attrs import evolve, frozen

from hoopx.recording.catalogue import Summary
from hoopx.ulid import ulidTime

NAMED: Final = ("user", "target", "protocol")


@frozen
class Filters:
    """
    All of them must hold; patterns are those of the shell (L{fnmatch}).

    @ivar since: begun at or after, in seconds since the epoch; C{until}, before.
    @ivar states: one of these; empty for any.
    @ivar labels: each C{name=pattern}, or C{name} alone.
    @ivar sessions: one of these; C{None} for any.
    """

    user: str | None = None
    target: str | None = None
    protocol: str | None = None
    since: float | None = None
    until: float | None = None
    states: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    sessions: frozenset[str] | None = None

    def anyState(self) -> Filters:
        """The same without the states: what does not change while a session lives."""
        return evolve(self, states=())


ANY: Final = Filters()


def matches(filters: Filters, found: Summary) -> bool:
    """Is a session wanted?"""
    line = found.line()
    for name in NAMED:
        pattern = getattr(filters, name)
        if pattern is not None and not fnmatchcase(str(line[name]), pattern):
            return False
    if filters.states and found.state not in filters.states:
        return False
    said = found.head.get("labels") or {}
    for label in filters.labels:
        name, _, pattern = label.partition("=")
        if name not in said or not fnmatchcase(str(said[name]), pattern or "*"):
            return False
    return begun(filters, found.session)


def begun(filters: Filters, session: str) -> bool:
    """Did it begin when it should have, and is it one of those that are meant?"""
    if filters.sessions is not None and session not in filters.sessions:
        return False
    try:
        at = ulidTime(session)
    except ValueError:
        return False
    return (filters.since is None or at >= filters.since) and (filters.until is None or at < filters.until)
