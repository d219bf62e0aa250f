# -*- test-case-name: tests.index.test_lookup -*-
"""
Looks words up in a file's index, and yields ids of things: the newest first, up to a limit, none left out.

FTS5 goes from one thing in which all words stand to the next one, and looks neither at the end of a range of ids nor at the clock on its
way. Where common words hardly ever meet, that way is the whole index, be it asked of one session or of all. So

  - of a few sessions each word is looked up for itself, which does end where the session does, and what has all of them is looked at;
  - of many, what is not answered soon is looked for from the old end on, which takes FTS5 two thirds of the time; phrases from the middle
    on, in both directions at once, where each ends by itself (words that never meet it would look for in all of the index both times);
  - a beginning of more letters than there is an index for is looked for by its first ones, and what has those is looked at: FTS5 would
    put all words together that begin so, however many, before it tells the first one.
"""

from __future__ import annotations

from threading import Event, Thread
from typing import Any, Final, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, Select, bindparam, column, select, table, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.selectable import Join

from hoopx.index.patience import Patience
from hoopx.index.sieve import Sieve
from hoopx.index.tables import ITEM_BITS, items, sessions

CHUNK: Final = 500
"""Things that are read by their ids in one question: SQLite takes 999 parameters at least."""
CANDIDATES: Final = 2000
"""Things with the first letters of a long beginning that are looked at: fewer than one in forty has it, or it is found among these."""
MANY: Final = 2000
"""Things that are found from the old end on; where there are more, the walk from the newest on goes on after all, and ends soon."""


class Lookup:
    """
    @param engine: of the index.
    @param connection: to it, watched by C{patience}.
    """

    def __init__(self, engine: Engine, connection: Connection, sieve: Sieve, patience: Patience) -> None:
        self._engine = engine
        self._connection = connection
        self._sieve = sieve
        self._patience = patience

    def inEach(self, names: Sequence[str], few: Sequence[int], limit: int) -> list[int]:
        """
        @param names: of tables of words.
        @param few: numbers of the sessions, newest first: each is one short question.
        """
        sieve = self._sieve
        if not names or not sieve.operands:
            return []
        said = {f"said{number}": each for number, each in enumerate(sieve.operands)}
        given: dict[str, Any] = {**said, "limit": limit if sieve.exact else -1}
        question = " UNION ALL ".join(f"SELECT rowid FROM ({_allOf(name, said)})" for name in names) + " ORDER BY 1 DESC LIMIT :limit"
        found: list[int] = []
        waiting: list[int] = []
        for number in few:
            given |= {"first": number << ITEM_BITS, "last": (number + 1 << ITEM_BITS) - 1}
            waiting += self._connection.exec_driver_sql(question, given).scalars().all()
            if sieve.exact:
                found, waiting = found + waiting, []
            elif len(waiting) >= CHUNK:
                found, waiting = found + self._passed(waiting), []
            if len(found) >= limit:
                break
        return (found + self._passed(waiting))[:limit]

    def newest(self, names: Sequence[str], between: tuple[int, int], limit: int, *wanted: ColumnElement[bool]) -> list[int]:
        """
        @param names: of tables of words: none is looked at below what was found in others.
        @param between: numbers of sessions.
        @param wanted: conditions for sessions.
        """
        first, last = between[0] << ITEM_BITS, (between[1] + 1 << ITEM_BITS) - 1
        found: list[int] = []
        for name in names:
            found = sorted(found + self._among(_Question(name, self._sieve.said, wanted), first, last, limit), reverse=True)[:limit]
            if len(found) == limit:
                first = found[-1]
        return found

    def _among(self, question: _Question, first: int, last: int, limit: int) -> list[int]:
        if self._sieve.wider == question.said:
            return self._walk(question, first, last, limit)
        wider = _Question(question.name, self._sieve.wider, question.wanted)
        found: list[int] = []
        left = max(CANDIDATES, 8 * limit)
        most = 4 * limit
        while left:
            there = self._walk(wider, first, last, most)
            passed = self._passed(there)
            found += passed
            if len(found) >= limit or len(there) < most:
                return found[:limit]
            last, left = there[-1] - 1, left - most
            # As many as will do when it goes on like this, and some more.
            most = min(left, max(4 * limit, 3 * most * (limit - len(found)) // (2 * len(passed)))) if passed else left
        return found + self._ask(question.downwards(first, last, limit - len(found)))

    def _walk(self, question: _Question, first: int, last: int, limit: int) -> list[int]:
        straight = question.downwards(first, last, limit)
        found = self._patience.hurried(lambda: self._ask(straight))
        if found is not None:
            return found
        middle = self._middle() if self._sieve.phrases else first
        if middle > last:
            return self._ask(straight)
        if middle <= first:
            return self._upwards(question, first, last, limit)
        older = _Aside(self._engine, question.downwards(first, middle - 1, limit), self._patience)
        older.start()
        try:
            found = self._upwards(question, middle, last, limit)
            if len(found) >= limit:
                return found
            rest = older.found()[: limit - len(found)]
        finally:
            older.stop()
        # What has come meanwhile is there for the other connection alone: it must take no place of what is there for this one.
        return found + (rest if self._areHere(rest) else self._ask(question.downwards(first, middle - 1, limit - len(found))))

    def _upwards(self, question: _Question, first: int, last: int, limit: int) -> list[int]:
        most = max(MANY, limit)
        found = self._ask(question.upwards(first, last, most + 1))
        return self._ask(question.downwards(first, last, limit)) if len(found) > most else found[: -limit - 1 : -1]

    def _middle(self) -> int:
        """@return: the id at which the newer half of all sessions begins."""
        half = self._connection.exec_driver_sql("SELECT count(*) / 2 FROM sessions").scalar_one()
        number = self._connection.execute(select(sessions.c.number).order_by(sessions.c.number).limit(1).offset(half)).scalar()
        return (number or 0) << ITEM_BITS

    def _ask(self, chosen: Select[Any]) -> list[int]:
        return list(self._connection.execute(chosen).scalars())

    def _areHere(self, ids: Sequence[int]) -> bool:
        parts = (ids[begin : begin + CHUNK] for begin in range(0, len(ids), CHUNK))
        return sum(len(self._ask(select(items.c.id).where(items.c.id.in_(part)))) for part in parts) == len(ids)

    def _passed(self, ids: Sequence[int]) -> list[int]:
        """Those of some things, newest first, in which everything stands as it was asked for."""
        found: list[int] = []
        for begin in range(0, len(ids), CHUNK):
            some = tuple(ids[begin : begin + CHUNK])
            chosen = f"SELECT id, text, parameters FROM items WHERE id IN ({', '.join('?' * len(some))})"
            found += self._sieve.passed(map(tuple, self._connection.exec_driver_sql(chosen, some).all()))
        return found


class _Question:
    """
    @param name: of a table of words.
    @param said: the MATCH expression.
    @param wanted: conditions for sessions.
    """

    def __init__(self, name: str, said: str, wanted: Sequence[ColumnElement[bool]]) -> None:
        self.name, self.said, self.wanted = name, said, wanted
        words = table(name, column("rowid"))
        self._id = words.c.rowid
        number = self._id.op(">>")(ITEM_BITS)
        where = _InOrder(words, sessions, sessions.c.number == number) if wanted else words
        there = text(f"{name} MATCH :said").bindparams(bindparam("said", said))
        self._chosen = select(self._id).select_from(where).where(there, *wanted)

    def downwards(self, first: int, last: int, limit: int) -> Select[Any]:
        return self._chosen.where(self._id >= first, self._id <= last).order_by(self._id.desc()).limit(limit)

    def upwards(self, first: int, last: int, limit: int) -> Select[Any]:
        return self._chosen.where(self._id >= first, self._id <= last).order_by(self._id).limit(limit)


class _Aside(Thread):
    """
    Asks something in a connection of its own.

    @param chosen: ids.
    """

    def __init__(self, engine: Engine, chosen: Select[Any], patience: Patience) -> None:
        super().__init__(name="hoopx searches", daemon=True)
        self._engine = engine
        self._chosen = chosen
        self._patience = patience
        self._enough = Event()
        self._found: list[int] = []
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            with self._engine.connect() as connection, self._patience.watching(connection, self._enough.is_set):
                self._found = list(connection.execute(self._chosen).scalars())
        except Exception as error:
            self._error = error

    def found(self) -> list[int]:
        """Wait for it."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._found

    def stop(self) -> None:
        """Nobody waits for it."""
        self._enough.set()
        self.join()


def _allOf(name: str, said: Iterable[str]) -> str:
    """In which things of a session all that is said is found."""
    each = (f"SELECT rowid FROM {name} WHERE {name} MATCH :{one} AND rowid BETWEEN :first AND :last" for one in said)
    return " INTERSECT ".join(each)


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
