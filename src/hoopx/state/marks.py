# -*- test-case-name: tests.state.test_marks -*-
"""
What auditors put on sessions: tags, reviews, holds. Each change and its row in the audit are one transaction. Blocks, like the store.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Final, Iterable

from sqlalchemy import delete, func, insert, select, update

from hoopx.errors import HoopxError
from hoopx.state.persons import actors, isOwn, perhapsOne
from hoopx.state.rows import auditRow
from hoopx.state.store import Row, Store
from hoopx.state.tables import holds, reviews, tags

MOST: Final = 100
"""Tags of one session."""
WIDE: Final = 8192
"""Bytes of a hold's filter, as JSON: the curator is told it in one piece."""
REVIEWED: Final = "reviewed"
SIGNED: Final = "signed-off"

_TAG: Final = re.compile(r"[\w.:/@-]{1,64}")


class MarkError(HoopxError):
    """It can not be done. The text says why."""


class Marks:
    """
    @param by: who does all this, as the audit names people: C{"uid 1000 (alice)"}, C{"uid 1000 (alice) as uid 0 (root)"}.
    @param now: the wall clock.
    """

    def __init__(self, store: Store, by: str, now: Callable[[], float]) -> None:
        self._store = store
        self._by = by
        self._now = now

    # Tags

    def tag(self, session: str, words: Iterable[str]) -> list[str]:
        """
        Put tags on a session.

        @return: those that were not on it before.
        @raise MarkError: a word is no tag, or there are too many.
        """
        wanted = list(dict.fromkeys(words))
        for word in wanted:
            if not _TAG.fullmatch(word):
                raise MarkError(f"{word!r} is no tag: 1 to 64 letters, digits and . : / @ _ -")
        with self._store.writing() as connection:
            there = set(connection.execute(select(tags.c.tag).where(tags.c.session == session)).scalars())
            fresh = [word for word in wanted if word not in there]
            if len(there) + len(fresh) > MOST:
                raise MarkError(f"a session has at most {MOST} tags")
            if fresh:
                rows = [{"session": session, "tag": word, "by": self._by, "at": self._now()} for word in fresh]
                connection.execute(insert(tags), rows)
                self._audit(connection, "session.tag", session, tags=fresh)
        return fresh

    def untag(self, session: str, words: Iterable[str]) -> list[str]:
        """@return: the tags that were taken off."""
        with self._store.writing() as connection:
            there = set(connection.execute(select(tags.c.tag).where(tags.c.session == session)).scalars())
            gone = [word for word in dict.fromkeys(words) if word in there]
            if gone:
                connection.execute(delete(tags).where(tags.c.session == session, tags.c.tag.in_(gone)))
                self._audit(connection, "session.untag", session, tags=gone)
        return gone

    def tagged(self, session: str) -> list[Row]:
        """@return: C{session, tag, by, at}, by name."""
        return self._rows(select(tags).where(tags.c.session == session).order_by(tags.c.tag))

    def withTags(self, words: Iterable[str], limit: int) -> list[str]:
        """@return: sessions that have all of these tags; at most so many, the newest first."""
        wanted = list(dict.fromkeys(words))
        chosen = select(tags.c.session).where(tags.c.tag.in_(wanted)).group_by(tags.c.session)
        chosen = chosen.having(func.count() == len(wanted)).order_by(tags.c.session.desc()).limit(limit)
        return [row["session"] for row in self._rows(chosen)]

    # Reviews

    def review(self, session: str, people: Iterable[str], signOff: bool = False, note: str = "") -> None:
        """
        Say that one has looked at a session; or, as a second person, confirm that somebody has.

        @param people: the names of whose session it is, and of who has acted in it, as their issuers write them.
        @raise MarkError: it is one's own session, or, for a sign-off, nobody else has reviewed it, or oneself has.
        """
        owners = list(people)
        if actors(self._by) is None:
            raise MarkError(f"nobody can tell who {self._by} is, whose session it could be: review it as a user that has a name here")
        if not owners:
            raise MarkError("nobody can tell whose session it is, and nobody reviews a session of their own")
        if any(isOwn(self._by, person) for person in owners):
            raise MarkError("nobody reviews a session of their own: somebody else has to")
        with self._store.writing() as connection:
            before = connection.execute(select(reviews).where(reviews.c.session == session)).mappings().all()
            if signOff:
                lookers = {row["by"] for row in before if row["what"] == REVIEWED}
                if not lookers:
                    raise MarkError("nobody has reviewed the session yet: hoopx sessions review, without --sign-off")
                if any(perhapsOne(self._by, looker) for looker in lookers):
                    raise MarkError("you have reviewed the session yourself, or nobody can tell: a second person signs it off")
            what = SIGNED if signOff else REVIEWED
            row = {"session": session, "by": self._by, "what": what, "note": note, "at": self._now()}
            connection.execute(insert(reviews).values(**row))
            self._audit(connection, f"session.{'sign-off' if signOff else 'review'}", session, note=note)

    def reviewed(self, session: str) -> list[Row]:
        """@return: C{session, by, what, note, at}, oldest first."""
        return self._rows(select(reviews).where(reviews.c.session == session).order_by(reviews.c.id))

    # Holds

    def hold(self, reason: str, session: str | None = None, filter: dict[str, Any] | None = None) -> tuple[int, str]:
        """
        Keep a session, or all that a filter names, from being erased.

        @param filter: what C{hoopx.index.wanted.Filters} takes.
        @return: the hold's id, and the hash of its row in the audit, for the ledger.
        """
        if (session is None) == (filter is None):
            raise MarkError("a hold is on one session, or on those of a filter")
        if not reason.strip():
            raise MarkError("a hold has a reason")
        if len(json.dumps(filter)) > WIDE:
            raise MarkError(f"a hold's filters have at most {WIDE} bytes together: set several holds")
        row = {"session": session, "filter": filter, "reason": reason, "by": self._by, "at": self._now()}
        with self._store.writing() as connection:
            id = int(connection.execute(insert(holds).values(**row)).inserted_primary_key[0])
            return id, self._audit(connection, "hold.set", session or "", hold=id, filter=filter, reason=reason)

    def lift(self, id: int) -> str:
        """
        @return: the hash of its row in the audit, for the ledger.
        @raise MarkError: there is no such hold that still holds.
        """
        with self._store.writing() as connection:
            found = connection.execute(select(holds).where(holds.c.id == id, holds.c.lifted.is_(None))).mappings().first()
            if found is None:
                raise MarkError(f"there is no hold {id} that could be lifted")
            connection.execute(update(holds).where(holds.c.id == id).values(lifted=self._now(), lifted_by=self._by))
            return self._audit(connection, "hold.lifted", found["session"] or "", hold=id)

    def holding(self, all: bool = False) -> list[Row]:
        """
        @param all: those that were lifted, too.
        @return: C{id, session, filter, reason, by, at, lifted, lifted_by}, oldest first.
        """
        chosen = select(holds).order_by(holds.c.id)
        return self._rows(chosen if all else chosen.where(holds.c.lifted.is_(None)))

    def _rows(self, chosen: Any) -> list[Row]:
        with self._store.reading() as connection:
            return [dict(row) for row in connection.execute(chosen).mappings()]

    def _audit(self, connection: Any, action: str, subject: str, **details: Any) -> str:
        return self._store.auditIn(connection, [auditRow(self._now(), self._by, action, subject, details)])[0]
