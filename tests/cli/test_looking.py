"""
Every look at a recording is in the audit, with who looked.
"""

from __future__ import annotations

import os

from attrs import evolve

from hoopx.api.peer import myself
from hoopx.cli.reindex import command as reindex
from hoopx.cli.search import command as search
from hoopx.cli.sessions import command
from hoopx.index.store import openForWriting
from hoopx.state.engine import close
from hoopx.state.store import Store
from hoopx.values import Reference
from tests.cli.gateway import GatewayCase
from tests.cli.recordings import record
from tests.cli.test_sessions import STEPS


class LookingTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.session = record(self.data, STEPS)

    def looks(self) -> list[tuple[str, str, str]]:
        store = Store.open("sqlite:", self.data)
        try:
            return [(row["actor"], row["action"], row["subject"]) for row in store.auditRows()[::-1]]
        finally:
            store.close()

    async def test_everyLook(self) -> None:
        close(openForWriting(self.data / "index.sqlite"))
        for arguments in (["show", self.session], ["replay", self.session[:15], "--speed", "0"], ["export", self.session, "--format", "jsonl", "-o", os.devnull], ["export", self.session, "--format", "raw", "--from", "client", "-o", os.devnull]):
            self.assertEqual((await self.hoopx(command, *arguments))[0], 0, arguments)
        await self.hoopx(search, "select", "--user", "a*")
        me = myself()
        self.assertEqual(
            self.looks(),
            [*((me, f"session.{action}", self.session) for action in ("show", "replay", "export", "export")), (me, "search", "select")],
        )

    async def test_details(self) -> None:
        close(openForWriting(self.data / "index.sqlite"))
        await self.hoopx(search, "drop", "table", "--user", "a*", "--kind", "command")
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        (row,) = store.auditRows()
        self.assertEqual(row["subject"], "drop table")
        self.assertEqual(row["details"], {"offline": True, "user": "a*", "kinds": ["command"], "limit": 50})

    async def test_proof(self) -> None:
        """Who takes a recording away as it is has looked, too; also where nothing comes of it, as here without a ledger."""
        await self.hoopx(command, "export", self.session[:15], "--proof", "-o", self.mktemp())
        self.assertEqual(self.looks(), [(myself(), "session.export", self.session)])

    async def test_reindex(self) -> None:
        for arguments in ([], ["--fresh"]):
            self.assertEqual((await self.hoopx(reindex, *arguments))[0], 0)
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        found = [(row["actor"], row["action"], row["details"]) for row in store.auditRows()[::-1]]
        self.assertEqual(found, [(myself(), "index.reindex", {"offline": True, "fresh": fresh}) for fresh in (False, True)])

    async def test_notFound(self) -> None:
        """Where there is nothing to see nobody has looked."""
        await self.hoopx(command, "show", "nothing")
        self.assertEqual(self.looks(), [])

    async def test_listIsNoLook(self) -> None:
        await self.hoopx(command, "list")
        self.assertEqual(self.looks(), [])

    async def test_stateStoreDown(self) -> None:
        """An auditor is not blind when the state store is: it is said, and the look goes on."""
        self.configure(state=evolve(self.settings.state, url=Reference("file", "/nowhere")))
        status, out, err = await self.hoopx(command, "show", self.session)
        self.assertEqual(status, 0)
        self.assertIn("select 1 as a", out)
        self.assertIn("not in the audit", err)
