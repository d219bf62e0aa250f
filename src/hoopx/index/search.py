# -*- test-case-name: tests.index.test_search -*-
"""
Finds what was said.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Final, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, Select, column, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.selectable import Join

from hoopx.index import query
from hoopx.index.filters import conditions, numbers
from hoopx.index.listing import listing
from hoopx.index.query import QueryError, Term
from hoopx.index.tables import ITEM_BITS, items, sessions
from hoopx.index.wanted import ANY, Filters

__all__ = ["LIMIT", "Filters", "QueryError", "listing", "search"]

LIMIT: Final = 50
"""Things that are found, unless more are asked for."""
FEW: Final = 300
"""Sessions that are searched one by one, newest first; where a filter leaves more of them, the words are looked up first."""
RARE: Final = 2000
"""Things of a kind that are looked through one by one; where there are more, the words are looked up first. So many with words, too."""
BY_WORDS: Final = ("statement_timeout = 100", "enable_seqscan = off", "enable_indexscan = off", "enable_indexonlyscan = off")
"""A server looks the words up, for so many milliseconds: words that take longer are common."""
SECONDS: Final = 30.0
"""A search that takes longer is broken off: the question was too wide, and somebody waits."""
STEPS: Final = 100_000
"""Of SQLite's machine, between two looks at the clock."""

_SESSION: Final = ("user", "actor", "target", "account", "protocol", "state")
_ITEM: Final = ("at", "kind", "text", "parameters", "count", "last", "sequence")

_fts: Final = table("words", column("rowid"))
_vectors: Final = table("words", column("id"), column("vector"))


def search(
    engine: Engine, said: str, filters: Filters = ANY, limit: int = LIMIT, kinds: Sequence[str] = (),
    now: Callable[[], float] = time.monotonic,
) -> list[dict[str, Any]]:  # fmt: skip
    """
    Things in which all words of a query stand: of the newest session first, in a session what was said last first.

    @param said: words, C{"phrases"}, C{prefix*} (L{hoopx.index.query.parse}).
    @param limit: at most so many.
    @param kinds: some of L{hoopx.index.entries.KINDS}; empty for all.
    @return: C{session, at, kind, text, parameters, count, last, sequence, time, user, actor, target, account, protocol, state}: C{at}
        (seconds since the session began) is when it was said first, C{last} when last, C{count} how often, C{time} is C{at} in
        seconds since the epoch.
    @raise QueryError: nothing can be searched for, or it took too long.
    """
    terms = query.parse(said)
    with engine.connect() as connection, _bounded(connection, now):
        wanted = conditions(filters, connection)
        chosen = _chosen(connection, terms, kinds)
        few = _few(connection, wanted) if wanted else None
        ids = _scarce(connection, terms)
        if ids is not None:
            chosen = chosen.where(_vectors.c.id.in_(ids))
            if few is not None:  # one question instead of one for each session
                some = chosen.where(items.c.session.in_(few)).limit(limit)
                return [_told(row) for row in connection.execute(some).mappings()]
        if few is None:
            first, last = numbers(filters)
            every = _within(chosen.where(*wanted), connection, first, last).limit(limit)
            return [_told(row) for row in connection.execute(every).mappings()]
        found: list[dict[str, Any]] = []
        for number in few:
            if len(found) < limit:
                rows = connection.execute(_within(chosen, connection, number, number).limit(limit - len(found))).mappings()
                found += [_told(row) for row in rows]
        return found


def _few(connection: Connection, wanted: list[ColumnElement[bool]]) -> list[int] | None:
    """The numbers of the sessions that are wanted, newest first; C{None} for too many."""
    chosen = select(sessions.c.number).where(*wanted).order_by(sessions.c.number.desc()).limit(FEW + 1)
    found = list(connection.execute(chosen).scalars())
    return None if len(found) > FEW else found


def _scarce(connection: Connection, terms: list[Term]) -> list[int] | None:
    """
    At a server: all things in which the words stand, when they are few. It can not know how many there are, and would look through all
    things from the newest on, for words that nobody has said: 1.5 to 5 seconds for ten million. SQLite does not.

    @return: their ids; C{None}: they are many.
    """
    if connection.dialect.name == "sqlite":
        return None
    try:
        for setting in BY_WORDS:
            connection.execute(text(f"SET LOCAL {setting}"))
        found = list(connection.execute(select(_vectors.c.id).where(_match(terms)).limit(RARE + 1)).scalars())
    except DBAPIError as error:
        if "statement timeout" not in str(error.orig):
            raise
        return None
    finally:
        connection.rollback()  # what was set is as it was
    return None if len(found) > RARE else found


def _match(terms: list[Term]) -> ColumnElement[bool]:
    said = text("CAST(:said AS tsquery)").bindparams(said=query.tsquery(terms))
    found: ColumnElement[bool] = _vectors.c.vector.op("@@", is_comparison=True)(said)
    return found


def _chosen(connection: Connection, terms: list[Term], kinds: Sequence[str]) -> Select[Any]:
    dialect = connection.dialect.name
    own = [sessions.c.session, sessions.c.started, *(sessions.c[name] for name in _SESSION)]
    chosen = select(*own, *(items.c[name] for name in _ITEM))
    if dialect == "sqlite":
        first = _InOrder(_fts, items, items.c.id == _fts.c.rowid)
        chosen = chosen.select_from(_InOrder(first, sessions, sessions.c.number == items.c.session))
        chosen = chosen.where(text("words MATCH :said").bindparams(said=query.fts(terms))).order_by(_fts.c.rowid.desc())
    else:
        chosen = chosen.where(items.c.session == sessions.c.number, items.c.id == _vectors.c.id)
        chosen = chosen.where(_match(terms)).order_by(_vectors.c.id.desc())
    if not kinds:
        return chosen
    if "command" not in kinds:
        rare = select(items.c.id).where(items.c.kind.in_(kinds), items.c.kind != text("'command'"))
        if len(connection.execute(rare.limit(RARE + 1)).all()) <= RARE:
            key: Any = literal_column("words.rowid" if dialect == "sqlite" else "words.id")
            return chosen.where(key.in_(rare))
    return chosen.where(items.c.kind.in_(kinds))


class _InOrder(Join):
    """
    SQLite's CROSS JOIN, which it never turns round: first the words, which come in the order of their rows, so that it can stop at the
    limit; then what they stand in.
    """

    inherit_cache = True


@compiles(_InOrder)
def _inOrder(element: Any, compiler: Any, **options: Any) -> str:
    sides = (compiler.process(side, **{**options, "asfrom": True}) for side in (element.left, element.right))
    return f"{' CROSS JOIN '.join(sides)} ON {compiler.process(element.onclause, **options)}"


def _within(chosen: Select[Any], connection: Connection, first: int, last: int) -> Select[Any]:
    """Only items of sessions of these numbers."""
    key: Any = literal_column("words.rowid" if connection.dialect.name == "sqlite" else "words.id")
    return chosen.where(key >= first << ITEM_BITS, key <= (last + 1 << ITEM_BITS) - 1)


def _told(row: Any) -> dict[str, Any]:
    told = {"session": row["session"], **{name: row[name] for name in _ITEM}}
    told["parameters"] = row["parameters"].split("\n") if row["parameters"] else []
    told["time"] = None if row["started"] is None else row["started"] + row["at"]
    return told | {name: row[name] for name in _SESSION}


@contextmanager
def _bounded(connection: Connection, now: Callable[[], float]) -> Iterator[None]:
    """Break off what takes too long. (A server has its own limit.)"""
    raw: Any = connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
    if raw is not None:
        until = now() + SECONDS
        raw.set_progress_handler(lambda: now() > until, STEPS)
    try:
        yield
    except DBAPIError as error:
        if "interrupted" in str(error.orig) or "statement timeout" in str(error.orig):
            raise QueryError("the search took too long: ask for rarer words, or for fewer sessions (--since, --user, --target)") from None
        raise
    finally:
        if raw is not None:
            raw.set_progress_handler(None, 0)
