# -*- test-case-name: tests.metrics.test_figures -*-
"""
What the gateway counts, and says at each scrape. Labels have few values, told below: names of people, targets, sessions and addresses are
never among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from zope.interface import implementer

from hoopx.interfaces import IEventSink
from hoopx.metrics.health import unready, unrecordable

BUCKETS: Final = (5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 2e-2, 1e-1, 1.0)
"""Seconds. Writing a small frame takes some 10 µs; from 20 ms on a recording goes through a thread."""
VALUES: Final = 32
"""Distinct values of one label; what comes after those is C{"other"}. There are about 20 reasons and 10 alarms."""
WITNESSES: Final = 16
OTHER: Final = "other"


@implementer(IEventSink)
class Figures:
    """
    An event sink, and a page of Prometheus text.

    @param status: callable -> L{hoopx.gateway.Gateway.status}.
    @param stored: callable -> what recordings and disk are like (L{hoopx.recording.store.Recordings.figures}).
    @param traffic: callable -> bytes that client and target have sent since the start.
    @param failed: callable -> failed logins since the start.
    """

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        stored: Callable[[], Mapping[str, Any]],
        traffic: Callable[[], tuple[int, int]],
        failed: Callable[[], int],
    ) -> None:
        self._status = status
        self._stored = stored
        self._traffic = traffic
        self._failed = failed
        self._known: dict[str, set[str]] = {}
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self._admitted = Counter("hoopx_sessions_admitted", "Sessions whose target was reached.", registry=own)
        self._ended = Counter("hoopx_sessions_ended", "Sessions that ended, by reason.", ["reason"], registry=own)
        self._verdicts = Counter("hoopx_verdicts", "Commands that were judged other than allowed.", ["verdict"], registry=own)
        self._alarms = Counter("hoopx_alarms", "What a person should look at, by kind.", ["alarm"], registry=own)
        self._latency = Histogram(
            "hoopx_recording_append_seconds",
            "Writing a frame of a recording: of each session one a second, all events, and whatever was slow.",
            buckets=BUCKETS,
            registry=own,
        )
        for verdict in ("block", "hold"):
            self._verdicts.labels(verdict)
        own.register(self)  # type: ignore[arg-type]

    # -- what is told

    def emit(self, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "ended":
            self._ended.labels(self._one("reason", fields.get("reason"))).inc()
        elif kind == "admitted":
            self._admitted.inc()
        elif kind == "blocked":
            self._verdicts.labels("block").inc()
        elif kind == "held":
            self._verdicts.labels("hold").inc()
        elif kind == "alarm":
            self._alarms.labels(self._one("alarm", fields.get("alarm"))).inc()

    def took(self, nanoseconds: int) -> None:
        """A frame was written."""
        self._latency.observe(nanoseconds / 1e9)

    def _one(self, label: str, value: Any) -> str:
        known = self._known.setdefault(label, set())
        text = str(value)[:64]
        if text not in known:
            if len(known) >= VALUES:
                return OTHER
            known.add(text)
        return text

    # -- what is asked

    def page(self) -> bytes:
        """Prometheus text, format 0.0.4."""
        return generate_latest(self._registry)

    def unready(self) -> list[str]:
        return unready(self._status())

    def collect(self) -> Iterator[Metric]:
        """What is looked up at a scrape. See prometheus-client's custom collectors."""
        status = self._status()
        yield _labelled("hoopx_info", "Version.", {"version": str(status.get("version"))}, 1)
        yield _gauge("hoopx_ready", "New sessions can be taken: 1 or 0. /readyz says why not.", not unready(status))
        yield _gauge("hoopx_uptime_seconds", "Since the start.", status.get("uptime"))
        yield _gauge("hoopx_sessions", "Sessions that live.", status.get("sessions"))
        yield _gauge("hoopx_recording_possible", "New sessions can be recorded: 1 or 0.", not unrecordable(status))
        yield _gauge("hoopx_audit_possible", "The audit can be written: 1 or 0.", not status.get("audit"))
        yield _counter("hoopx_logins_failed", "Logins that failed.", self._failed())
        sent = CounterMetricFamily("hoopx_bytes", "Bytes that a side has sent, as recorded.", labels=["side"])
        for side, count in zip(("client", "target"), self._traffic()):
            sent.add_metric([side], count)
        yield sent
        yield from _recorded(self._stored())
        yield from _curated(status.get("curator"))

    def describe(self) -> list[Metric]:
        """Nothing is collected at registering: the gateway is not whole yet."""
        return []


def _recorded(stored: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("hoopx_recordings_open", "Recordings that are written.", stored.get("open"))
    yield _gauge("hoopx_unsealed_bytes", "Bytes in segments that are not sealed yet.", stored.get("unsealed"))
    yield _gauge("hoopx_unsealed_seconds", "Age of the oldest frame that is not sealed yet.", stored.get("age"))
    yield _gauge("hoopx_disk_free_bytes", "Free under the data directory.", stored.get("free"))
    yield _gauge("hoopx_disk_refuse_below_bytes", "With less than that free, new sessions are refused.", stored.get("refuseBelow"))
    yield _gauge("hoopx_disk_reserve_bytes", "Kept allocated, so that recordings can be closed.", stored.get("reserve"))
    yield _gauge("hoopx_disk_reserve_held", "The reserve is whole: 1 or 0.", stored.get("held"))


def _curated(curator: Mapping[str, Any] | None) -> Iterator[Metric]:
    if curator is None:
        return
    yield _gauge("hoopx_curator_up", "The curator works: 1 or 0.", curator.get("state") == "ready")
    yield _counter("hoopx_curator_starts", "Times it was started.", curator.get("starts"))
    yield _gauge("hoopx_curator_waiting_sessions", "Sessions with segments that wait for it.", curator.get("waiting"))
    yield _counter("hoopx_curator_segments", "Segments it has put into the ledger.", curator.get("processed"))
    yield _gauge("hoopx_quarantined_sessions", "Recordings that can not be processed.", (curator.get("quarantined") or {}).get("count"))
    backlog = curator.get("backlog") or {}
    yield _gauge("hoopx_store_backlog_segments", "Segments that the store has not confirmed.", backlog.get("segments"))
    yield _gauge("hoopx_store_backlog_bytes", "Their bytes.", backlog.get("bytes"))
    yield _gauge("hoopx_store_backlog_oldest_timestamp_seconds", "When the oldest was sealed.", backlog.get("oldest"))
    ledger = curator.get("ledger") or {}
    yield _gauge("hoopx_ledger_leaves", "Leaves of the ledger.", ledger.get("size"))
    yield _gauge("hoopx_ledger_signed_leaves", "Covered by a signed checkpoint.", ledger.get("signed"))
    witnessed = ledger.get("published") if ledger.get("witnesses") else None
    yield _gauge("hoopx_ledger_witnessed_leaves", "Covered by a checkpoint that enough witnesses have signed.", witnessed)
    seen = GaugeMetricFamily("hoopx_witness_leaves", "Leaves that a witness has signed for.", labels=["witness"])
    for witness in (ledger.get("witnesses") or ())[:WITNESSES]:
        seen.add_metric([str(witness.get("url"))], witness.get("size") or 0)
    yield seen


def _gauge(name: str, text: str, value: Any) -> Metric:
    """Without samples when nothing is known: no number is better than a wrong one."""
    return GaugeMetricFamily(name, text, value=None if value is None else float(value))


def _counter(name: str, text: str, value: Any) -> Metric:
    return CounterMetricFamily(name, text, value=None if value is None else float(value))


def _labelled(name: str, text: str, labels: Mapping[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
