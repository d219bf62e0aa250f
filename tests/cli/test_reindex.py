from __future__ import annotations

import json
from pathlib import Path

from attrs import evolve

from hoopx.cli.reindex import command
from hoopx.cli.search import command as search
from tests.cli.gateway import GatewayCase
from tests.index.rig import BEGAN, asked, folder, record


class ReindexTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.first = record(self.data, [asked("SELECT 'one'")])
        self.second = record(self.data, [asked("SELECT 'two'")], started=BEGAN + 1)

    async def found(self, said: str) -> int:
        _, out, _ = await self.hoopx(search, said, "--json")
        return len(json.loads(out))

    async def test_reindex(self) -> None:
        for arguments in ([], [], ["--fresh"]):
            self.assertEqual(await self.hoopx(command, *arguments), (0, "", "2 sessions are in the index.\n"))
            self.assertEqual(await self.found("select"), 2)

    async def test_metadata(self) -> None:
        """What is said stays out of an index of metadata."""
        self.configure(recording=evolve(self.settings.recording, index="metadata"))
        await self.hoopx(command)
        self.assertEqual(await self.found("select"), 0)

    async def test_damaged(self) -> None:
        """The others are in it, and the command says no."""
        path = Path(folder(self.data, self.first)) / "000000.hxr"
        path.write_bytes(path.read_bytes()[:-10])
        status, _, err = await self.hoopx(command)
        self.assertEqual(status, 1)
        self.assertIn(self.first, err)
        self.assertEqual((await self.found("one"), await self.found("two")), (0, 1))
