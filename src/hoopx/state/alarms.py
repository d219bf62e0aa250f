# -*- test-case-name: tests.state.test_alarms -*-
"""
Alarms in the audit, and so in the ledger: nobody can say afterwards that there was none.
"""

from __future__ import annotations

from typing import Any, Callable, Final

from attrs import define
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.state.aside import Aside
from hoopx.state.rows import auditRow
from hoopx.state.store import Store
from hoopx.state.thread import Threads
from hoopx.state.waiting import Waiting

MINUTE: Final = 60.0
"""Seconds for which all alarms of one kind but the first are counted, for one more row at their end."""
KINDS: Final = 50
"""Kinds kept apart in a minute, many times those there are; others are counted together."""
OTHERS: Final = "others"
PAGE: Final = 100
"""Rows of one write."""
LONGEST: Final = 1000
"""Characters of a reason."""


@define
class _Minute:
    """Those of one kind that came after the first. C{last}: what the last one said."""

    count: int = 0
    last: str = ""


class AuditedAlarms:
    """
    An event sink. Each row has the time of its alarm, whenever it is written.

    @param threads: where the store's calls run.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param now: the wall clock, in seconds since the epoch.
    @param failed: callable(failure), told when they can not be written.
    @param aside: where those are kept that the store refuses.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        threads: Threads,
        clock: Any,
        now: Callable[[], float],
        failed: Callable[[Failure], Any] = lambda failure: None,
        aside: Aside | None = None,
    ) -> None:
        self._clock = clock
        self._now = now
        self._failed = failed
        self._minutes: dict[str, tuple[_Minute, Any]] = {}
        self._waiting = Waiting(store, threads, clock, PAGE, self._last, lambda: None, self._notWritten, aside)

    def emit(self, kind: str, fields: dict[str, Any]) -> None:
        """Something happened; of alarms a row is written."""
        if kind != "alarm":
            return
        name = str(fields.get("alarm"))[:64]
        why = str(fields.get("why") or fields.get("message") or "")[:LONGEST]
        if name not in self._minutes and len(self._minutes) >= KINDS:
            name = OTHERS
        known = self._minutes.get(name)
        if known is not None:
            known[0].count += 1
            known[0].last = why
            return
        self._minutes[name] = (_Minute(), self._clock.callLater(MINUTE, self._over, name))
        session = fields.get("session")
        self._add(name, {"why": why} | ({} if session is None else {"session": str(session)}))

    def stop(self) -> Deferred[None]:
        """@return: Deferred[None], when what waits is written, or can not be."""
        for name, (_, call) in list(self._minutes.items()):
            call.cancel()
            self._over(name)
        busy = self._waiting.stop()
        return succeed(None) if busy is None else busy

    def _over(self, name: str) -> None:
        minute, _ = self._minutes.pop(name)
        if minute.count:
            self._add(name, {"why": minute.last, "count": minute.count})

    def _add(self, name: str, details: dict[str, Any]) -> None:
        self._waiting.add(self._row(name, details))
        self._waiting.write()

    def _row(self, name: str, details: dict[str, Any]) -> dict[str, Any]:
        return auditRow(self._now(), "gateway", "alarm", name, details)

    def _last(self, count: int, lost: int) -> list[dict[str, Any]]:
        why = "more alarms than could wait for the state store: they are in the log"
        return [self._row("lost", {"why": why, "count": lost})] if lost else []

    def _notWritten(self, failure: Failure) -> None:
        # No alarm for each: it would be one more that can not be written.
        self.log.warn("{count} alarms can not be written to the audit: {why}", count=len(self._waiting), why=failure.getErrorMessage())
        self._failed(failure)
