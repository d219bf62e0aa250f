"""Ids of sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ulid import ulid, ulidTime


class UlidTests(SynchronousTestCase):
    def test_known(self):
        """From the ULID specification's own test: 1469918176385 begins 01ARYZ6S41."""
        name = ulid(1469918176.385, bytes(10))
        self.assertEqual(name, "01ARYZ6S41" + "0" * 16)
        self.assertEqual(ulidTime(name), 1469918176.385)
        self.assertEqual(ulid(0, b"\xff" * 10)[10:], "Z" * 16)

    def test_impossible(self):
        """Clocks that stand before 1970, or beyond what an id can say: it is one all the same."""
        for now, said in ((-1.0, 0.0), (-4e7, 0.0), (2**48 / 1000 + 5, (2**48 - 1) / 1000)):
            self.assertEqual(ulidTime(ulid(now)), said)

    def test_distinct(self):
        self.assertEqual(len({ulid(1) for _ in range(1000)}), 1000)

    def test_wrong(self):
        for wrong in ("", "x" * 26, "81ARYZ6S410000000000000000", "01ARYZ6S41000000000000000U"):
            self.assertRaises(ValueError, ulidTime, wrong)
