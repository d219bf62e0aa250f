# -*- test-case-name: tests.state.test_audit -*-
"""
Who did what with the gateway itself.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.state.lapse import Lapse
from hoopx.state.rows import auditRow
from hoopx.state.store import Store
from hoopx.state.thread import Threads

# Addresses counted one by one in a minute; further ones are counted together, so that a flood of them fills no disk.
MAX_ADDRESSES: Final = 256
OTHERS: Final = "others"

FLUSH_SECONDS: Final = 60.0


class Audit:
    """
    The audit: rows are added, never changed.

    @param threads: where the store's calls run.
    @param now: the wall clock, in seconds since the epoch.
    @param lapse: told when a row can not be written.
    """

    def __init__(self, store: Store, threads: Threads, now: Callable[[], float], lapse: Lapse | None = None) -> None:
        self._store = store
        self._threads = threads
        self._now = now
        self._lapse = lapse

    def write(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> Deferred[str]:
        """
        Add one row.

        @param actor: who, such as C{"uid 1000 (alice)"}.
        @param action: what, such as C{"token.issue"}.
        @param subject: to whom or what.
        @param details: whatever JSON can say; no secrets.
        @return: fires when the row is on the disk, with its hash (L{hoopx.state.rows.auditHash}).
        """
        row = self._row(actor, action, subject, details)
        written = self._threads.call(self._store.addAudit, [row]).addCallback(_first)
        return written if self._lapse is None else written.addErrback(self._failed)

    def late(self, actor: str, action: str, subject: str, details: dict[str, Any] | None = None) -> None:
        """Something was done although its row could not be written: that is made up for."""
        if self._lapse is not None:
            self._lapse.late(self._row(actor, action, subject, details))

    @property
    def trouble(self) -> str | None:
        """Why rows can not be written, or C{None}."""
        return None if self._lapse is None else self._lapse.trouble

    def _row(self, actor: str, action: str, subject: str, details: dict[str, Any] | None) -> dict[str, Any]:
        return auditRow(self._now(), actor, action, subject, details or {})

    def _failed(self, failure: Failure) -> Failure:
        assert self._lapse is not None
        self._lapse.failed(failure)
        return failure


class FailedLogins:
    """
    Failed logins, as one row per address and minute, whatever their number.

    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param failed: callable(failure), told when they can not be written.
    @ivar total: all of them since the start.
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
        self._now = now
        self._failed = failed
        self._counts: dict[tuple[str, str], int] = {}
        self.total = 0
        self._loop = LoopingCall(self.flush)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(FLUSH_SECONDS, now=False)

    def stop(self) -> Deferred[None]:
        """@return: fires when the last counts are written."""
        if self._loop.running:
            self._loop.stop()
        return self.flush()

    def failedLogin(self, address: str, protocol: str) -> None:
        """
        Count one.

        @param address: C{"host:port"} of the client.
        """
        self.total += 1
        key = (networkOf(address), protocol)
        if key not in self._counts and len(self._counts) >= MAX_ADDRESSES:
            key = (OTHERS, protocol)
        self._counts[key] = self._counts.get(key, 0) + 1

    def flush(self) -> Deferred[None]:
        """Write what was counted since the last time."""
        counts, self._counts = self._counts, {}
        at = self._now()
        rows = [
            auditRow(at, address, "login.failed", protocol, {"count": count})
            for (address, protocol), count in counts.items()
        ]
        written = self._threads.call(self._store.addAudit, rows)
        # Losing a count is better than a gateway that stops counting.
        return written.addErrback(self._notWritten)

    def _notWritten(self, failure: Failure) -> None:
        self.log.failure("failed logins could not be written to the audit", failure)
        self._failed(failure)


def _first(hashes: Any) -> Any:
    return hashes[0] if hashes else None


def networkOf(address: str) -> str:
    """The address without its port; of IPv6 the /64, since one machine has all of it."""
    host = address.rpartition(":")[0].strip("[]") or address
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
