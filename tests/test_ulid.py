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

    def test_distinct(self):
        self.assertEqual(len({ulid(1) for _ in range(1000)}), 1000)

    def test_wrong(self):
        for wrong in ("", "x" * 26, "81ARYZ6S410000000000000000", "01ARYZ6S41000000000000000U"):
            self.assertRaises(ValueError, ulidTime, wrong)
