# -*- test-case-name: tests.state.test_aside -*-
"""
Rows of the audit that the state store can never take, kept in a file for the operator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import DataError, StatementError
from twisted.logger import Logger
from twisted.python.failure import Failure

ASIDE: Final = "audit.refused"
"""In the data directory: a line of JSON for each, C{why} and C{row}."""
LONGEST: Final = 300
"""Characters of a reason."""
_VALUES: Final = (ValueError, TypeError, OverflowError)


def isRefused(failure: Failure) -> bool:
    """Is it a value that was not taken, and not the store that is away, full or locked? Only then does trying again change nothing."""
    error = failure.value
    return isinstance(error, (DataError, *_VALUES)) or (isinstance(error, StatementError) and isinstance(error.orig, _VALUES))


def reason(error: BaseException) -> str:
    """Without the statement, and what was to be written."""
    return str(getattr(error, "orig", None) or error).strip()[:LONGEST] or type(error).__name__


class Aside:
    """
    @param data: the data directory.
    @param alarm: callable(alarm, fields).
    """

    log = Logger()

    def __init__(self, data: Path, alarm: Callable[[str, dict[str, Any]], Any]) -> None:
        self._path = data / ASIDE
        self._alarm = alarm

    def keep(self, row: Mapping[str, Any], why: str) -> None:
        """Blocks. Durable when it returns. @raise OSError: it is not kept."""
        line = json.dumps({"why": why, "row": dict(row)}, default=repr, sort_keys=True) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(line.encode("ascii"))
            file.flush()
            os.fsync(descriptor)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def told(self, row: Mapping[str, Any]) -> None:
        """It is kept."""
        action = str(row.get("action"))
        self.log.error("The audit refuses a row ({action}): it is in {path}.", action=action, path=str(self._path))
        self._alarm("audit", {"why": f"the state store refuses a row ({action}), which is in {ASIDE} now, and not in the audit"})
