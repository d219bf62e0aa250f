# -*- test-case-name: tests.export.test_table -*-
"""
A session as CSV (RFC 4180): one row for each command, result, output, file and event.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from hoopx.heading import moment, sound, within
from hoopx.telling import tell
from hoopx.values import Frame

COLUMNS: Final = (
    "at", "time", "kind", "channel", "sequence", "type", "text", "parameters", "verdict", "guard", "columns", "rows", "tag",
    "duration", "error_code", "error", "more",
)  # fmt: skip

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, wide forms too (OWASP: CSV injection)."""


def harmless(text: str) -> str:
    """A cell that no spreadsheet calculates: what could begin a formula gets an apostrophe before it. Quotes alone do not help."""
    return "'" + text if text.lstrip(" \u00a0\ufeff\0").startswith(FORMULA) else text


class Table:
    """
    @param head: HEAD's object.
    @param view: a fresh L{hoopx.interfaces.ISessionView}.
    """

    def __init__(self, head: Mapping[str, Any], view: Any) -> None:
        self._started = moment(head.get("started"))
        self._view = view
        self._text = io.StringIO(newline="")
        # Quoted throughout: where semicolons part cells, an unquoted one would begin a new cell.
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        self._writer.writerow(COLUMNS)

    def feed(self, frame: Frame) -> bytes:
        for item in self._view.feed(frame):
            self._row(tell(item))
        return self._taken()

    def finish(self) -> bytes:
        for item in self._view.finish():
            self._row(tell(item))
        return self._taken()

    def _taken(self) -> bytes:
        data = self._text.getvalue().encode("utf-8", "backslashreplace")
        self._text.seek(0)
        self._text.truncate()
        return data

    def _row(self, told: dict[str, Any]) -> None:
        told.pop("sample", None)
        error = told.pop("error", None)
        if not isinstance(error, Mapping):  # of an event
            error = {"message": error}
        found = {
            **told,
            "time": datetime.fromtimestamp(within(self._started + told["at"]), timezone.utc).isoformat(timespec="microseconds"),
            "type": told.pop("type", None) or told.pop("event", None) or told.pop("stream", None) or told.pop("operation", None),
            "text": told["text"] if "text" in told else told.pop("path", None),
            "error_code": error.get("code"),
            "error": error.get("message"),
        }
        more = {name: value for name, value in told.items() if name not in COLUMNS and value not in (None, "", [], {})}
        found["more"] = json.dumps(sound(more), sort_keys=True) if more else ""
        self._writer.writerow([self._cell(found.get(name)) for name in COLUMNS])

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, (int, float)):
            return str(value)
        if isinstance(value, (list, tuple, Mapping)):
            value = json.dumps(sound(value)) if value else ""
        return harmless(str(value))
