from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.api.control import ITail
from hoopx.api.stream import Stream
from tests.api.doubles import FakeTail


class FakeRequest:
    def __init__(self) -> None:
        self.written = b""
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.written += data


class StreamTests(SynchronousTestCase):
    def stream(self, *batches: Any) -> Deferred[None]:
        self.clock = Clock()
        self.request = FakeRequest()
        self.source = FakeTail(*batches)
        self.made = Stream(self.request, self.source, self.clock)
        return self.made.start()

    def test_interfaces(self) -> None:
        self.stream()
        verifyObject(IPushProducer, self.made)
        verifyObject(ITail, self.source)

    def test_untilTheEnd(self) -> None:
        done = self.stream(["a", "b"], [], ["c"], None)
        self.assertEqual(self.request.written, b"a\nb\n")
        self.assertNoResult(done)
        self.clock.pump([0, 0.2, 0])
        self.assertEqual(self.request.written, b"a\nb\nc\n")
        self.successResultOf(done)
        self.assertEqual((self.source.closed, self.request.producer, self.clock.getDelayedCalls()), (1, None, []))

    def test_behind(self) -> None:
        """Who has much to catch up with does not wait for more to come, but leaves room for others."""
        self.stream([], [], ["a"], [])
        self.source.behind = True
        self.clock.advance(0.2)
        self.assertEqual(self.source.reads, 2)
        self.clock.advance(0.02)
        self.assertEqual((self.source.reads, self.request.written), (3, b"a\n"))
        self.clock.advance(0.01)
        self.assertEqual(self.source.reads, 3)

    def test_readerWhoDoesNotRead(self) -> None:
        """Nothing is fetched for somebody who does not take it."""
        self.stream([], ["a"], ["b"])
        self.made.pauseProducing()
        self.clock.advance(0.2)
        self.clock.advance(100)
        self.assertEqual((self.source.reads, self.request.written), (2, b"a\n"))
        self.made.resumeProducing()
        self.assertEqual(self.request.written, b"a\nb\n")

    def test_resumeTwice(self) -> None:
        """There is never more than one question under way."""
        waiting: Deferred[list[str]] = Deferred()
        self.stream(waiting)
        for _ in range(3):
            self.made.pauseProducing()
            self.made.resumeProducing()
        self.assertEqual(self.source.reads, 1)
        waiting.callback([])
        self.made.pauseProducing()
        self.made.resumeProducing()
        self.assertEqual(self.source.reads, 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_readerLeaves(self) -> None:
        done = self.stream([])
        self.made.stopProducing()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual((self.source.closed, self.clock.getDelayedCalls()), (1, []))

    def test_readerLeavesDuringARead(self) -> None:
        waiting: Deferred[list[str]] = Deferred()
        done = self.stream(waiting)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        waiting.callback(["a"])
        self.assertEqual((self.request.written, self.source.closed, self.clock.getDelayedCalls()), (b"", 1, []))

    def test_sourceFails(self) -> None:
        done = self.stream(fail(OSError(5, "gone")))
        self.failureResultOf(done, OSError)
        self.assertEqual(self.source.closed, 1)
