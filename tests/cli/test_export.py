"""
C{hoopx sessions export} in the formats of other tools.
"""

from __future__ import annotations

import csv
import io
import json

from hoopx.cli import export
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
