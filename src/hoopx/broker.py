# -*- test-case-name: tests.test_service -*-
"""
The shared core's services in one value: an embedder builds one, and listens wherever they like.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from hoopx.alarming import AlarmNotes
from hoopx.errors import Refusal
from hoopx.offers import Offers
from hoopx.timers import Timers
from hoopx.ulid import ulid


def _nowhere(function: Callable[..., Any], *arguments: Any) -> Deferred:
    """Where nobody has wired threads nothing long is computed: it would hold up everybody."""
    return fail(Refusal("unavailable", "this gateway has no threads to compute with"))


@define(eq=False)
class Broker:
    """
    @ivar clock: the reactor, or what stands for it: time, and connections to targets.
    @ivar limits: gateway settings: C{loginTimeout}, C{idleTimeout}, C{maxDuration}, C{maxSessions} (seconds, count).
    @ivar identity: L{hoopx.interfaces.IIdentityVerifier}.
    @ivar access: L{hoopx.interfaces.IAccessPolicy}.
    @ivar targets: L{hoopx.interfaces.ITargets}.
    @ivar secrets: C{fetch(reference, identity, target) -> Deferred[bytes]}.
    @ivar recordings: L{hoopx.interfaces.IRecordings}.
    @ivar tls: C{serve} and C{connect} (L{hoopx.tls}).
    @ivar audit: C{failedLogin(address, protocol)}.
    @ivar policy: L{hoopx.interfaces.ICommandPolicy} or C{None}: no rules, nothing is parsed.
    @ivar approver: L{hoopx.interfaces.IApprover} or C{None}.
    @ivar sinks: L{hoopx.interfaces.IEventSink}s.
    @ivar compute: C{compute(function, *arguments) -> Deferred}, in a thread (L{hoopx.computing.Computing}).
    @ivar policyDigest: SHA-256 of the rules in force, kept under data/policies.
    @ivar ledger: C{opened(recording) -> Deferred}: fires when the OPEN leaf is durable; fails with
        L{hoopx.curator.commands.CuratorFailed}. C{None} for embedders without: then nobody misses a recording that was removed.
    @ivar protocols: name -> L{hoopx.interfaces.IProtocolRecorder}.
    @ivar sessions: those that have not ended, by id.
    @ivar beginning: how many more will be, once their recording has begun.
    """

    clock: Any
    limits: Any
    identity: Any
    access: Any
    targets: Any
    secrets: Any
    recordings: Any
    tls: Any = None
    audit: Any = None
    policy: Any = None
    approver: Any = None
    sinks: tuple = ()
    compute: Callable[..., Deferred] = _nowhere
    policyDigest: str = ""
    ledger: Any = None
    protocols: dict = field(factory=dict)
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], int] = time.monotonic_ns
    newId: Callable[[], str] = lambda: ulid(time.time())
    draining: bool = False
    sessions: dict = field(factory=dict, init=False)
    beginning: int = field(default=0, init=False)
    counters: dict = field(factory=lambda: {"admitted": 0, "blocked": 0, "ended": 0, "alarm": 0}, init=False)
    timers: Any = field(init=False)
    _notes: Any = field(init=False)
    _offers: dict = field(factory=dict, init=False)
    _closing: set = field(factory=set, init=False)
    _sent: tuple = field(default=(0, 0), init=False)

    log = Logger()

    def __attrs_post_init__(self) -> None:
        self.timers = Timers(self.clock)
        self._notes = AlarmNotes(self.clock, self.sessions)

    def offersFor(self, protocol: str) -> Offers:
        """Offers are shared by all listeners of a protocol: a cancel may come in at another port."""
        if protocol not in self._offers:
            self._offers[protocol] = Offers(self.clock.seconds)
        return self._offers[protocol]

    def tell(self, kind: str, **fields: Any) -> None:
        """Tell the event sinks; none of them can hold anything up."""
        self.counters[kind] = self.counters.get(kind, 0) + 1
        if kind == "alarm":
            self._notes.tell(fields)
        for sink in self.sinks:
            try:
                sink.emit(kind, fields)
            except Exception:
                self.log.failure("an event sink failed")

    def began(self, session: Any) -> None:
        self.sessions[session.id] = session

    def ended(self, session: Any) -> None:
        if self.sessions.pop(session.id, None) is not None:
            self._count(session)
        self._closing.add(session)

    def _count(self, session: Any) -> None:
        self._sent = _added(self._sent, session)

    def traffic(self) -> tuple[int, int]:
        """@return: bytes that all clients and all targets have sent since the start."""
        sent = self._sent
        for session in self.sessions.values():
            sent = _added(sent, session)
        return sent

    def closed(self, session: Any) -> None:
        self._closing.discard(session)
        if not self._closing and self._quiet is not None:
            quiet, self._quiet = self._quiet, None
            quiet.callback(None)

    _quiet: Any = field(default=None, init=False)

    def endAll(self, reason: str) -> Deferred:
        """
        End every session.

        @return: Deferred[None], when the last recording is closed.
        """
        for session in list(self.sessions.values()):
            session.end(reason)
        if not self._closing and not self.sessions:
            return succeed(None)
        self._quiet = Deferred()
        return self._quiet

    def endWhere(self, matches: Callable[[Any], bool], reason: str, message: str = "") -> int:
        """@return: how many sessions matched and were ended."""
        found = [session for session in self.sessions.values() if matches(session)]
        for session in found:
            session.end(reason, message)
        return len(found)


def _added(sent: tuple[int, int], session: Any) -> tuple[int, int]:
    totals = getattr(session.recording, "totals", dict)()  # an embedder's own recordings may not count
    return sent[0] + totals.get("bytes_from_client", 0), sent[1] + totals.get("bytes_from_target", 0)
