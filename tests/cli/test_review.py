"""
The listings of docs/howto/review.rst and search.rst are what the commands print: each C{.txt} holds a command and its output.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from pathlib import Path

from hoopx.cli.reindex import command as reindex
from hoopx.cli.search import command as search
from hoopx.cli.sessions import command
from tests.cli.gateway import GatewayCase

HERE = Path(__file__).resolve().parents[1]
LISTINGS = HERE.parent / "docs" / "howto" / "listings"
PROMPT = "$ hoopx "
COMMANDS = {"sessions": command, "search": search}


class ReviewTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        # A copy: who looks is put down beside the recordings.
        shutil.copytree(HERE / "fixtures" / "review" / "data", self.data, dirs_exist_ok=True)
        zone = os.environ.get("TZ")
        self.addCleanup(self.setZone, zone)
        self.setZone("UTC")

    def setZone(self, zone: str | None) -> None:
        if zone is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        time.tzset()

    async def compare(self, page: str) -> None:
        paths = sorted((LISTINGS / page).glob("*.txt"))
        self.assertGreater(len(paths), 2)
        for path in paths:
            first, _, expected = path.read_text().partition("\n")
            self.assertTrue(first.startswith(PROMPT), path.name)
            name, *arguments = shlex.split(first[len(PROMPT) :])
            status, out, _ = await self.hoopx(COMMANDS[name], *arguments)
            self.assertEqual((status, out), (0, expected), path.name)

    async def test_review(self) -> None:
        await self.compare("review")

    async def test_search(self) -> None:
        await self.hoopx(reindex)
        await self.compare("search")
