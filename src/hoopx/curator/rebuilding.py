# -*- test-case-name: tests.curator.test_rebuilding -*-
"""
Brings the curator's list up to the ledger: what was appended and not noted before a kill, or all of it, when the list was lost. Receipts
are found again when a segment is to be stored once more (L{hoopx.curator.storing}).
"""

from __future__ import annotations

import os
from typing import Any, Final

from hoopx.curator.book import Book
from hoopx.frames import ulidTime
from hoopx.ledger.leaf import parse
from hoopx.recording.opening import sessionDirectory

PAGE: Final = 1000
"""Leaves of one transaction."""
COVERED: Final = "ledger"
"""The fact that says how many leaves the list knows."""


def catchUp(book: Book, ledger: Any, data: str) -> int:
    """
    Read what the list does not know of the ledger. Blocks.

    @return: how many leaves were read.
    """
    begin = at = book.fact(COVERED) or 0
    if at > ledger.size:  # the list is of another ledger
        begin = at = 0
    newest = 0.0
    while at < ledger.size:
        lines = ledger.entries(at, min(at + PAGE, ledger.size))
        leaves = [parse(line) for line in lines]
        rows: list[tuple[int, dict[str, Any], str, float]] = []
        for index, leaf in enumerate(leaves, at):
            newest = max(newest, leaf["at"])
            session = leaf.get("session")
            if session is not None:
                rows.append((index, leaf, _path(data, session), newest))
        book.relearn(rows, at + len(leaves))
        at += len(leaves)
    return at - begin


def _path(data: str, session: str) -> str:
    try:
        return sessionDirectory(data, session, ulidTime(session))
    except ValueError:
        return os.path.join(data, "recordings", session)
