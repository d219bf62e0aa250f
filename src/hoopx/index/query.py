# -*- test-case-name: tests.index.test_query -*-
"""
What a person searches for, as what the databases take. Nothing of it is ever read by them as their own language.

Words are runs of letters and digits, whatever their case and accents: C{orders_2024.id} is three words that follow one another.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Sequence

from attrs import frozen

from hoopx.errors import HoopxError

TERMS: Final = 64
"""Words and phrases of one query. A whole statement can be pasted; a file can not."""
LONGEST: Final = 500
"""Letters of one word that count; a lexeme of PostgreSQL has at most 2,046 bytes."""
POSITIONS: Final = 16383
"""The last position that a tsvector knows."""
GAP: Final = 10
"""Positions between two texts."""

_PARTS: Final = re.compile(r'"([^"]*)("?)(\*?)|([^\s"]+)')


class QueryError(HoopxError):
    """It can not be searched for. The text says why."""


@frozen
class Term:
    """
    Words that follow one another.

    @ivar text: as it was said, without quotes.
    @ivar words: the words in it, without case and accents.
    @ivar prefix: the last one is only the beginning of a word.
    """

    text: str
    words: tuple[str, ...]
    prefix: bool = False


def parse(text: str) -> list[Term]:
    """
    Words, C{"phrases"} and C{prefix*}; all of them must be there. Anything that is no letter or digit parts words; a quote
    without its end ends with the text.

    @raise QueryError: there is no word in it, or too many.
    """
    terms = []
    for quoted, _, star, plain in _PARTS.findall(text):
        said = words(quoted or plain)
        if said:
            terms.append(Term(quoted or plain, tuple(said), bool(star) if quoted else plain.endswith("*")))
    if not terms:
        raise QueryError("there is nothing to search for: say a word, a \"phrase\", or the beginning of a word as begin*")
    if len(terms) > TERMS:
        raise QueryError(f"a search is for at most {TERMS} words and phrases, not {len(terms)}")
    return terms


def words(text: str) -> list[str]:
    """The words of a text, without case and accents."""
    if text.isascii():
        return _ASCII.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORDS.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


_ASCII: Final = re.compile(r"[0-9a-z]+")
_WORDS: Final = re.compile(r"[^\W_]+")


def fts(terms: Sequence[Term]) -> str:
    """A MATCH expression of SQLite's FTS5: strings only, which it cuts into words itself, joined by its implicit AND."""
    return " ".join('"' + term.text.replace('"', " ").replace("\0", " ") + '"' + ("*" if term.prefix else "") for term in terms)


def tsquery(terms: list[Term]) -> str:
    """The same as a tsquery of PostgreSQL: lexemes of letters and digits, which need no quoting, in its operators."""
    return " & ".join(
        "(" + " <-> ".join(f"'{word[:LONGEST]}'" for word in term.words) + (":*" if term.prefix else "") + ")" for term in terms
    )


def tsvector(*texts: str) -> str:
    """Texts as a tsvector of PostgreSQL, cut into words as the query is; no phrase goes from one text over to the next."""
    found = []
    position = 0
    for text in texts:
        for word in words(text):
            position += 1
            found.append(f"'{word[:LONGEST]}':{min(position, POSITIONS)}")
        position += GAP
    return " ".join(found)
