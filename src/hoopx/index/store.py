# -*- test-case-name: tests.index.test_schema -*-
"""
Opens the index.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DatabaseError

from hoopx.errors import ConfigurationError, HoopxError
from hoopx.state.address import locate
from hoopx.state.engine import close, connect
from hoopx.state.schema import Schema, newer, revision, upgrade

INDEX: Final = Schema(
    "0003", Path(__file__).parent / "migrations" / "versions", "index_version", "the index", "index.url",
    "run the version that wrote it, or make a new one: hoopx reindex",
)  # fmt: skip

PRAGMAS: Final = ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON", "temp_store = MEMORY", "cache_size = -32768")
"""C{synchronous}: the index can be made again, and a power cut damages no WAL database. C{secure_delete}: what is erased is gone."""

WRITE_SECONDS: Final = 60.0
"""A server's limit for one statement of the writer; it is the curator that waits."""


class NoIndex(HoopxError):
    """There is none that can be read here. The text says what to do."""


def openForWriting(where: URL | Path, name: str = "") -> Engine:
    """
    Open the index, made and brought to this version's schema where needed. An older one is migrated.

    @param where: L{address}, or a file.
    @raise ConfigurationError: it is newer than this version, or can not be opened; L{hoopx.index.rebuild} makes a new one.
    """
    where = where if isinstance(where, URL) else URL.create("sqlite", database=str(where))
    try:
        engine = connect(where, PRAGMAS, WRITE_SECONDS)
    except OSError as error:
        raise _unusable(where, error.strerror or str(error)) from None
    try:
        with engine.connect() as connection:
            if revision(connection, INDEX) == INDEX.head:
                return engine
        with engine.execution_options(write=True).begin() as connection:
            upgrade(connection, said(where), INDEX)
    except DatabaseError as error:
        close(engine)
        raise _unusable(where, str(error.orig)) from None
    except BaseException:
        close(engine)
        raise
    return engine


def openForReading(where: URL | Path) -> Engine:
    """
    Open the index as it is.

    @raise NoIndex: there is none, or an older version's: the gateway brings it up to date, or C{hoopx reindex} does.
    @raise ConfigurationError: it is newer than this version, or can not be opened.
    """
    where = where if isinstance(where, URL) else URL.create("sqlite", database=str(where))
    if where.drivername == "sqlite" and not Path(str(where.database)).exists():
        raise NoIndex("nothing is indexed here yet: hoopx reindex makes an index of all recordings")
    try:
        engine = connect(where, PRAGMAS)
    except OSError as error:
        raise _unusable(where, error.strerror or str(error)) from None
    try:
        with engine.connect() as connection:
            found = revision(connection, INDEX)
    except DatabaseError as error:
        close(engine)
        raise _unusable(where, str(error.orig)) from None
    if found == INDEX.head:
        return engine
    close(engine)
    if found is None or found < INDEX.head:
        raise NoIndex("the index is not of this version: hoopx reindex makes it again")
    raise newer(found, said(where), INDEX)


def address(url: Any, data: Path) -> URL:
    """
    @param url: C{[index] url}.
    @raise ConfigurationError: see L{hoopx.state.address.locate}.
    """
    return locate(url, data, "index")


def said(where: URL) -> str:
    """A database for an error: the file, or the server without its password."""
    return str(where.database) if where.drivername == "sqlite" else where.render_as_string(hide_password=True)


def _unusable(where: URL, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the index can not be used: {why}. See to its owner and the disk, or make a new one: hoopx reindex",
        path=said(where),
        key="index.url",
    )
