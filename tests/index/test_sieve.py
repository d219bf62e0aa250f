from __future__ import annotations

import sqlite3

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.index.query import QueryError, parse
from hoopx.index.sieve import OPERANDS, Sieve

TABLE = "CREATE VIRTUAL TABLE w USING fts5(text, parameters, tokenize='unicode61 remove_diacritics 2', prefix='1 2 3 4')"
WORDS = ("select", "from", "orders1", "orders22", "order", "ORDERS", "ordé", "éa", "e", "日本", "ß", "İ", "ﬁ", "x_y", "a\u0301b", "١", "Ⅷ", "'")
SAID = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=12).map(lambda text: text.encode("utf-8", "replace").decode())
ASKED = st.lists(st.builds(lambda text, form: form.format(text.replace('"', "")), SAID, st.sampled_from(("{}", "{}*", '"{}"', '"{}"*'))), min_size=1, max_size=4).map(" ".join)


class SieveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.database.close)
        self.database.execute(TABLE)

    def asked(self, said: str) -> set[int]:
        return {number for (number,) in self.database.execute("SELECT rowid FROM w WHERE w MATCH ?", (said,))}

    @given(st.lists(st.tuples(SAID, SAID), min_size=1, max_size=6), ASKED)
    @example([("orders1 from", "")], '"from ord"* orders*')
    @example([("a", "b")], '"a b"')
    @example([("x y", "")], "x_y")
    @example([("İx", "")], '"İx"*')
    @example([("a", "")], "a a a a a a* b*")
    def test_likeTheIndex(self, texts: list[tuple[str, str]], question: str) -> None:
        """What passes is what the index finds, all of it is found by each of the shorter questions, and they may be enough."""
        try:
            terms = parse(question)
        except QueryError:
            return
        rows = [(number, *text) for number, text in enumerate(texts)]
        self.database.execute("BEGIN")
        try:
            self.database.executemany("INSERT INTO w (rowid, text, parameters) VALUES (?, ?, ?)", rows)
            sieve = Sieve(terms)
            try:
                found = self.asked(sieve.said)
                for _ in range(2):  # nothing is left of what it was asked before
                    self.assertEqual(sieve.passed(rows), sorted(found, reverse=True))
            finally:
                sieve.close()
            self.assertLessEqual(found, self.asked(sieve.wider))
            each = [self.asked(said) for said in sieve.operands]
            self.assertLessEqual(len(each), OPERANDS)
            if each:
                self.assertLessEqual(found, set.intersection(*each))
            else:
                self.assertEqual(found, set())
            if sieve.exact and each:
                self.assertEqual(found, set.intersection(*each))
        finally:
            self.database.execute("ROLLBACK")

    def shape(self, question: str) -> tuple[list[str], str, bool, bool]:
        sieve = Sieve(parse(question))
        sieve.close()
        return sieve.operands, sieve.wider, sieve.exact, sieve.phrases

    def test_words(self) -> None:
        self.assertEqual(self.shape("Update sel* select"), (['"update"', '"select"', '"sel"*'], '"Update" "sel*"* "select"', True, False))

    def test_longBeginning(self) -> None:
        self.assertEqual(self.shape("orders*"), (['"orde"*'], '"orde"*', False, False))
        self.assertEqual(self.shape('a "From orders1"*'), (['"from"', '"a"', '"orde"*'], '"a" "from orde"*', False, True))

    def test_phrase(self) -> None:
        self.assertEqual(self.shape('"from where from"'), (['"where"', '"from"'], '"from where from"', False, True))
        self.assertEqual(self.shape("x_y"), (['"x"', '"y"'], '"x_y"', False, True))

    def test_many(self) -> None:
        """Of many words the longest ones are looked up; that is not all that was asked for."""
        operands, _, exact, _ = self.shape("a bb ccc dddd eeeee f*")
        self.assertEqual((operands, exact), (['"eeeee"', '"dddd"', '"ccc"', '"bb"'], False))
