# -*- test-case-name: tests.state.test_engine -*-
"""
Opens the database of the state store.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from hoopx.errors import ConfigurationError

# How long a statement waits for another process's write (a command line at the same store): commits take milliseconds.
BUSY_SECONDS: Final = 5


def locate(url: Any, data: Path) -> Path:
    """
    Where the database file is.

    @param url: C{[state] url}: a str, or a L{hoopx.values.Reference} where it is secret.
    @param data: the gateway's data directory.
    @raise ConfigurationError: a database that this version can not use.
    """
    scheme, _, rest = url.partition(":") if isinstance(url, str) else ("a secret URL", "", "")
    if scheme == "sqlite" and not rest:
        return data / "state.sqlite"
    raise ConfigurationError(
        f"{scheme} is not a database this version can keep its state in: use \"sqlite:\", "
        "which is state.sqlite in the data directory",
        key="state.url",
    )


def connect(path: Path) -> Engine:
    """
    Open the file, made with mode 0600 when it is not there.

    Transactions begin as C{BEGIN}; those of C{engine.execution_options(write=True)} as C{BEGIN IMMEDIATE}, so that none fails
    half-way for a lock.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = not path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if fresh and os.geteuid() == 0:  # root at the command line makes it for the gateway's user
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    # isolation_level: sqlite3 must not begin and commit by itself, which would split migrations.
    arguments = {"isolation_level": None, "timeout": BUSY_SECONDS}
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args=arguments)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    return engine
