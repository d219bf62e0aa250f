# -*- test-case-name: tests.peers.test_stores -*-
"""
Reads the audit in a database server again, to compare it with the ledger. Nothing is written there, and nothing migrated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Text, cast, select
from sqlalchemy.exc import SQLAlchemyError

from hoopx.errors import ConfigurationError
from hoopx.state import engine as engines
from hoopx.state.address import locate
from hoopx.state.rows import AuditAway, detailsOf
from hoopx.state.tables import audit

PAGE: Final = 1000
"""Rows of one transaction: some hundred KiB, and a snapshot that is not held for longer than that takes."""
NO_TABLE: Final = "42P01"
"""undefined_table (PostgreSQL, Appendix A)."""


def auditAgain(url: Any, data: Path) -> Iterator[dict[str, Any]]:
    """
    @param url: C{[state] url}: a reference to a server's.
    @return: all rows, oldest first, a page at a time: rows are numbered in the order of their commits, and only added.
    @raise AuditAway: the server can not be reached, or has no audit. The text holds no secret.
    """
    try:
        where = locate(url, data)
    except ConfigurationError as error:
        raise AuditAway(f"it is in a database server, and where that is can not be read: {error}") from None
    engine = engines.connect(where)
    try:
        yield from _pages(engine)
    except SQLAlchemyError as error:
        raise _away(where, error) from None
    finally:
        engines.close(engine)


def _pages(engine: Any) -> Iterator[dict[str, Any]]:
    # What stands there may be no JSON that can be read: the row is named then, and the others are still looked at.
    details = cast(audit.c.details, Text).label("details")
    columns = [column if column.name != "details" else details for column in audit.c]
    chosen = select(*columns).order_by(audit.c.id).limit(PAGE)
    more = chosen
    while True:
        with engine.connect().execution_options(postgresql_readonly=True) as connection:
            rows = [dict(row, details=detailsOf(row["details"])) for row in connection.execute(more).mappings()]
        yield from rows
        if len(rows) < PAGE:
            return
        more = chosen.where(audit.c.id > rows[-1]["id"])


def _away(where: URL, error: SQLAlchemyError) -> AuditAway:
    server = where.render_as_string(hide_password=True)
    original = getattr(error, "orig", None)
    if getattr(original, "sqlstate", None) == NO_TABLE:
        return AuditAway(f"{server} has no audit", gone=True)
    return AuditAway(f"it is in {server}, which can not be read: {str(original or error).strip()}")
