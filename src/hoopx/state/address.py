# -*- test-case-name: tests.state.test_address -*-
"""
From what the configuration says of a database to its address. What is secret in it is in no error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hoopx.errors import ConfigurationError, HoopxError
from hoopx.secrets.env import take
from hoopx.secrets.file import read
from hoopx.values import Reference

SERVERS = ("postgresql", "postgres")


def locate(url: Any, data: Path, store: str = "state") -> URL:
    """
    Where a database is. Blocks: a reference is a file that is read.

    @param url: C{[state] url} or C{[index] url}: C{"sqlite:"}, or a L{hoopx.values.Reference} to C{postgresql://...}.
    @param data: the gateway's data directory.
    @param store: C{"state"} or C{"index"}: the table of the configuration, and the name of the file.
    @return: of SQLite with the file's absolute path, or of PostgreSQL.
    @raise ConfigurationError: no such database can be used, or the reference leads nowhere.
    """
    key = f"{store}.url"
    if isinstance(url, Reference):
        return server(_fetched(url, key), key)
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and not rest:
        return URL.create("sqlite", database=str(data / f"{store}.sqlite"))
    if scheme.partition("+")[0] in SERVERS:
        raise ConfigurationError(
            'the address of a PostgreSQL database holds a password: put it into a file of its own and write { file = "secrets/'
            f'{store}-url" }}',
            key=key,
        )
    raise _unknown(scheme, key)


def _fetched(reference: Reference, key: str) -> str:
    try:
        if reference.scheme == "file":
            return read(reference)[0].decode("utf-8")
        if reference.scheme == "env":
            found = take(reference.name)
            if not found:
                raise ConfigurationError(f"the environment variable {reference.name} is not set", key=key)
            return found.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"what {reference.scheme}:{reference.name} holds is no address", key=key) from None
    except HoopxError as error:
        raise ConfigurationError(str(error), key=key) from None
    raise ConfigurationError(f'a secret of the kind "{reference.scheme}" can not be fetched for this: use a file', key=key)


def server(text: str, key: str) -> URL:
    """
    @param text: C{postgresql://...}, which is secret.
    @param key: of the configuration, for errors.
    @raise ConfigurationError: it is none.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError):
        raise ConfigurationError("what the reference leads to is no address such as postgresql://user:password@host/database", key=key) from None
    if url.drivername.partition("+")[0] not in SERVERS or not url.database:
        raise _unknown("what the reference leads to", key)
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise ConfigurationError("PostgreSQL needs a driver: pip install 'hoopx[postgresql]'", key=key) from None
    return url.set(drivername="postgresql+psycopg")


def _unknown(scheme: str, key: str) -> ConfigurationError:
    file = key.partition(".")[0] + ".sqlite"
    return ConfigurationError(
        f'{scheme or "nothing"} is not a database this can be kept in: use "sqlite:", which is {file} in the data directory, '
        "or a reference to postgresql://user:password@host/database",
        key=key,
    )
