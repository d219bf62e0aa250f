"""The longest rule that matches wins."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.keeping import DEFAULT, Keeping
from hoopx.curator.settings import Rule


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
