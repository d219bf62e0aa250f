# -*- test-case-name: tests.cli.test_looking -*-
"""
Who looks at recordings from the command line, or does something without the gateway, is put down in the audit.

A look that can not be put down is told on standard error and goes on: whoever runs the command can read the files anyway, and an
outage of the state store is no moment at which auditors should be blind.
"""

from __future__ import annotations

import time
from typing import Any

from hoopx.cli.output import harmless, say
from hoopx.cli.place import Place


def look(place: Place, action: str, subject: str, **details: Any) -> None:
    """
    Put one look down.

    @param action: C{"show"}, C{"search"}, ...
    @param subject: the session, or what was searched for.
    """
    _put(place, action if action == "search" else f"session.{action}", subject, "this look", details)


def act(place: Place, action: str, subject: str, **details: Any) -> None:
    """
    Put down something that was done; or is, where it does no harm that it may come to nothing.

    @param action: C{"ledger.rotate"}, ...
    @param subject: to what.
    """
    _put(place, action, subject, "what is done", details)


def _put(place: Place, action: str, subject: str, what: str, details: dict[str, Any]) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from hoopx.api.peer import myself
    from hoopx.errors import HoopxError
    from hoopx.state.rows import auditRow
    from hoopx.state.store import Store

    row = auditRow(time.time(), myself(), action, subject[:256], {"offline": True, **details})
    try:
        store = Store.open(place.settings.state.url, place.data)
        try:
            store.addAudit([row])
        finally:
            store.close()
    except (HoopxError, OSError, SQLAlchemyError) as error:
        say(f"hoopx: {what} is not in the audit, which can not be written: {harmless(str(error).splitlines()[0])}")


def asked(original: bool) -> dict[str, bool]:
    """Details of a look: whether it was at what masks hide."""
    return {"original": True} if original else {}
