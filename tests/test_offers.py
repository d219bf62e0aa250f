"""
Tests of what connections answer to from elsewhere.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.offers import ADDRESSES, FORGET, WRONG_LIMIT, Offers


class OffersTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.offers = Offers(self.clock.seconds)
        self.heard = []
        self.offers.add("key", self.heard.append)

    def test_call(self):
        self.assertTrue(self.offers.call("10.0.0.1:5", "key", "now"))
        self.assertEqual(self.heard, ["now"])
        self.offers.remove("key")
        self.assertFalse(self.offers.call("10.0.0.1:5", "key", "now"))

    def test_guessing(self):
        """After too many wrong keys from one address even the right one goes unanswered: for a while, from there."""
        for number in range(WRONG_LIMIT):
            self.assertFalse(self.offers.call(f"10.0.0.1:{number}", "wrong"))
        self.assertFalse(self.offers.call("10.0.0.1:9", "key", 1))
        self.assertTrue(self.offers.call("10.0.0.2:9", "key", 2))
        self.clock.advance(FORGET + 1)
        self.assertTrue(self.offers.call("10.0.0.1:9", "key", 3))
        self.assertEqual(self.heard, [2, 3])

    def test_guessingFromANetwork(self):
        """One machine has a whole /64 of IPv6 addresses: they count as one."""
        for number in range(WRONG_LIMIT):
            self.assertFalse(self.offers.call(f"2001:db8::{number:x}:5432", "wrong"))
        self.assertFalse(self.offers.call("2001:db8::ffff:1", "key", 1))
        self.assertTrue(self.offers.call("2001:db8:0:1::1:1", "key", 2))

    def test_bounded(self):
        for number in range(ADDRESSES + 10):
            self.offers.call(f"host{number}:1", "wrong")
        self.assertEqual(len(self.offers._wrong), ADDRESSES)
