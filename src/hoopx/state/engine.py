# -*- test-case-name: tests.state.test_engine -*-
"""
Opens a database: the state store's, or the index's.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

# How long a statement waits for another process's write (a command line at the same store): commits take milliseconds.
BUSY_SECONDS: Final = 5

# How long a server may take to answer a connection, and a statement to run. A login waits for it.
CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 5

# Of one process at once: the state thread's one, and one for what is asked beside it.
CONNECTIONS: Final = 2

PRAGMAS: Final = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


def connect(where: URL | Path, pragmas: tuple[str, ...] = PRAGMAS, statementSeconds: float = STATEMENT_SECONDS) -> Engine:
    """
    Open a database. A file is made with mode 0600 when it is not there; a server is not spoken to before the first question.

    Transactions begin as C{BEGIN}; those of C{engine.execution_options(write=True)} on a file as C{BEGIN IMMEDIATE}, so that none
    fails half-way for a lock.

    @param pragmas: of SQLite, for every connection.
    @param statementSeconds: a server's limit for one statement.
    @raise OSError: the file can not be opened.
    """
    if isinstance(where, Path):
        where = URL.create("sqlite", database=str(where))
    if where.drivername == "sqlite":
        return _file(where, pragmas)
    return _server(where, statementSeconds)


def _file(url: URL, pragmas: tuple[str, ...]) -> Engine:
    _private(Path(str(url.database)))
    # isolation_level: sqlite3 must not begin and commit by itself, which would split migrations.
    # hide_parameters: what was recorded, and tokens' hashes, would stand in the texts of errors, and so in logs and alarms.
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    return engine


def _private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # Not opened: closing it again would take the locks away that this process has on it already, and another process
        # would believe that nobody uses the file, and remove its log (POSIX, fcntl).
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(13, "Permission denied", str(path)) from None
    else:
        if os.geteuid() == 0:  # root at the command line makes it for the gateway's user
            folder = path.parent.stat()
            os.chown(path, folder.st_uid, folder.st_gid)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _server(url: URL, seconds: float) -> Engine:
    limits = f"-c statement_timeout={int(seconds * 1000)} -c lock_timeout={int(seconds * 1000)} -c timezone=UTC"
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "options": limits,
        # A server that has gone without a word is noticed by the kernel.
        "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
        "tcp_user_timeout": int(seconds * 1000),
        "application_name": "hoopx",
    }  # fmt: skip
    # pre_ping: after the server's restart the first question must not find the old connection.
    engine = create_engine(
        url, connect_args=arguments, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=CONNECT_SECONDS, pool_pre_ping=True,
        hide_parameters=True,
    )  # fmt: skip
    open_: set[Any] = set()
    event.listen(engine, "connect", lambda connection, record: open_.add(connection))
    event.listen(engine, "close", lambda connection, record: open_.discard(connection))
    event.listen(engine, "close_detached", lambda connection: open_.discard(connection))
    _OPEN[engine.pool] = open_
    return engine


_OPEN: Final[dict[Any, set[Any]]] = {}
"""Of each pool of connections to a server: those that are open."""


def interrupt(engine: Engine) -> None:
    """
    End the connections to a server that does not answer: whoever waits for one fails at once. Does nothing to a file. May be
    called in another thread than that which waits.
    """
    for connection in list(_OPEN.get(engine.pool, ())):
        try:
            descriptor = os.dup(connection.fileno())
        except Exception:  # it is closed by now
            continue
        with socket.socket(fileno=descriptor) as ours:
            try:
                ours.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def close(engine: Engine) -> None:
    """Let go of a database."""
    _OPEN.pop(engine.pool, None)
    engine.dispose()


def oneByOne(connection: Connection, lock: int) -> None:
    """
    Until the end of the transaction, nobody else who asks for this is beyond it. A file has one writer anyway.

    Numbers that a server gives out are then in the order of the commits, so that who asks for what came after one misses none.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
