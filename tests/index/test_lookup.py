from __future__ import annotations

import random
import threading
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Callable, Iterable
from unittest.mock import patch

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.index import lookup, patience, things
from hoopx.index import search as module
from hoopx.index.entries import KINDS, Entry, digest
from hoopx.index.query import QueryError, Term, parse, words
from hoopx.index.search import search
from hoopx.index.store import openForWriting
from hoopx.index.wanted import ANY, Filters
from hoopx.state.engine import close
from hoopx.ulid import ulid
from tests.index.rig import BEGAN, writer

WORDS = ("select", "from", "where", "update", "orders1", "orders2", "orders31", "order", "ordinary", "été", "b", "b1")
NEVER = 24
"""Commands of this many sessions have all words but C{where} behind C{from}, and C{select} never with C{update}."""

WAYS: tuple[dict[tuple[Any, str], Any], ...] = (
    {},
    {(module, "FEW"): 0},
    {(module, "THINGS"): 30},
    {(module, "FEW"): 0, (patience, "HURRY"): -1.0, (patience, "STEPS"): 1},
    {(module, "FEW"): 0, (patience, "HURRY"): -1.0, (patience, "STEPS"): 1, (lookup, "MANY"): 3, (lookup, "CANDIDATES"): 5},
    {(module, "FEW"): 0, (lookup, "CANDIDATES"): 1},
    {(lookup, "CHUNK"): 2},
)  # fmt: skip


@frozen
class Said:
    """What was said once: in the index, and here."""

    session: str
    started: float
    user: str
    target: str
    kind: str
    text: str
    parameters: str


def stands(term: Term, said: Said) -> bool:
    """Does it, word by word?"""
    for text in (said.text, said.parameters):
        there = words(text)
        for begin in range(len(there) - len(term.words) + 1):
            here = tuple(there[begin : begin + len(term.words)])
            if here == term.words or (term.prefix and here[:-1] == term.words[:-1] and here[-1].startswith(term.words[-1])):
                return True
    return False


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that goes on by so much whenever it is looked at."""
    looks = count()
    return lambda: next(looks) * seconds


class Cases(SynchronousTestCase):
    def setUp(self) -> None:
        data = Path(self.mktemp())
        self.engine = openForWriting(data / "index.sqlite")
        self.addCleanup(close, self.engine)
        self.writer, _, _ = writer(data, engine=self.engine)
        self.said: list[Said] = []

    def put(self, number: float, entries: Iterable[tuple[str, str, str]], **more: Any) -> None:
        """Things of a session; the later, the newer."""
        session = ulid(BEGAN + number)
        found = {digest(*entry): Entry(*entry, 1.0, 1.0, 1) for entry in entries}
        with self.writer._transactions.begin() as connection:
            row = self.writer._made(session, connection)
            row |= {"started": BEGAN + number, "user": "u", "target": "t", "state": "complete", **more}
            things.put(connection, row, found)
            self.writer._write(connection, row, True)
        self.said += [Said(session, BEGAN + number, row["user"], row["target"], entry.kind, entry.text, entry.parameters) for entry in found.values()]

    def found(self, question: str, filters: Filters = ANY, limit: int = 50, kinds: tuple[str, ...] = (), **more: Any) -> list[tuple[str, str, str]]:
        told = search(self.engine, question, filters, limit, kinds, **more)
        return [(one["session"], one["kind"], one["text"]) for one in told]


class SameTests(Cases):
    """Whichever way it is looked for, what is found is what is there."""

    def setUp(self) -> None:
        super().setUp()
        chance = random.Random(7)
        for number in range(40):
            entries = []
            for each in range(chance.randrange(1, 16)):
                kind = chance.choice((*KINDS, "command", "command"))
                said = chance.choices(WORDS, k=chance.randrange(1, 7))
                if number < NEVER and kind == "command":
                    said = [word for word in said if word != "where" and not ("select" in said and word == "update")]
                entries.append((kind, f"{' '.join(said)} n{each}", " ".join(chance.choices(WORDS, k=chance.randrange(3)))))
            self.put(number, entries, user=f"u{number % 3}", target=f"t{number % 5}")

    @settings(max_examples=80, deadline=None)
    @given(
        st.lists(
            st.tuples(st.lists(st.sampled_from((*WORDS, "orde", "orders", "ETE", "o", "nothing")), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=3
        ),
        st.sampled_from((ANY, Filters(target="t3"), Filters(user="u[12]"), Filters(since=BEGAN + 10, until=BEGAN + 31), Filters(until=BEGAN + 3), Filters(since=BEGAN + 35, user="u1"))),
        st.sampled_from(((), ("command",), ("output", "event"), ("result", "command", "file"))),
        st.sampled_from((1, 2, 3, 7, 50)),
    )  # fmt: skip
    def test_naive(self, asked: list[tuple[list[str], bool]], filters: Filters, kinds: tuple[str, ...], limit: int) -> None:
        question = " ".join(f'"{" ".join(said)}"{"*" * star}' for said, star in asked)
        terms = parse(question)
        expected = [
            (said.session, said.kind, said.text) for said in reversed(self.said)
            if (not kinds or said.kind in kinds) and all(stands(term, said) for term in terms)
            and (filters.target is None or said.target == filters.target) and (filters.user is None or said.user in ("u1", filters.user.replace("[12]", "2")))
            and (filters.since or 0) <= said.started < (filters.until or 1e12)
        ][:limit]  # fmt: skip
        for way in WAYS:
            with ExitStack() as changed:
                for (where, name), value in way.items():
                    changed.enter_context(patch.object(where, name, value))
                self.assertEqual(self.found(question, filters, limit, kinds), expected, (question, way))

    def test_together(self) -> None:
        """Both halves are looked through when the newer one has not enough; and nobody is left looking."""
        for name, value in (("HURRY", -1.0), ("STEPS", 1)):
            self.patch(patience, name, value)
        for limit in (1, 5, 500):
            expected = [(said.session, said.kind, said.text) for said in reversed(self.said) if "b orders1" in said.text or "b orders1" in said.parameters]
            self.assertEqual(self.found('"b orders1"', limit=limit), expected[:limit])
            self.assertEqual([thread for thread in threading.enumerate() if thread.name == "hoopx searches"], [])
        half = sorted({said.session for said in self.said})[20]
        self.assertEqual({session < half for session, _, _ in expected}, {True, False})

    def test_rareAmongLikeOnes(self) -> None:
        """A long beginning that few of those have that begin like it: all of them are found, wherever they stand, and each once."""
        chance = random.Random(5)
        for one in range(10, 40):
            said = [f"w{one}{chance.choice(('or', 'or', 'or', 'or', 'or', 'orders9'))} c{number}" for number in range(60)]
            self.put(10**6 + one, [("command", text, "") for text in said])
            expected = [text for text in reversed(said) if "orders9" in text]
            for candidates in (1, 2000):
                self.patch(lookup, "CANDIDATES", candidates)
                for limit in (1, 2, 3, 4, 20):
                    self.assertEqual([text for _, _, text in self.found(f"w{one}orders*", limit=limit)], expected[:limit], (candidates, limit))

    def test_hurriedAnywhere(self) -> None:
        """Wherever the first walk is broken off, nothing is missing of what is found in the end, and nothing is there twice."""
        self.patch(patience, "STEPS", 1)
        for question in ('"b orders1"', "from ord*", "orders3*"):
            expected = self.found(question, kinds=("command", "output"), limit=20)
            self.assertGreater(len(expected), 2)
            for step in (*range(1, 40), *range(40, 1500, 97)):
                found = self.found(question, kinds=("command", "output"), limit=20, worked=ticking(patience.HURRY / step))
                self.assertEqual(found, expected, (question, step))

    def test_comeMeanwhile(self) -> None:
        """What is indexed between the two connections' looks takes no place of what was there before."""
        for name, value in (("HURRY", -1.0), ("STEPS", 1)):
            self.patch(patience, name, value)
        before = [(said.session, said.kind, said.text) for said in reversed(self.said) if "b orders1" in said.text or "b orders1" in said.parameters]
        come = count()

        class Late(lookup._Aside):
            def start(late) -> None:
                self.put(10.5 + next(come) / 100, [("command", "b orders1 meanwhile", ""), ("output", "b orders1 meanwhile", "")])
                super().start()

        with patch.object(lookup, "_Aside", Late):
            self.assertEqual(self.found('"b orders1"', limit=len(before)), before)
        self.assertLess(before[-1][0], ulid(BEGAN + 10.5))
        self.assertEqual(len(self.found('"b orders1"')), len(before) + 2 * next(come))

    def test_tooLongAside(self) -> None:
        """What takes too long in the other thread ends the search, too."""
        for name, value in (("HURRY", -1.0), ("STEPS", 1)):
            self.patch(patience, name, value)
        here = threading.current_thread()
        error = self.assertRaises(QueryError, self.found, '"b orders1"', now=lambda: 0.0 if threading.current_thread() is here else 1e9)
        self.assertIn("took too long", str(error))
        self.assertEqual(self.found('"select nothing"'), [])


class WorkTests(Cases):
    """What is not asked for makes nobody wait, however much there is of it."""

    def looks(self, question: str, **more: Any) -> int:
        """How much SQLite does for it."""
        looks = count()
        self.found(question, now=lambda: next(looks) * 0.0, **more)
        return next(looks)

    def grow(self, texts: Iterable[str]) -> None:
        said = list(texts)
        for begin in range(0, len(said), 5000):
            self.put(len(self.said) + 1, [("command", text, "") for text in said[begin : begin + 5000]], target="other")

    def setUp(self) -> None:
        super().setUp()
        self.patch(patience, "STEPS", 1)

    def test_otherSessions(self) -> None:
        """Words that never meet, asked of few sessions: only those are looked through."""
        for number in range(5):
            self.put(10**6 + number, [("command", f"{word} {number}", "") for word in ("select from", "update where", "from where")], target="mine")
        asked = [('"where from"', Filters(target="mine")), ("select update", Filters(target="mine")), ("sel* update", Filters(target="mine"))]
        before = [self.looks(question, filters=filters) for question, filters in asked]
        long = {word: f"{word} " * 100 for word in ("select", "update", "from", "where")}
        self.grow(f"{long['select' if number % 2 else 'update']}{long['from']}{long['where']}{number}" for number in range(3000))
        for (question, filters), few in zip(asked, before, strict=True):
            self.assertLess(self.looks(question, filters=filters), 2 * few, question)

    def test_longBeginnings(self) -> None:
        """Of words that begin so, however many there are, only the newest are looked at."""
        looks = []
        for many in (50, 5000):
            self.grow(f"get orders{number}{'x' * 100} now" for number in range(many))
            looks.append([self.looks(question, limit=1) for question in ("orders*", "now order*", '"get orders"*')])
        for few, more in zip(*looks, strict=True):
            self.assertLess(more, 2 * few)
