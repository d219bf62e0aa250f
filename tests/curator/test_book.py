"""The curator's list survives, says where each segment stands, and is no other version's."""

import os
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.book import Book
from hoopx.curator.tail import Ends
from hoopx.values import Receipt
from tests.curator.rig import WALL


class BookTests(SynchronousTestCase):
    def setUp(self):
        self.path = os.path.join(self.mktemp())
        self.book = self.open()

    def open(self):
        book = Book(self.path, careful=True)
        self.addCleanup(book.close)
        return book

    def test_standing(self):
        book = self.book
        self.assertTrue(book.fresh)
        self.assertEqual(book.standing("s").next, 0)
        ends = Ends("ab", "done", "cd", WALL)
        book.began("s", "/p", None, 0, ends, WALL)
        standing = book.standing("s")
        self.assertEqual((standing.next, standing.ends, standing.over), (0, {0: ends}, False))
        book.logged("s", 0, "ef", 10, 3, 4, WALL)
        again = self.open()
        self.assertFalse(again.fresh)
        standing = again.standing("s")
        self.assertEqual((standing.next, standing.ends, standing.over), (1, {}, True))
        self.assertEqual(again.overSessions(), {"s"})

    def test_beganAgain(self):
        """What was noted before packing is kept when the step is done again."""
        self.book.began("s", "/p", None, 0, Ends("ab"), WALL)
        self.book.began("s", "/p", {"target": "t"}, 0, Ends("xx"), WALL + 9)
        self.assertEqual(self.book.standing("s").ends, {0: Ends("ab")})

    def test_receipts(self):
        self.book.began("s", "/p", None, 0, Ends("ab"), WALL)
        self.book.logged("s", 0, "ef", 10, 3, 4, WALL)
        receipt = Receipt("gw/s/000000.hxr", "v1", "ef", WALL)
        self.book.stored("s", 0, receipt)
        self.assertEqual(self.book.receipts("s"), {0: receipt})
        self.assertEqual(self.book.removable(WALL, 9), [])
        self.assertEqual(self.book.removable(WALL + 1, 9), [("s", 0, "/p")])
        self.book.removed("s", 0)
        self.assertEqual(self.book.removable(WALL + 1, 9), [])

    def test_facts(self):
        self.assertIsNone(self.book.fact("a"))
        self.book.setFact("a", {"b": 1})
        self.book.setFact("a", {"b": 2})
        self.assertEqual(self.open().fact("a"), {"b": 2})

    def test_otherVersion(self):
        self.book.close()
        database = sqlite3.connect(self.path)
        database.execute("PRAGMA user_version = 99")
        database.close()
        self.assertRaises(ValueError, Book, self.path)

    def test_damaged(self):
        """It is only a list: whoever has to start the gateway is told what to do about it."""
        self.book.close()
        with open(self.path, "wb") as file:
            file.write(b"no database" * 1000)
        error = str(self.assertRaises(ValueError, Book, self.path))
        self.assertIn(self.path, error)
        self.assertIn("move it away", error)

    def test_mode(self):
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
