# -*- test-case-name: tests.index.test_sieve -*-
"""
Tells of a few texts which ones FTS5 would find: by asking an FTS5 in memory that holds nothing else.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Iterable, Sequence

from hoopx.index.query import Term, fts

BEGINNINGS: Final = 4
"""Letters of the longest beginnings that are looked up (prefix, in the tables' own definition); longer ones FTS5 puts together."""
OPERANDS: Final = 4
"""Words that are looked up one by one: of a whole statement the longest ones, which are rarer than most."""

_TABLES: Final = (
    "CREATE VIRTUAL TABLE said USING fts5(text, parameters, content='', columnsize=0, tokenize=\"unicode61 remove_diacritics 2\")",
    "CREATE VIRTUAL TABLE spoken USING fts5vocab(said, instance)",
)


class Sieve:
    """
    @param terms: at least one.
    @ivar said: the MATCH expression of the terms.
    @ivar wider: one that finds all of that and perhaps more, and asks for no long beginning; the same as C{said} where that does not.
    @ivar phrases: some words must follow one another.
    @ivar operands: MATCH expressions of one word or short beginning each: whatever is found is found by each of these, too.
    @ivar exact: and whatever is found by each of these is found; C{single}: so it is, and there is one.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in _TABLES:
            self._database.execute(statement)
        self.said = fts(terms)
        spoken = [(self._spoken(fts([Term(term.text, term.words)])), term.prefix) for term in terms]
        parts = [(words, prefix) for words, prefix in spoken if words]
        long = any(prefix and len(words[-1]) > BEGINNINGS for words, prefix in parts)
        self.wider = " ".join(_short(words, prefix) for words, prefix in parts) if long else self.said
        self.phrases = any(len(words) > 1 for words, _ in parts)
        single = dict.fromkeys(each for words, prefix in parts for each in _singly(words, prefix))
        self.operands = sorted(single, key=lambda each: (each.endswith("*"), -len(each)))[:OPERANDS]
        self.exact = not long and not self.phrases and len(single) <= OPERANDS
        self.single = self.exact and len(single) == 1

    def passed(self, texts: Iterable[tuple[int, str, str]]) -> list[int]:
        """
        @param texts: ids, texts and parameters of things.
        @return: the ids of those that are found, the largest first.
        """
        self._database.execute("BEGIN")
        try:
            self._database.executemany("INSERT INTO said (rowid, text, parameters) VALUES (?, ?, ?)", texts)
            found = self._database.execute("SELECT rowid FROM said WHERE said MATCH ? ORDER BY rowid DESC", (self.said,)).fetchall()
        finally:
            self._database.execute("ROLLBACK")
        return [number for (number,) in found]

    def close(self) -> None:
        self._database.close()

    def _spoken(self, text: str) -> list[str]:
        """A text's words, as FTS5 cuts them."""
        self._database.execute("BEGIN")
        try:
            self._database.execute("INSERT INTO said (rowid, text) VALUES (1, ?)", (text,))
            return [term for (term,) in self._database.execute("SELECT term FROM spoken ORDER BY offset").fetchall()]
        finally:
            self._database.execute("ROLLBACK")


def _short(words: Sequence[str], prefix: bool) -> str:
    """The phrase, with a beginning that is not too long to be looked up."""
    return f'"{" ".join([*words[:-1], words[-1][:BEGINNINGS]])}"*' if prefix else f'"{" ".join(words)}"'


def _singly(words: Sequence[str], prefix: bool) -> Iterable[str]:
    for number, word in enumerate(words):
        last = prefix and number == len(words) - 1
        yield f'"{word[:BEGINNINGS]}"*' if last else f'"{word}"'
