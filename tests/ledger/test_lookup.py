"""Where leaves stand."""

from __future__ import annotations

import os
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.leaf import ROTATED, parse
from hoopx.ledger.lookup import NAME, Lookup, keyOf
from tests.ledger.rig import done, opened, sealed


class LookupTests(SynchronousTestCase):
    def setUp(self):
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def open(self):
        lookup = Lookup(self.directory)
        self.addCleanup(lookup.close)
        return lookup

    def test_kept(self):
        lookup = self.open()
        lookup.add([("a", 1), ("b", 2)], 256)
        lookup.close()
        again = self.open()
        self.assertEqual((again.covered, again.find("a"), again.find("b"), again.find("c")), (256, 1, 2, None))

    def test_firstCounts(self):
        lookup = self.open()
        lookup.add([("a", 1), (ROTATED, 1)], 256)
        lookup.add([("a", 300), (ROTATED, 300)], 512)
        self.assertEqual((lookup.find("a"), lookup.find(ROTATED)), (1, 300))

    def test_allOrNothing(self):
        lookup = self.open()

        def pairs():
            yield "a", 1
            raise RuntimeError

        self.assertRaises(RuntimeError, lookup.add, pairs(), 256)
        self.assertEqual((lookup.find("a"), lookup.covered), (None, 0))
        lookup.add([("a", 1)], 256)

    def test_notOurs(self):
        """A file that is no database, or another one, is a cache that is gone."""
        for content in (b"garbage" * 1000, b"SQLite format 3\0" + b"x" * 200):
            with open(os.path.join(self.directory, NAME), "wb") as file:
                file.write(content)
            lookup = self.open()
            self.assertEqual(lookup.covered, 0)
            lookup.add([("a", 1)], 256)
            self.assertEqual(lookup.find("a"), 1)
            lookup.close()
            database = sqlite3.connect(os.path.join(self.directory, NAME))
            database.execute("PRAGMA user_version = 99")
            database.close()
            self.assertEqual(self.open().covered, 0)

    def test_private(self):
        self.open()
        self.assertEqual(os.stat(os.path.join(self.directory, NAME)).st_mode & 0o777, 0o600)

    def test_keys(self):
        keys = [keyOf(parse(line)) for line in (opened(1), opened(2), sealed(1, 0), sealed(1, 1), done(1))]
        self.assertEqual(len(set(keys)), 5)
        self.assertEqual(keyOf(parse(opened(1, 5.0))), keys[0])
