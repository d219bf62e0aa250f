# -*- test-case-name: tests.curator.test_workshop -*-
"""
What the curator's workshop is given: threads, and what reaches outside.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from twisted.internet.defer import Deferred

from hoopx.recording.threads import Threads
from hoopx.retention.clock import boot

NICE: Final = 10
"""Of the threads that pack, added to the gateway's own: a tenth of a busy processor, so that bulk is not slowed by its own packing. Not
less: one that waits for the processor may have the interpreter, and the ledger's thread and the reactor's wait with it."""


@define(eq=False)
class Parts:
    """
    @ivar ledger: runs one call at a time, in order.
    @ivar book: the same.
    @ivar bench: runs a few at a time, at low priority.
    @ivar fromThread: callable(function, *arguments): has it run on the reactor's thread.
    @ivar backend: callable(settings) -> Deferred[L{hoopx.interfaces.IStorageBackend}].
    @ivar index: callable(settings) -> L{hoopx.curator.bench.ISegmentIndex} or C{None}.
    @ivar uptime: see L{hoopx.retention.clock.boot}.
    @ivar submit: callable(url, vkey, checkpoint, proofFor, old) -> Deferred[bytes].
    """

    ledger: Any
    book: Any
    bench: Any
    fromThread: Callable[..., None]
    backend: Callable[[Any], Any] = lambda settings: None
    index: Callable[[Any], Any] = lambda settings: None
    submit: Callable[..., Any] | None = None
    uptime: Callable[[], tuple[str, float]] = boot


class Niced(Threads):
    """Threads of low priority: on Linux it is each thread's own."""

    _mine = threading.local()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return super().call(self._run, work, arguments)

    def _run(self, work: Callable[..., Any], arguments: tuple) -> Any:
        if not getattr(self._mine, "niced", False):
            self._mine.niced = True
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + NICE))
            except OSError:  # it is only slower for others
                pass
        return work(*arguments)
