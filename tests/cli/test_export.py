"""
C{hoopx sessions export} in the formats of other tools.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import nullcontext

from hoopx.cli import export
from hoopx.frames import pack
from tests.cli.recordings import record
from tests.cli.test_sessions import STEPS, Case


class FormatTests(Case):
    async def exported(self, form: str, *arguments: str) -> bytes:
        session = record(self.data, STEPS)
        out = self.data / f"exported.{form}"
        status, said, err = await self.sessions("export", session, "--format", form, "-o", str(out), *arguments)
        self.assertEqual((status, said), (0, ""), err)
        return out.read_bytes()

    async def test_csv(self) -> None:
        found = list(csv.DictReader(io.StringIO((await self.exported("csv")).decode(), newline="")))
        self.assertEqual(found[0]["text"], "select 1 as a")

    async def test_ocsf(self) -> None:
        found = [json.loads(line) for line in (await self.exported("ocsf")).splitlines()]
        self.assertEqual(found[0]["class_uid"], 3002)
        self.assertIn("select 1 as a", [event.get("query_info", {}).get("query_string") for event in found])

    async def test_pcapng(self) -> None:
        found = await self.exported("pcapng")
        self.assertEqual(found[:4], b"\x0a\x0d\x0d\x0a")
        self.assertIn(STEPS[0][2], found)

    async def test_notOnTerminal(self) -> None:
        session = record(self.data, STEPS)
        self.patch(export, "onTerminal", lambda: True)
        status, out, err = await self.sessions("export", session, "--format", "pcapng")
        self.assertEqual((status, out), (2, ""))

    async def test_csvOnTerminal(self) -> None:
        """In a file everything stays as it was said; on a terminal it does nothing."""
        session = record(self.data, [(0, 0, pack({"event": "x", "said": "a\x1b[2J\x9b\rb\u202e"}))])
        _, out, _ = await self.sessions("export", session, "--format", "csv", "-o", str(self.data / "x.csv"))
        self.assertIn("a\x1b[2J\x9b", (self.data / "x.csv").read_text().replace("\\u001b", "\x1b").replace("\\u009b", "\x9b"))
        self.patch(export, "onTerminal", lambda: True)
        shown = io.BytesIO()
        self.patch(export, "_opened", lambda path: nullcontext(shown))
        status, _, err = await self.sessions("export", session, "--format", "csv")
        self.assertEqual(status, 0, err)
        out = shown.getvalue().decode()
        self.assertIn("\\x1b[2J\\x9b", out.replace("\\u001b", "\\x1b").replace("\\u009b", "\\x9b"))
        self.assertEqual([letter for letter in out if not letter.isprintable() and letter != "\n"], [])
        self.assertEqual(len(out.splitlines()), len((self.data / "x.csv").read_text().splitlines()))
