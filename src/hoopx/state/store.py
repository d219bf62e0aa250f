# -*- test-case-name: tests.state.test_store -*-
"""
The state store's questions and changes. Every method blocks: call them through L{hoopx.state.thread}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, Mapping

from sqlalchemy import URL, Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.exc import DatabaseError

from hoopx.errors import ConfigurationError
from hoopx.state import engine as engines
from hoopx.state.address import locate
from hoopx.state.rows import auditHash
from hoopx.state.schema import HEAD, revision, upgrade
from hoopx.state.tables import audit, revocations, tokens

Row = dict[str, Any]

# Locks of a server, so that rows are numbered in the order of their commits.
REVOKING = 0x7265766F6B65
AUDITING = 0x6175646974

# Built once: building a statement costs more than running it.
_TOKEN_BY_HASH = select(tokens).where(tokens.c.hash == bindparam("digest"))
_ALL_TOKENS = select(*(column for column in tokens.c if column.name != "hash")).order_by(tokens.c.created.desc(), tokens.c.id)
_REVOCATIONS = (
    select(revocations.c.sequence, revocations.c.credential)
    .where(revocations.c.sequence > bindparam("after"))
    .order_by(revocations.c.sequence)
    .limit(bindparam("atMost"))
)


class Store:
    """
    Rows of the state store.

    @ivar where: the database, for people: the file, or the server without its password.
    """

    def __init__(self, engine: Engine, where: str) -> None:
        self.where = where
        self._engine = engine
        self._writing = engine.execution_options(write=True)

    @classmethod
    def open(cls, url: Any, data: Path) -> Store:
        """
        Open, and migrate where needed.

        @param url: C{[state] url}.
        @raise hoopx.errors.ConfigurationError: a URL this version can not use, a store of a newer version, or a file or server
            that can not be opened.
        """
        found = locate(url, data)
        where = _said(found)
        try:
            store = cls(engines.connect(found), where)
        except OSError as error:
            raise _unusable(where, error.strerror or str(error)) from None
        try:
            store._migrate()
        except DatabaseError as error:
            store.close()
            raise _unusable(where, str(error.orig).strip()) from None
        except BaseException:
            store.close()
            raise
        return store

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            if revision(connection) == HEAD:
                return
        with self._writing.begin() as connection:
            upgrade(connection, self.where)

    def close(self) -> None:
        engines.close(self._engine)

    def interrupt(self) -> None:
        """Let whoever waits for a server that does not answer fail now. May be called in another thread than theirs."""
        engines.interrupt(self._engine)

    def reading(self) -> Any:
        """@return: context manager of a connection, for the rooms that have tables of their own in here."""
        return self._engine.connect()

    def writing(self) -> Any:
        """@return: context manager of a connection in a transaction, which is committed at its end."""
        return self._writing.begin()

    # Tokens

    def addToken(self, row: Mapping[str, Any]) -> None:
        """@param row: a value for every column of L{tokens}."""
        with self._writing.begin() as connection:
            connection.execute(insert(tokens).values(**row))

    def tokenByHash(self, digest: str) -> Row | None:
        """@param digest: SHA-256 of the token in hex."""
        with self._engine.connect() as connection:
            row = connection.execute(_TOKEN_BY_HASH, {"digest": digest}).mappings().first()
        return None if row is None else dict(row)

    def allTokens(self) -> list[Row]:
        """@return: rows without the hash, newest first."""
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(_ALL_TOKENS).mappings()]

    def revokeTokens(self, now: float, id: str | None = None, user: str | None = None) -> list[str]:
        """
        Revoke one token, or all of a user's.

        @return: the ids that were revoked now; those revoked earlier are not among them.
        """
        chosen = tokens.c.id == id if user is None else tokens.c.user == user
        with self._writing.begin() as connection:
            engines.oneByOne(connection, REVOKING)
            found = list(connection.execute(select(tokens.c.id).where(chosen, tokens.c.revoked.is_(None))).scalars())
            if found:
                connection.execute(update(tokens).where(chosen, tokens.c.revoked.is_(None)).values(revoked=now))
                connection.execute(insert(revocations), [{"credential": one, "at": now} for one in found])
        return found

    def hasToken(self, id: str) -> bool:
        with self._engine.connect() as connection:
            return connection.execute(select(tokens.c.id).where(tokens.c.id == id)).first() is not None

    # Revocations

    def lastRevocation(self) -> int:
        """@return: sequence of the newest revocation, C{0} for none."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(revocations.c.sequence))).scalar() or 0

    def revocationsAfter(self, sequence: int, limit: int) -> list[tuple[int, str]]:
        """@return: C{(sequence, credential)}, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(_REVOCATIONS, {"after": sequence, "atMost": limit})
            return [(row[0], row[1]) for row in rows]

    # Audit

    def addAudit(self, rows: Iterable[Mapping[str, Any]], again: bool = False) -> list[str]:
        """
        @param rows: C{at, actor, action, subject, details} each.
        @param again: they were written before, and nobody knows whether that was committed: those that are there are left out.
        @return: the hash of each that was added.
        """
        with self._writing.begin() as connection:
            if again:
                rows = [row for row in rows if not _isThere(connection, row)]
            return self.auditIn(connection, rows)

    def auditIn(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Like L{addAudit}, in a transaction of somebody else's: what is done and that it was done are there together, or neither is."""
        values = [dict(row, hash=auditHash(row)) for row in rows]
        if values:
            engines.oneByOne(connection, AUDITING)
            connection.execute(insert(audit), values)
        return [row["hash"] for row in values]

    def auditRows(self, limit: int = 1000) -> list[Row]:
        """@return: the newest first."""
        return self._audit(select(audit).order_by(audit.c.id.desc()).limit(limit))

    def auditAfter(self, id: int, limit: int) -> list[Row]:
        """@return: rows that came after one, oldest first: for the ledger."""
        return self._audit(select(audit).where(audit.c.id > id).order_by(audit.c.id).limit(limit))

    def _audit(self, chosen: Any) -> list[Row]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(chosen).mappings()]


def _isThere(connection: Connection, row: Mapping[str, Any]) -> bool:
    found = select(audit.c.id).where(audit.c.at == row["at"], audit.c.hash == auditHash(row))
    return connection.execute(found).first() is not None


def _said(url: URL) -> str:
    return str(url.database) if url.drivername == "sqlite" else url.render_as_string(hide_password=True)


def _unusable(where: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the state store can not be used: {why}. See to the file's owner and the disk, or that the server runs, or restore a backup",
        path=where,
        key="state.url",
    )
