# -*- test-case-name: tests.index.test_traces -*-
"""
After sessions were taken out of the index: nothing of them stays in its files. FTS5 keeps the words of what was deleted until its parts are
put together, SQLite old pages in its log until that is emptied, and PostgreSQL dead rows until they are vacuumed.

To put the parts together is to write all words anew: a minute or two for ten million entries. So it is done once for many sessions, and
in small steps: each is one short transaction, and whoever feeds the index has his turn between two of them.
"""

from __future__ import annotations

import time
from threading import Thread
from typing import Any, Callable, Final

from sqlalchemy import Engine, text
from twisted.logger import Logger

from hoopx.index.swap import Transactions
from hoopx.index.words import TABLES as WORDS
from hoopx.index.words import emptyLog

PAGES: Final = 250
"""Of 4 KiB, that FTS5 writes in one transaction."""
STEP: Final = 0.2
"""Seconds of one L{Traces.step}."""
TABLES: Final = ("words", "items", "labels", "sessions")


class Traces:
    """
    Blocks.

    @param engine: from L{hoopx.index.store.openForWriting}.
    @param now: seconds, of a clock that nobody sets.
    """

    log = Logger()

    def __init__(self, engine: Engine, now: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._transactions = Transactions(engine)
        self._now = now
        self._left: list[str] | None = None
        self._begun = False
        self._vacuum: _Vacuum | None = None

    def remove(self) -> bool:
        """All at once. @return: C{False} when somebody reads for so long that the log could not be emptied: call again."""
        while not self.step():
            if self._vacuum is not None:
                self._vacuum.join()
            elif self._left == []:
                return False
        return True

    def step(self) -> bool:
        """
        Do the next part of it.

        @return: C{True}: of what was taken out before the first step since the last C{True}, nothing is left. C{False}: there is more to
            do, or somebody reads, or the server is at it.
        @raise sqlalchemy.exc.DBAPIError: it did not work; the next step goes on.
        """
        if self._engine.dialect.name != "sqlite":
            return self._atServer()
        until = self._now() + STEP
        if self._left is None:
            self._left = list(WORDS.values())
        while self._left:
            self._begun = self._merged(self._left[0], PAGES if self._begun else -PAGES)
            if not self._begun:
                del self._left[0]
            elif self._now() >= until:
                return False
        # What has come since is not put together again while a reader keeps the log from being emptied.
        if not emptyLog(self._engine):
            return False
        self._left = None
        return True

    def _merged(self, name: str, pages: int) -> bool:
        """
        @param name: of a table of words.
        @param pages: to write; negative: all parts that there are now are to become one.
        @return: whether there was anything to do.
        """
        with self._transactions.begin() as connection:
            raw: Any = connection.connection.driver_connection
            before = raw.total_changes
            connection.execute(text(f"INSERT INTO {name} ({name}, rank) VALUES ('merge', :pages)"), {"pages": pages})
            return bool(raw.total_changes - before >= 2)  # the statement itself is one

    def _atServer(self) -> bool:
        """It does that for itself: in a thread, so that nobody waits for it."""
        if self._vacuum is None:
            self._vacuum = _Vacuum(self._engine)
            self._vacuum.start()
        if self._vacuum.is_alive():
            return False
        done, self._vacuum = self._vacuum, None
        if done.error is not None:
            raise done.error
        return True


class _Vacuum(Thread):
    """@ivar error: why it has failed, or C{None}."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="hoopx vacuums", daemon=True)
        self._engine = engine
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.execute(text("SET statement_timeout = 0"))  # of a large index it takes minutes
                try:
                    for table in TABLES:
                        connection.execute(text(f"VACUUM {table}"))
                finally:
                    connection.invalidate()  # with its own limit of a statement, it is nobody else's
        except Exception as error:
            self.error = error
