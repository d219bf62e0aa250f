# -*- test-case-name: tests.index.test_rebuild -*-
"""
The file of the index may be replaced by a better one while others use it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import Any, Final, Iterator

from sqlalchemy import URL, Engine

LOCK: Final = ".lock"


@contextmanager
def locked(where: URL, alone: bool) -> Iterator[None]:
    """
    While this lasts, the file stays in its place.

    @param where: does nothing for a server.
    @param alone: and nobody writes into it.
    """
    if where.drivername != "sqlite":
        yield
        return
    descriptor = os.open(f"{where.database}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class Transactions:
    """
    Write transactions on an index, in whichever file it is by then.

    @param engine: from L{hoopx.index.store.openForWriting}.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(write=True)
        self._file: tuple[int, int] | None = None

    @contextmanager
    def begin(self) -> Iterator[Any]:
        """@return: context manager of a connection; what was done is committed at its end."""
        with locked(self._engine.url, alone=False):
            self._follow()
            with self._writing.begin() as connection:
                yield connection

    def _follow(self) -> None:
        if self._engine.url.drivername != "sqlite":
            return
        status = os.stat(str(self._engine.url.database))
        here = (status.st_dev, status.st_ino)
        if here != self._file:
            self._engine.dispose()
            self._file = here
