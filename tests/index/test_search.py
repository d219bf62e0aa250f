from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.index import patience, things
from hoopx.index.entries import Entry, digest
from hoopx.index.filters import like, numbers
from hoopx.index.search import QueryError, search
from hoopx.index.store import openForWriting
from hoopx.index.tables import CLOCK_BITS, ITEM_BITS, TWINS, itemId
from hoopx.index.things import ITEMS
from hoopx.index.wanted import Filters
from hoopx.state.engine import close
from hoopx.ulid import ulid
from tests.index.cases import SearchCases
from tests.index.rig import BEGAN


class SearchTests(SearchCases, SynchronousTestCase):
    def setUp(self) -> None:
        data = Path(self.mktemp())
        engine = openForWriting(data / "index.sqlite")
        self.addCleanup(close, engine)
        self.begin(engine, data)

    def test_tooLong(self) -> None:
        """A search that takes too long is broken off, and the next one is not."""
        self.patch(patience, "STEPS", 1)
        for number in range(20):
            self.record(f"SELECT {number}")
        clock = count(0, patience.SECONDS)
        error = self.assertRaises(QueryError, search, self.engine, "select", now=lambda: float(next(clock)))
        self.assertIn("--since", str(error))
        self.assertEqual(len(search(self.engine, "select")), 20)


    def test_otherKinds(self) -> None:
        """However often words were said in things of other kinds: that makes nobody wait."""
        steps = []
        self.patch(patience, "STEPS", 1)
        for times in (3, 300):
            with self.writer._transactions.begin() as connection:
                row = self.writer._made(ulid(BEGAN + times), connection)
                said = [("command", f"select {n}") for n in range(times)] + [("output", f"total {n}") for n in range(times)]
                things.put(connection, row, {digest(*one, ""): Entry(*one, "", 1.0, 1.0, 1) for one in said})
                self.writer._write(connection, row, True)
            looks = count()

            def look(looks: Any = looks) -> float:
                return next(looks) * 0.0

            for said_, kind in (("select", "output"), ("total", "command"), ("select", "event"), ("sel*", "output")):
                self.assertEqual(search(self.engine, said_, kinds=(kind,), now=look), [])
            steps.append(next(looks))
        self.assertLess(steps[1], 2 * steps[0])


class NumberTests(SynchronousTestCase):
    def test_room(self) -> None:
        """An id is a signed 64-bit number, and a session has room for all its items and the one that tells of more."""
        last = (1 << CLOCK_BITS + TWINS) - 1
        self.assertLess(itemId(last, (1 << ITEM_BITS) - 1), 2**63)
        self.assertLess(ITEMS + 1, 1 << ITEM_BITS)

    @given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
    def test_anyTime(self, since: float, until: float) -> None:
        first, last = numbers(Filters(since=since, until=until))
        self.assertTrue(0 <= first < 2**46 and -1 <= last < 2**46)

    def test_oddPatterns(self) -> None:
        from hoopx.index.tables import sessions

        for dialect in ("sqlite", "postgresql"):
            for pattern in ("[", "[!", "[!]", "[]", "*[!]]"):
                like(sessions.c.user, pattern, dialect)
