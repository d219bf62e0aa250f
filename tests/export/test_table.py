"""CSV: every row whole, nothing a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.export.table import COLUMNS, Table, harmless
from hoopx.frames import EVENT, pack
from hoopx.protocols.postgres.messages import query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.values import CLIENT, PASSED, Frame
from tests.export.forged import Told, foreign, told
from tests.export.recorded import HEADER, frames, written


def rows(found=None):
    data = written(Table(HEADER, PostgresView()), found)
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


class TableTests(SynchronousTestCase):
    def test_rows(self):
        found = rows()
        self.assertEqual([row["kind"] for row in found], ["event", "command", "result", "command", "result", "command", "result", "event"])
        self.assertEqual((found[1]["text"], found[1]["verdict"]), ("select 1 as a", "allow"))
        self.assertEqual(found[1]["time"], "2023-11-14T22:13:23.250000+00:00")
        self.assertEqual((found[2]["rows"], found[2]["tag"], found[2]["duration"]), ("1", "SELECT 1", "1.0"))
        self.assertEqual((found[3]["text"], found[3]["verdict"]), ("drop table victim", "block"))
        self.assertEqual((found[4]["error_code"], found[4]["error"]), ("42501", "no: =1+1"))
        self.assertEqual(found[-1]["type"], "done")

    def test_nothing(self):
        self.assertEqual(written(Table(HEADER, PostgresView()), []), (",".join(f'"{name}"' for name in COLUMNS) + "\r\n").encode())

    @given(st.text(alphabet="=+-@\t\r\n ;,\"'aA1\0\uff1d\ufeff", max_size=12))
    def test_formula(self, text):
        """Whatever a statement is, its cell comes back whole, and never begins like a formula."""
        safe = harmless(text)
        self.assertFalse(safe.lstrip(" \0\ufeff\u00a0").startswith(tuple("=+-@\t\r\n\uff1d")))
        self.assertIn(safe, (text, "'" + text))

    def test_quoted(self):
        """Separators and line ends inside a statement stay inside its cell, also where semicolons part cells."""
        text = 'select 1;=cmd|\' /C calc\'!A0,"\r\n=1'
        (row,) = [row for row in rows(frames([(CLIENT, PASSED, query(text.encode()))])) if row["kind"] == "command"]
        self.assertEqual(row["text"], text)
        (row,) = [row for row in rows(frames([(CLIENT, PASSED, query(b"=1+1"))])) if row["kind"] == "command"]
        self.assertEqual(row["text"], "'=1+1")

    @given(foreign(), st.lists(told(), max_size=6))
    @settings(max_examples=100, deadline=None)
    def test_forged(self, head, items):
        """Whatever stands in HEAD and in events: a row for each thing, of as many cells as there are columns."""
        data = written(Table(head, Told(items)))
        found = list(csv.reader(io.StringIO(data.decode(), newline="")))
        self.assertEqual([len(row) for row in found], [len(COLUMNS)] * (len(items) + 1))

    def test_error(self):
        """An event may have an error of its own, which is a text."""
        (row,) = [row for row in rows([Frame(0, 2, 0, EVENT, 0, 0, 0, pack({"event": "alarm", "error": "no"}))]) if row["kind"] == "event"]
        self.assertEqual((row["error"], row["error_code"]), ("no", ""))
