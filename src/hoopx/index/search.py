# -*- test-case-name: tests.index.test_search -*-
"""
Finds what was said.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import Any, Callable, Final, Iterator, Sequence

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Engine, Select, column, exists, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError

from hoopx.index import query
from hoopx.index.entries import KINDS
from hoopx.index.filters import conditions, numbers
from hoopx.index.listing import listing
from hoopx.index.lookup import CHUNK, Lookup
from hoopx.index.patience import Patience
from hoopx.index.query import QueryError, Term
from hoopx.index.sieve import Sieve
from hoopx.index.tables import ITEM_BITS, items, sessions
from hoopx.index.wanted import ANY, Filters
from hoopx.index.words import TABLES

__all__ = ["LIMIT", "Filters", "QueryError", "listing", "search"]

LIMIT: Final = 50
"""Things that are found, unless more are asked for."""
FEW: Final = 300
"""Sessions that are searched one by one, newest first; where a filter leaves more of them, the words are looked up first."""
THINGS: Final = 40_000
"""In these sessions together: where there are more, several words are looked up first as well."""
FEW_AT_SERVER: Final = 5000
"""The same at a server, which can not tell where in its order the words are, and goes through all things for those of some sessions."""
RARE: Final = 2000
"""Things with the words that a server looks up; where there are more, it goes from the newest on until it has enough."""
BY_WORDS: Final = ("statement_timeout = 100", "enable_seqscan = off", "enable_indexscan = off", "enable_indexonlyscan = off")
"""A server looks the words up, for so many milliseconds: words that take longer are common."""

_SESSION: Final = ("user", "actor", "target", "account", "protocol", "state")
_ITEM: Final = ("at", "kind", "text", "parameters", "count", "last", "sequence")

_vectors: Final = table("words", column("id"), column("kind"), column("vector"))


@frozen
class _Part:
    """
    Where a server looks words up.

    @ivar chosen: things in which they stand, newest first.
    @ivar key: the things' ids, as the words know them.
    @ivar scarce: they are few, and known.
    """

    chosen: Select[Any]
    key: ColumnElement[Any]
    scarce: bool = False


def search(
    engine: Engine, said: str, filters: Filters = ANY, limit: int = LIMIT, kinds: Sequence[str] = (),
    now: Callable[[], float] = time.monotonic, worked: Callable[[], float] = time.thread_time,
) -> list[dict[str, Any]]:  # fmt: skip
    """
    Things in which all words of a query stand: of the newest session first, in a session what was said last first.

    @param said: words, C{"phrases"}, C{prefix*} (L{hoopx.index.query.parse}).
    @param limit: at most so many.
    @param kinds: some of L{hoopx.index.entries.KINDS}; empty for all.
    @param worked: seconds that this thread has had of a processor (L{hoopx.index.patience.Patience}).
    @return: C{session, at, kind, text, parameters, count, last, sequence, time, user, actor, target, account, protocol, state}: C{at}
        (seconds since the session began) is when it was said first, C{last} when last, C{count} how often, C{time} is C{at} in
        seconds since the epoch.
    @raise QueryError: nothing can be searched for, or it took too long.
    """
    terms = query.parse(said)
    patience = Patience(now, worked)
    with engine.connect() as connection, _bounded(patience), patience.watching(connection):
        wanted = conditions(filters, connection)
        few = _few(connection, wanted) if wanted else None
        if connection.dialect.name == "sqlite":
            names = [TABLES[kind] for kind in _there(connection, kinds)]
            with closing(Sieve(terms)) as sieve:
                lookup = Lookup(engine, connection, sieve, patience)
                if few is None:
                    return _ofThese(connection, lookup.newest(names, numbers(filters), limit, *wanted))
                if not sieve.single and sum(few.values()) > THINGS:
                    return _ofThese(connection, lookup.newest(names, (min(few), max(few)), limit, *wanted))
                return _ofThese(connection, lookup.inEach(names, list(few), limit))
        parts = list(_parts(connection, terms, kinds))
        if few is None:
            return _newest(connection, parts, numbers(filters), limit, *wanted)
        if all(part.scarce for part in parts):  # one question instead of one for each session
            return _newest(connection, parts, numbers(filters), limit, items.c.session.in_(list(few)))
        found: list[dict[str, Any]] = []
        for number in few:
            if len(found) < limit:
                found += _newest(connection, parts, (number, number), limit - len(found))
        return found


def _newest(
    connection: Connection, parts: Sequence[_Part], between: tuple[int, int], limit: int, *wanted: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """
    @param between: numbers of sessions.
    @return: the newest things of all parts: no part is looked at below what was found in others.
    """
    first, last = between[0] << ITEM_BITS, (between[1] + 1 << ITEM_BITS) - 1
    found: list[Any] = []
    for part in parts:
        chosen = part.chosen.where(part.key >= first, part.key <= last, *wanted).limit(limit)
        found += connection.execute(chosen).mappings()
        if len(found) >= limit:
            found = sorted(found, key=lambda row: row["id"], reverse=True)[:limit]
            first = found[-1]["id"]
    return [_told(row) for row in sorted(found, key=lambda row: row["id"], reverse=True)]


def _ofThese(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The things with these ids, in their order."""
    found: list[dict[str, Any]] = []
    for begin in range(0, len(ids), CHUNK):
        chosen = _what().where(items.c.id.in_(ids[begin : begin + CHUNK]), sessions.c.number == items.c.session)
        found += map(_told, connection.execute(chosen.order_by(items.c.id.desc())).mappings())
    return found


def _what() -> Select[Any]:
    own = [sessions.c.session, sessions.c.started, *(sessions.c[name] for name in _SESSION)]
    return select(*own, items.c.id, *(items.c[name] for name in _ITEM))


def _few(connection: Connection, wanted: list[ColumnElement[bool]]) -> dict[int, int] | None:
    """Of the sessions that are wanted, newest first: their numbers, and how many things there are in each; C{None} for too many."""
    most = FEW if connection.dialect.name == "sqlite" else FEW_AT_SERVER
    chosen = select(sessions.c.number, sessions.c["items"]).where(*wanted).order_by(sessions.c.number.desc()).limit(most + 1)
    found = connection.execute(chosen).tuples().all()
    return None if len(found) > most else dict(found)


def _parts(connection: Connection, terms: list[Term], kinds: Sequence[str]) -> Iterator[_Part]:
    what = _what().where(items.c.session == sessions.c.number, items.c.id == _vectors.c.id).order_by(_vectors.c.id.desc())
    for kind in kinds if 0 < len(set(kinds)) < len(KINDS) else (None,):
        there = _match(terms) if kind is None else _match(terms) & (_vectors.c.kind == literal_column(f"'{kind}'"))
        ids = _scarce(connection, there)
        yield _Part(what.where(there if ids is None else _vectors.c.id.in_(ids)), _vectors.c.id, ids is not None)


def _there(connection: Connection, kinds: Sequence[str]) -> list[str]:
    """Those of the wanted kinds of which there is anything."""
    wanted = [kind for kind in KINDS if kind in kinds or not kinds]
    rare = [kind for kind in wanted if kind != "command"]
    if not rare:
        return wanted
    other = items.c.kind != literal_column("'command'")  # as the index of them says it
    each = (exists().where(other, items.c.kind == literal_column(f"'{kind}'")).select().scalar_subquery() for kind in rare)
    found = dict(zip(rare, connection.execute(select(*each)).one(), strict=True))
    return [kind for kind in wanted if found.get(kind, True)]


def _scarce(connection: Connection, there: ColumnElement[bool]) -> list[int] | None:
    """
    At a server: all things in which the words stand, when they are few. It can not know how many there are, and would look through all
    things from the newest on, for words that nobody has said: 1.5 to 5 seconds for ten million. SQLite does not.

    @return: their ids; C{None}: they are many.
    """
    try:
        for setting in BY_WORDS:
            connection.execute(text(f"SET LOCAL {setting}"))
        found = list(connection.execute(select(_vectors.c.id).where(there).limit(RARE + 1)).scalars())
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


def _told(row: Any) -> dict[str, Any]:
    told = {"session": row["session"], **{name: row[name] for name in _ITEM}}
    told["parameters"] = row["parameters"].split("\n") if row["parameters"] else []
    told["time"] = None if row["started"] is None else row["started"] + row["at"]
    return told | {name: row[name] for name in _SESSION}


@contextmanager
def _bounded(patience: Patience) -> Iterator[None]:
    """What was broken off took too long. (A server has its own limit.)"""
    try:
        yield
    except DBAPIError as error:
        if patience.lost or "statement timeout" in str(error.orig):
            raise QueryError("the search took too long: ask for rarer words, or for fewer sessions (--since, --user, --target)") from None
        raise
