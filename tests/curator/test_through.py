"""No row is passed over because a later one was faster."""

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.through import Through


class ThroughTests(SynchronousTestCase):
    def test_inOrder(self):
        through = Through()
        for row in (1, 2, 3):
            through.begin(row)
            self.assertTrue(through.end(row, f"h{row}"))
            self.assertEqual(through.last, (row, f"h{row}"))

    def test_faster(self):
        through = Through((3, "h3"))
        for row in (4, 5, 6, 7):
            through.begin(row)
        self.assertFalse(through.end(6, "h6"))
        self.assertTrue(through.end(4, "h4"))
        self.assertEqual(through.last, (4, "h4"))
        self.assertTrue(through.end(5, "h5"))
        self.assertEqual(through.last, (6, "h6"))

    def test_failed(self):
        """It is told again, and so are those after it; what is told once more, as after a restored copy, goes back nowhere."""
        through = Through((3, "h3"))
        through.begin(4)
        through.begin(5)
        self.assertFalse(through.end(5, "h5"))
        for row in (4, 5):
            through.begin(row)
        through.end(4, "h4")
        through.end(5, "h5")
        self.assertEqual(through.last, (5, "h5"))
        through.begin(1)
        self.assertFalse(through.end(1, "h1"))
        self.assertEqual((through.last, through._done, through._waiting), ((5, "h5"), {}, set()))

    def test_none(self):
        """An act that is no row of the audit."""
        through = Through()
        through.begin(0)
        self.assertFalse(through.end(0, "h"))
        self.assertEqual(through.last, (0, ""))
