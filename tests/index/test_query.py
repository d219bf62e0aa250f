from __future__ import annotations

import sqlite3

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.index.query import TERMS, QueryError, fts, parse, tsquery, tsvector, words

PIECES = [*"\"'*()^:-+{}[]\\;%_&|!<>@#$\0\n aZ0é", " AND ", " OR ", " NOT ", "NEAR(", "text:", "--"]
NASTY = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


class ParseTests(SynchronousTestCase):
    def said(self, text: str) -> list[tuple[tuple[str, ...], bool]]:
        return [(term.words, term.prefix) for term in parse(text)]

    def test_words(self) -> None:
        self.assertEqual(self.said("Drop  TABLE"), [(("drop",), False), (("table",), False)])

    def test_phrase(self) -> None:
        self.assertEqual(self.said('"drop table" x'), [(("drop", "table"), False), (("x",), False)])

    def test_partedWords(self) -> None:
        self.assertEqual(self.said("orders_2024.id"), [(("orders", "2024", "id"), False)])

    def test_prefix(self) -> None:
        self.assertEqual(self.said('del* "drop ta"*'), [(("del",), True), (("drop", "ta"), True)])

    def test_openQuote(self) -> None:
        self.assertEqual(self.said('x "drop table'), [(("x",), False), (("drop", "table"), False)])

    def test_nothing(self) -> None:
        for text in ("", "  ", "*", '""', "-- ;", '"*"*', "AND".lower()[:0]):
            self.assertRaises(QueryError, parse, text)

    def test_tooMany(self) -> None:
        self.assertEqual(len(parse("a " * TERMS)), TERMS)
        self.assertIn(str(TERMS), str(self.assertRaises(QueryError, parse, "a " * (TERMS + 1))))

    def test_folded(self) -> None:
        self.assertEqual(words("Crème STRASSE straße Ⅷ"), ["creme", "strasse", "strasse", "viii"])

    def test_vector(self) -> None:
        self.assertEqual(tsvector("a b", "C"), "'a':1 'b':2 'c':13")


class SafetyTests(SynchronousTestCase):
    """What a person types is never read as a language of the database's."""

    def setUp(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.addCleanup(self.database.close)
        self.database.execute("CREATE VIRTUAL TABLE w USING fts5(text, parameters, tokenize='unicode61 remove_diacritics 2')")
        self.database.execute("INSERT INTO w VALUES ('drop table orders', 'é')")

    @given(NASTY | st.text(max_size=40))
    @example('" OR text:drop "')
    @example("NOT drop")
    @example("{text parameters}: drop")
    @example("^drop")
    def test_noSyntaxError(self, text: str) -> None:
        try:
            terms = parse(text)
        except QueryError:
            return
        self.database.execute("SELECT rowid FROM w WHERE w MATCH ?", (fts(terms),)).fetchall()
        for term in tsquery(terms).split(" & "):
            self.assertRegex(term, r"^\('\w+'( <-> '\w+')*(:\*)?\)$")

    def test_operatorsAreWords(self) -> None:
        for text in ("drop NOT missing", "drop OR missing", "NEAR(drop missing)", "text : missing"):
            found = self.database.execute("SELECT rowid FROM w WHERE w MATCH ?", (fts(parse(text)),)).fetchall()
            self.assertEqual(found, [], text)

    def test_found(self) -> None:
        for text in ("orders drop", '"drop table"', "ord*", "E", "é", "DROP-table"):
            self.assertTrue(self.database.execute("SELECT rowid FROM w WHERE w MATCH ?", (fts(parse(text)),)).fetchall(), text)
        self.assertEqual(self.database.execute("SELECT rowid FROM w WHERE w MATCH ?", (fts(parse('"table drop"')),)).fetchall(), [])
