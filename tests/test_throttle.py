"""
Tests of the reasons not to read.
"""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.throttle import Throttle
from hoopx.values import CLIENT, TARGET


class Transport:
    def __init__(self):
        self.said = []
        self.producer = None

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def pauseProducing(self):
        self.said.append("pause")

    def resumeProducing(self):
        self.said.append("resume")


class ThrottleTests(SynchronousTestCase):
    def setUp(self):
        self.client, self.target = Transport(), Transport()
        self.throttle = Throttle()
        self.throttle.begin(self.client, self.target)

    def test_reasonsEndInAnyOrder(self):
        self.throttle.pause(CLIENT, "hold")
        self.throttle.pause(CLIENT, "backpressure")
        self.throttle.resume(CLIENT, "hold")
        self.assertEqual(self.client.said, ["pause"])
        self.throttle.resume(CLIENT, "backpressure")
        self.throttle.resume(CLIENT, "backpressure")
        self.assertEqual((self.client.said, self.target.said), (["pause", "resume"], []))

    def test_backPressure(self):
        """A full buffer towards the client stops the reading from the target."""
        self.client.producer.pauseProducing()
        self.client.producer.resumeProducing()
        self.assertEqual((self.client.said, self.target.said), ([], ["pause", "resume"]))

    def test_end(self):
        self.throttle.end()
        self.throttle.pause(TARGET, "hold")
        self.assertEqual((self.client.producer, self.target.producer, self.target.said), (None, None, []))
