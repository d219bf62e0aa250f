# -*- test-case-name: tests.state.test_store -*-
"""
What a row of the audit is for the ledger, and who is meant by it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final, Mapping

from hoopx.errors import HoopxError

FIELDS: Final = ("action", "actor", "at", "details", "subject")
AS: Final = " as "
"""In the name of somebody who has become another user of the system: C{"uid 1000 (alice) as uid 0 (root)"}."""


class AuditAway(HoopxError):
    """
    The audit can not be read.

    @ivar gone: where it should be there is none.
    """

    def __init__(self, message: str, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


def personOf(actor: str) -> str:
    """@return: who it is, whatever user that person has become."""
    return actor.partition(AS)[0]


def detailsOf(text: Any) -> Any:
    """@return: the details that stand in the store; what has no digest, where that is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return object()


def auditRow(at: float, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """
    What L{hoopx.state.store.Store.addAudit} takes.

    @param at: seconds since the epoch.
    @param details: whatever JSON can say; no secrets.
    """
    return {"at": at, "actor": actor, "action": action, "subject": subject, "details": details}


def auditHash(row: Mapping[str, Any]) -> str:
    """
    SHA-256 in hex of a row's canonical JSON: its fields C{at}, C{actor}, C{action}, C{subject} and C{details}, keys sorted, no
    spaces, UTF-8. The row's number is the database's own and not in it.
    """
    said = json.dumps({name: row[name] for name in FIELDS}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(said.encode("utf-8", "backslashreplace")).hexdigest()
