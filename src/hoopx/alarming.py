# -*- test-case-name: tests.test_alarming -*-
"""
Alarms as evidence: who looks at a recording sees what was wrong with the gateway while it was made.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from twisted.python.failure import Failure

UNRECORDED: Final = frozenset({"recording-failed", "unrecordable", "disk"})
"""Alarms that no recording is told of: what they speak of is that recordings can not be written."""
EVERYBODYS: Final = frozenset({"store-away", "store-refused", "store-locks"})
"""Alarms that may name a recording, and mean it as one of many."""
TURN: Final = 50
"""Recordings told at once: a few milliseconds."""
PAUSE: Final = 0.01
"""Seconds until the next ones: 10,000 sessions are told in two or three, and what they say goes on meanwhile."""
MINUTE: Final = 60.0
"""Seconds in which one recording is told of one kind once: what is wrong for an hour stands in it sixty times."""
KINDS: Final = 50
"""Kinds of alarms kept apart, many times those there are; of further ones recordings are not told."""
LONGEST: Final = 1000
"""Characters of the reason in a recording."""
_ULID: Final = re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b")


class AlarmNotes:
    """
    Puts alarms into the recordings of the sessions that live: one that speaks of sessions into theirs, any other one into all.

    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param sessions: those that have not ended, by id.
    """

    def __init__(self, clock: Any, sessions: dict[str, Any]) -> None:
        self._clock = clock
        self._sessions = sessions
        self._told: dict[str, dict[str, float]] = {}
        self._waiting: deque[tuple[str, str, Iterator[str]]] = deque()
        self._running = False

    def tell(self, fields: dict[str, Any]) -> None:
        """@param fields: C{alarm}, its kind; C{why}; perhaps C{session}."""
        kind = str(fields.get("alarm"))
        if kind in UNRECORDED:
            return
        why = str(fields.get("why") or fields.get("message") or "")
        said = {str(fields["session"])} if fields.get("session") else set()
        named = said.union(_ULID.findall(why))
        if named and kind not in EVERYBODYS:
            for each in named:
                self._note(each, kind, why)
            return
        told = self._told.get(kind)
        if told is None:
            if len(self._told) >= KINDS:
                return
            told = self._told[kind] = {}
        for gone in [each for each in told if each not in self._sessions]:
            del told[gone]
        if all(kind != each for each, _, _ in self._waiting):
            self._waiting.append((kind, why, iter(list(self._sessions))))
        if not self._running:
            self._running = True
            self._some()

    def _some(self) -> None:
        """The next few recordings."""
        now, left = self._clock.seconds(), TURN
        while left and self._waiting:
            kind, why, names = self._waiting[0]
            name = next(names, None)
            if name is None:
                self._waiting.popleft()
                continue
            told = self._told[kind]
            if name in self._sessions and now - told.get(name, -MINUTE) >= MINUTE:
                told[name] = now
                self._note(name, kind, why)
                left -= 1
        self._running = bool(self._waiting)
        if self._running:
            self._clock.callLater(PAUSE, self._some)

    def _note(self, name: str, kind: str, why: str) -> None:
        session = self._sessions.get(name)
        if session is not None and session.ending is None:
            try:
                session.note("alarm", alarm=kind, why=why[:LONGEST])
            except Exception:
                session.failed(Failure())
