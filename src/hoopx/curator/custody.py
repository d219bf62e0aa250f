# -*- test-case-name: tests.curator.test_workshop -*-
"""
What is stored, and for how long: the parts of the curator that see to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from hoopx.curator.fastening import LEAD, Fastening
from hoopx.curator.heads import Heads
from hoopx.curator.locking import Locking
from hoopx.curator.outage import Outage
from hoopx.curator.settings import CuratorSettings
from hoopx.curator.shipping import Shipping

SWEEP: Final = 5.0
"""Seconds between two looks for sessions that the index does not know: then a list of sessions is as quick as a look at the clock."""

BREATH: Final = 0.5
"""Seconds between two parts of a sweep that takes long."""


class Custody:
    """
    @param eraser: has C{keeping}, the rules in force.
    @param scribe: L{hoopx.curator.scribe.Scribe}.
    @param parts: L{hoopx.curator.parts.Parts}.
    """

    log = Logger()

    def __init__(
        self,
        book: Any,
        backend: Any,
        index: Any,
        settings: CuratorSettings,
        eraser: Any,
        scribe: Any,
        parts: Any,
        clock: Any,
        wall: Callable[[], float],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._eraser = eraser
        self._parts = parts
        self._clock = clock
        self._locking: Locking | None = None
        self._shipping: Shipping | None = None
        self._fastening: Fastening | None = None
        if backend is not None:
            self._locking = locking = Locking(book, backend, self.keep, parts.book, clock, alarm)
            self._fastening = Fastening(
                book, backend, settings.node, lambda: self._eraser.keeping.most, lambda: locking.holding, parts.book, clock, wall, alarm
            )
            self._shipping = Shipping(
                scribe, book, backend, settings.node, lambda: self._eraser.keeping.most + LEAD, parts, clock, wall, alarm,
                self._fastening.shipped,
            )  # fmt: skip
        self._heads = Heads(book, backend, index, parts.book, parts.bench, clock, alarm, self._learned)
        self._index = index if hasattr(index, "sweep") else None
        self._sweeping = LoopingCall(self._sweep)
        self._sweeping.clock = clock
        self._alarm = alarm
        self._outage = Outage(clock)

    def start(self, settings: CuratorSettings) -> None:
        if self._shipping is not None:
            self._shipping.start()
        if self._fastening is not None:
            self._fastening.start()
        self._heads.start()
        self.ruled(settings)
        if self._index is not None:
            self._sweeping.start(SWEEP)

    def stop(self) -> Deferred[None]:
        """@return: Deferred[None], when the store has the ledger as it was published last, or can not be had."""
        self._heads.stop()
        if self._locking is not None:
            self._locking.stop()
        if self._fastening is not None:
            self._fastening.stop()
        if self._sweeping.running:
            self._sweeping.stop()
        return succeed(None) if self._shipping is None else self._shipping.stop()

    @property
    def unknown(self) -> int:
        """Sessions that nobody erases, because no rule can be said to speak of them."""
        return self._heads.unknown

    def keep(self, target: str, labels: Mapping[str, str]) -> float:
        """By the rules that are in force now."""
        seconds: float = self._eraser.keeping.seconds(target, labels)
        return seconds

    def published(self, size: int, note: bytes) -> None:
        """A checkpoint of the ledger is."""
        if self._shipping is not None:
            self._shipping.published(size, note)

    def claim(self) -> Deferred[None]:
        """The name is this gateway's in the store. @return: see L{Shipping.claim}."""
        assert self._shipping is not None
        claimed: Deferred[None] = self._shipping.claim()
        return claimed

    def stored(self, session: str) -> None:
        """A segment of it is stored."""
        if self._locking is not None:
            self._locking.stored(session)

    def hold(self, session: str, on: bool) -> Deferred[None]:
        """One session is held from now on, or perhaps no longer. @return: Deferred[None], when the store has been told."""
        return succeed(None) if self._locking is None else self._locking.hold(session, on)

    def holds(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """@param rows: all that hold now."""
        if self._locking is not None:
            self._locking.holds(rows)

    def ruled(self, settings: CuratorSettings) -> None:
        """New rules are in force."""
        if self._locking is not None:
            rules = [attrs.asdict(rule) for rule in settings.rules]
            labels = {name: dict(said) for name, said in settings.labels.items()}
            self._locking.ruled(json.dumps([rules, labels], sort_keys=True))

    def moved(self) -> None:
        """Ends were moved: locks have to last longer."""
        if self._locking is not None:
            self._locking.lookThrough()

    def _learned(self) -> None:
        if self._locking is not None:
            self._locking.lookThrough()

    def _sweep(self) -> Any:
        """The index is open and of this version before the first session comes, and knows what is on the disk: a part of it at a time."""
        assert self._index is not None

        def swept(whole: Any) -> Any:
            self._outage.over()
            if whole is False and self._sweeping.running:
                return deferLater(self._clock, BREATH).addCallback(lambda _: self._sweep() if self._sweeping.running else None)
            return None

        def failed(failure: Any) -> None:
            if self._outage.failed():
                self.log.failure("The index can not be brought up to date.", failure)
                self._alarm("index", f"the index can not be brought up to date: {failure.type.__name__}: {failure.getErrorMessage()}")

        return self._parts.bench.call(self._index.sweep).addCallbacks(swept, failed)
