# -*- test-case-name: tests.index.test_search -*-
"""
Which sessions are wanted, as conditions of SQL.
"""

from __future__ import annotations

from typing import Any, Final, Iterator, Mapping

from sqlalchemy import ColumnElement, Connection, Select, UnaryExpression, select
from sqlalchemy.sql import operators

from hoopx.index.tables import CLOCK_BITS, TWINS, labels, sessions
from hoopx.index.wanted import NAMED, Filters

FEW: Final = 1000
"""Sessions that are looked up, at some microseconds each."""
LABELLED: Final = 10_000
"""Sessions with a label that are: to ask each costs more than a look at its own row."""
INDEXED: Final = ("user", "target")


def numbers(filters: Filters) -> tuple[int, int]:
    """@return: the first and the last number a session of that time may have."""
    last = (1 << CLOCK_BITS) - 1
    first = 0 if filters.since is None else _milliseconds(filters.since)
    end = last if filters.until is None else _milliseconds(filters.until) - 1
    return max(0, min(first, last)) << TWINS, (max(-1, min(end, last)) + 1 << TWINS) - 1


def _milliseconds(moment: float) -> int:
    """The first whole one at or after a moment."""
    return -int(-max(-1e12, min(moment, 1e12)) * 1000 // 1)


def conditions(filters: Filters, connection: Connection) -> list[ColumnElement[bool]]:
    dialect = connection.dialect.name
    found: list[ColumnElement[bool]] = []
    if filters.since is not None or filters.until is not None:
        first, last = numbers(filters)
        found.append(sessions.c.number.between(first, last))
    for name in NAMED:
        pattern = getattr(filters, name)
        if pattern is not None:
            said = select(sessions.c.session).where(like(sessions.c[name], pattern, dialect, inOrder=False))
            rare = name in INDEXED and dialect == "sqlite" and not _isText(pattern) and _areFew(connection, said, FEW)
            found.append(sessions.c.session.in_(said) if rare else like(sessions.c[name], pattern, dialect))
    if filters.sessions is not None:
        found.append(sessions.c.session.in_(sorted(filters.sessions)))
    if filters.states:
        found.append(sessions.c.state.in_(filters.states))
    for label in filters.labels:
        name, _, pattern = label.partition("=")
        said = select(labels.c.session).where(labels.c.name == name)
        if pattern not in ("", "*"):
            said = said.where(like(labels.c.value, pattern, dialect))
        if dialect != "sqlite" or _areFew(connection, said, LABELLED):
            found.append(sessions.c.session.in_(said))
        else:
            found.append(said.where(labels.c.session == sessions.c.session).correlate(sessions).exists())
    return found


def _areFew(connection: Connection, said: Select[Any], few: int) -> bool:
    """
    Those that fit are looked up, when they are few. Of many each session is asked in its turn, so that a page need not wait for all of
    them: that SQLite has to be told.
    """
    return len(connection.execute(said.limit(few + 1)).all()) <= few


def like(column: Any, pattern: str, dialect: str, inOrder: bool = True) -> ColumnElement[bool]:
    """
    A condition that says what C{fnmatch.fnmatchcase} says.

    @param inOrder: for SQLite: it is no reason to leave the order in which the rows are wanted, for an index by this column.
    """
    parts = list(_parts(pattern))
    if _isText(pattern):
        equal: ColumnElement[bool] = column == "".join(text for _, text in parts)
        return equal
    if dialect == "sqlite":
        here = UnaryExpression(column, operator=operators.custom_op("+"), type_=column.type) if inOrder else column
        said: ColumnElement[bool] = here.op("GLOB", is_comparison=True)("".join(_glob(*part) for part in parts))
        return said
    matched: ColumnElement[bool] = column.op("~", is_comparison=True)("^" + "".join(_expression(*part) for part in parts) + "$")
    return matched


def _isText(pattern: str) -> bool:
    """Does it stand for itself?"""
    return all(kind == "text" for kind, _ in _parts(pattern))


def _parts(pattern: str) -> Iterator[tuple[str, str]]:
    """A pattern as fnmatch reads it: any, one, text, in (a set's inside), not in."""
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter in "*?":
            yield ("any" if letter == "*" else "one"), ""
        elif letter == "[":
            begin = place + 1 if pattern[place : place + 1] == "!" else place
            end = pattern.find("]", begin + 1)  # a ] that comes first stands for itself
            if end < 0:
                yield "text", "["
            else:
                yield ("in" if begin == place else "not in"), pattern[begin:end]
                place = end + 1
        else:
            yield "text", letter


_ESCAPED: Final[Mapping[str, str]] = {"*": "[*]", "?": "[?]", "[": "[[]"}


def _glob(kind: str, text: str) -> str:
    if kind == "text":
        return _ESCAPED.get(text, text)
    if kind in ("in", "not in"):
        inside = ("]" if "]" in text else "") + text.replace("]", "")
        if kind == "in" and inside.startswith("^"):  # would turn it round
            inside = inside[1:] + "^" if len(inside) > 1 else "^-^"
        return f"[{'^' if kind == 'not in' else ''}{inside}]"
    return "*" if kind == "any" else "?"


def _expression(kind: str, text: str) -> str:
    if kind == "text":
        return text if text.isalnum() else f"\\{text}" if text.isascii() else text
    if kind in ("in", "not in"):
        inside = "".join(letter if letter == "-" or letter.isalnum() else _set(letter) for letter in text)
        return f"[{'^' if kind == 'not in' else ''}{inside}]"
    return ".*" if kind == "any" else "."


def _set(letter: str) -> str:
    return f"\\{letter}" if letter.isascii() else letter
