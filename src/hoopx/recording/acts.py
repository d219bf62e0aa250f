# -*- test-case-name: tests.recording.test_acts -*-
"""
The audit of a data directory against its ledger: rows that were changed, put in between, put elsewhere, copied, or taken away.

The ledger takes the rows in their order. So one without a leaf is new, or older than the ledger, or nobody's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import Factory, define

from hoopx.recording.files import irregular
from hoopx.state.rows import AuditAway, auditHash, detailsOf

STATE: Final = "state.sqlite"
NAMED: Final = 20
"""Rows that are named; more are counted."""
_ROWS: Final = "SELECT id, at, actor, action, subject, details, hash FROM audit ORDER BY id"


@define
class Acts:
    """
    A verdict on an audit.

    @ivar rows: how many there are; C{logged}: that the ledger has.
    @ivar state: C{"consistent"}, C{"TAMPERED"}, C{"missing"}, or C{"unchecked"}: it can not be read, or is not here.
    @ivar problems: what is wrong, or why it was not checked.
    @ivar expected: it should have been checked. Of a copy of the recordings nobody has said so.
    """

    rows: int = 0
    logged: int = 0
    state: str = "consistent"
    problems: list[str] = Factory(list)
    expected: bool = True

    @property
    def sound(self) -> bool:
        return self.state == "consistent" or (self.state == "unchecked" and not self.expected)

    def line(self) -> dict[str, Any]:
        """As C{hoopx verify --json} prints it, with the ledger."""
        return {"state": self.state, "rows": self.rows, "logged": self.logged, "problem": "; ".join(self.problems) or None}


def verifyAudit(data: str, vouched: Collection[str], trail: Mapping[str, int], expected: bool = False) -> Acts | None:
    """
    Read the ledger first: rows are written before their leaves.

    @param data: the data directory.
    @param vouched: digests of rows that the signed ledger speaks of: each must be there.
    @param trail: digests of rows that are in the ledger -> their places in the order of the rows.
    @param expected: it has to be in this directory.
    @return: C{None} when it is not here, and the ledger has nothing of it.
    """
    path = os.path.join(data, STATE)
    if not os.path.exists(path):
        if expected and vouched:
            return Acts(state="missing", problems=[f"{STATE} is not here, and the ledger has {len(vouched)} rows of it"])
        return absent(vouched, "this folder")
    try:
        if (what := irregular(os.stat(path).st_mode)) is not None:  # nobody waits for what comes out of a named pipe
            return Acts(state="unchecked", problems=[f"{STATE} can not be read: {what}"])
        return _judged(_read(path), vouched, trail)
    except (OSError, sqlite3.Error) as error:
        return Acts(state="unchecked", problems=[f"{STATE} can not be read: {error}"])


def verifyServer(rows: Callable[[], Iterable[Mapping[str, Any]]], vouched: Collection[str], trail: Mapping[str, int]) -> Acts:
    """
    Likewise, of an audit that is kept in a database server.

    @param rows: all of them, oldest first; raises L{AuditAway}.
    """
    try:
        return _judged(rows(), vouched, trail)
    except AuditAway as error:
        gone = error.gone and bool(vouched)
        more = f", and the ledger has {len(vouched)} rows of it" if gone else ""
        return Acts(state="missing" if gone else "unchecked", problems=[f"{error}{more}"])


def absent(vouched: Collection[str], where: str) -> Acts | None:
    """@return: of an audit that is somewhere else than what is verified; C{None} when the ledger has nothing of it."""
    if not vouched:
        return None
    why = f"the ledger has {len(vouched)} rows of the audit, which is not in {where}: run hoopx verify at the gateway, without a path"
    return Acts(state="unchecked", problems=[why], expected=False)


def _judged(rows: Iterable[Mapping[str, Any]], vouched: Collection[str], trail: Mapping[str, int]) -> Acts:
    acts = Acts()
    missing = set(vouched)
    wrong: list[str] = []
    waiting: list[str] = []  # since the last row that is in the ledger
    begun = False
    last = -1
    seen: set[str] = set()
    for row in rows:
        acts.rows += 1
        said = f"row {row['id']} ({row['action']} by {row['actor']})"
        digest = _digest(row)
        if digest != row["hash"]:
            wrong.append(f"{said} is not what it was: its digest is another one")
            missing.discard(row["hash"])
        missing.discard(digest)
        if digest in trail:
            if digest in seen:
                wrong.append(f"{said} is there twice: it is one before it once more")
            elif trail[digest] < last:
                wrong.append(f"{said} is not where it was: the ledger has it before one that comes earlier here")
            acts.logged += digest not in seen
            seen.add(digest)
            last = max(last, trail[digest])
            wrong += [f"{one} is not in the ledger, which has later ones" for one in waiting if begun]
            waiting, begun = [], True
        elif digest == row["hash"]:
            waiting.append(said)
    if missing:
        wrong.append(f"{len(missing)} row{'s are' if len(missing) > 1 else ' is'} missing, which the ledger has: {min(missing)}")
    acts.problems = wrong[:NAMED] + ([f"and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else [])
    acts.state = "TAMPERED" if wrong else "consistent"
    return acts


def _digest(row: Mapping[str, Any]) -> str:
    try:
        return auditHash(row)
    except (ValueError, TypeError, RecursionError):
        return ""


def _read(path: str) -> Iterator[Mapping[str, Any]]:
    """The rows, oldest first. Nothing is written: a file that nobody has open is read as it is."""
    wal = os.path.exists(f"{path}-wal")
    database = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro{'' if wal else '&immutable=1'}", uri=True)
    try:
        database.row_factory = sqlite3.Row
        for row in database.execute(_ROWS):
            yield {**dict(row), "details": detailsOf(row["details"])}
    finally:
        database.close()
