# -*- test-case-name: tests.cli.test_looking -*-
"""
Who looks at recordings from the command line is put down in the audit.

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
    from sqlalchemy.exc import SQLAlchemyError

    from hoopx.api.peer import myself
    from hoopx.errors import HoopxError
    from hoopx.state.rows import auditRow
    from hoopx.state.store import Store

    said = action if action == "search" else f"session.{action}"
    row = auditRow(time.time(), myself(), said, subject[:256], {"offline": True, **details})
    try:
        store = Store.open(place.settings.state.url, place.data)
        try:
            store.addAudit([row])
        finally:
            store.close()
    except (HoopxError, OSError, SQLAlchemyError) as error:
        say(f"hoopx: this look is not in the audit, which can not be written: {harmless(str(error).splitlines()[0])}")


def asked(original: bool) -> dict[str, bool]:
    """Details of a look: whether it was at what masks hide."""
    return {"original": True} if original else {}
