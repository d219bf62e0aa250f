"""The longest rule that matches wins."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.retention.rules import DEFAULT, Keeping, Rule, heldBy


class KeepingTests(SynchronousTestCase):
    def test_longest(self):
        keeping = Keeping(
            [Rule(90.0, labels={"data": "personal"}), Rule(300.0, ("web*",)), Rule(10.0, ("web1",), {"run": "test"})],
            {"web1": {"data": "personal"}, "orders": {"data": "personal"}},
        )
        self.assertEqual(keeping.seconds("web1", {}), 300.0)
        self.assertEqual(keeping.seconds("orders", {}), 90.0)
        self.assertEqual(keeping.seconds("orders", {"data": "none"}), 90.0)  # the target's own label can not be talked away
        self.assertEqual(keeping.seconds("gone", {"data": "personal"}), 90.0)
        self.assertEqual(keeping.seconds("gone", {}), DEFAULT)
        self.assertEqual(Keeping([Rule(5.0)], {}).seconds("any", {}), 5.0)

    def test_unknown(self):
        """Nobody can tell which target it was: no rule is too long for it."""
        keeping = Keeping([Rule(5.0), Rule(2 * DEFAULT, ("payments",))], {})
        self.assertEqual(keeping.seconds("", {}), 2 * DEFAULT)
        self.assertEqual(Keeping([Rule(5.0)], {}).seconds("", {}), DEFAULT)


class HoldTests(SynchronousTestCase):
    HEAD = {"target": "orders", "protocol": "raw", "labels": {"run": "7"}, "identity": {"name": "alice@example.com"}}
    SESSION = "01M8D7W2Y54HZZ2Z923T9MP46H"

    def held(self, head=HEAD, **hold):
        row = {"session": None, "filter": None, "reason": "r"} | hold
        return heldBy([row], self.SESSION, head) is not None

    def test_session(self):
        self.assertTrue(self.held(session=self.SESSION))
        self.assertFalse(self.held(session="01M8D7W2YRTCSXA9M91EYAWK43"))
        self.assertIsNone(heldBy([], self.SESSION, self.HEAD))

    def test_filter(self):
        self.assertTrue(self.held(filter={"target": "ord*"}))
        self.assertTrue(self.held(filter={"user": "alice*", "labels": ["run=7"]}))
        self.assertFalse(self.held(filter={"user": "bob*"}))
        self.assertTrue(self.held(filter={"target": "orders", "states": ["live"]}))

    def test_unknown(self):
        """Where nobody knows what the session was, every filter might mean it."""
        self.assertTrue(self.held(head=None, filter={"user": "bob*"}))
        self.assertFalse(self.held(head=None, session="other"))
