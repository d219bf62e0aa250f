# -*- test-case-name: tests.state.test_alarms -*-
"""
Alarms in the audit, and so in the ledger: nobody can say afterwards that there was none.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Final

from attrs import define
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.state.rows import auditRow
from hoopx.state.store import Store
from hoopx.state.thread import Threads

MINUTE: Final = 60.0
"""Seconds for which all alarms of one kind but the first are counted, for one more row at their end."""
KINDS: Final = 50
"""Kinds kept apart in a minute, many times those there are; others are counted together."""
OTHERS: Final = "others"
WAITING: Final = 1000
"""Rows that wait while the state store is away: hours of trouble of several kinds. Further ones are counted."""
PAGE: Final = 100
AGAIN: Final = 5.0
"""Seconds before a state store that failed is tried again."""
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
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        threads: Threads,
        clock: Any,
        now: Callable[[], float],
        failed: Callable[[Failure], Any] = lambda failure: None,
    ) -> None:
        self._store = store
        self._threads = threads
        self._clock = clock
        self._now = now
        self._failed = failed
        self._minutes: dict[str, tuple[_Minute, Any]] = {}
        self._rows: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._busy: Deferred[None] | None = None
        self._later: Any = None
        self._stopped = False

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
        self._stopped = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._write()
        return succeed(None) if self._busy is None else self._busy

    def _over(self, name: str) -> None:
        minute, _ = self._minutes.pop(name)
        if minute.count:
            self._add(name, {"why": minute.last, "count": minute.count})

    def _add(self, name: str, details: dict[str, Any]) -> None:
        if len(self._rows) >= WAITING:
            self._lost += 1
            return
        self._rows.append(self._row(name, details))
        self._write()

    def _row(self, name: str, details: dict[str, Any]) -> dict[str, Any]:
        return auditRow(self._now(), "gateway", "alarm", name, details)

    def _write(self) -> None:
        if self._busy is not None or self._later is not None or not self._rows:
            return
        rows = [self._rows[number] for number in range(min(PAGE, len(self._rows)))]
        busy = self._busy = Deferred()

        def written(_: Any) -> bool:
            for _ in rows:
                self._rows.popleft()
            lost, self._lost = self._lost, 0
            if lost:
                details = {"why": "more alarms than could wait for the state store: they are in the log", "count": lost}
                self._rows.append(self._row("lost", details))
            return True

        def failed(failure: Any) -> bool:
            # No alarm for each: it would be one more that can not be written.
            self.log.warn("{count} alarms can not be written to the audit: {why}", count=len(self._rows), why=failure.getErrorMessage())
            self._failed(failure)
            if not self._stopped:
                self._later = self._clock.callLater(AGAIN, self._again)
            return False

        def over(done: bool) -> None:
            self._busy = None
            if done:
                self._write()
            if self._busy is None:
                busy.callback(None)
            else:
                self._busy.chainDeferred(busy)

        self._threads.call(self._store.addAudit, rows).addCallbacks(written, failed).addCallback(over)

    def _again(self) -> None:
        self._later = None
        self._write()
