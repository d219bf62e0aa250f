# -*- test-case-name: tests.curator.test_survey -*-
"""
Looks for sealed segments: at the start, and when hints were lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Set
from typing import Any, Final

from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hoopx.frames import segmentName

SLICE: Final = 500
"""Sessions that are looked at before the reactor has its turn."""


class Survey:
    """
    @param book: L{hoopx.curator.book.Book}.
    @param data: the data directory.
    @param parts: L{hoopx.curator.parts.Parts}.
    @param alarm: callable(alarm, text).
    @param look: callable(session, path): there may be something to do for it.
    """

    log = Logger()

    def __init__(
        self, book: Any, data: str, parts: Any, clock: Any, alarm: Callable[[str, str], None], look: Callable[[str, str], Any]
    ) -> None:
        self._book = book
        self._data = data
        self._parts = parts
        self._clock = clock
        self._alarm = alarm
        self._look = look
        self._busy = False

    def begin(self) -> None:
        """If none is under way."""
        if self._busy:
            return
        self._busy = True

        def failed(failure: Any) -> None:
            self.log.failure("The recordings can not be looked through.", failure)
            self._alarm("survey", f"the recordings can not be looked through: {failure.getErrorMessage()}")

        def over(_: Any) -> None:
            self._busy = False

        self._run().addErrback(failed).addCallback(over)

    @inlineCallbacks
    def _run(self) -> Any:
        over = yield self._parts.book.call(self._book.overSessions)
        found = yield self._parts.bench.call(lambda: list(survey(self._data, over)))
        for number, (session, path) in enumerate(found):
            self._look(session, path)
            if number % SLICE == SLICE - 1:
                yield deferLater(self._clock, 0)


def survey(data: str, over: Set[str]) -> Iterator[tuple[str, str]]:
    """
    @param data: the data directory.
    @param over: sessions that nothing is to be done for.
    @return: C{(session, path)} of every other session that has a directory, oldest first.
    """
    days = [os.path.join(data, "recordings")]
    for _ in range(3):
        days = [path for day in days for path in _below(day)]
    for day in days:
        for path in _below(day):
            session = os.path.basename(path)
            if session not in over:
                yield session, path


def _below(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sealed(path: str, number: int) -> str | None:
    """
    @param path: a session's directory.
    @return: path of the segment, when it is there and has no second name: while it is being sealed its name stands beside
        C{open.hxr}, and whoever seals it, or recovers, relies on both being one file.
    """
    name = os.path.join(path, segmentName(number))
    try:
        return name if os.stat(name).st_nlink == 1 else None
    except FileNotFoundError:
        return None
