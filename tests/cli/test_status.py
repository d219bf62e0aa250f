from __future__ import annotations

import json
from typing import Any

from hoopx.cli import reload, status
from tests.cli.gateway import GatewayCase

FULL = {
    "version": "1.0",
    "node": "gw1",
    "uptime": 90061.5,
    "sessions": 3,
    "listeners": [{"protocol": "postgres", "endpoint": "tcp:0", "address": "127.0.0.1:15432"}],
    "disk": None,
    "recordings": "/d/recordings",
    "counters": {"failed_logins": 2},
}


class StatusTests(GatewayCase):
    async def test_none(self) -> None:
        code, out, err = await self.hoopx(status.command)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("twistd -n hoopx --config my.toml", err)

    async def said(self, **more: Any) -> tuple[int, str, str]:
        self.gateway.status = lambda: FULL | more  # type: ignore[method-assign]
        self.begin()
        return await self.hoopx(status.command)

    async def test_people(self) -> None:
        code, out, _ = await self.said()
        self.assertEqual(code, 0)
        self.assertEqual([line.split(None, 1)[0] for line in out.splitlines()], [
            "gateway", "up", "sessions", "listens", "recordings", "records", "failed",
        ])  # fmt: skip
        for words in ("gw1 (hoopx 1.0)", "1 d 01:01:01", "postgres on 127.0.0.1:15432", "yes"):
            self.assertIn(words, out)

    async def test_stateDown(self) -> None:
        _, out, _ = await self.said(state="the state store can not be asked")
        self.assertIn("NO: the state store can not be asked", out)

    async def test_notAudited(self) -> None:
        """Sessions can be recorded all the same."""
        code, out, _ = await self.said(audit="the audit can not be written: database or disk is full")
        self.assertEqual(code, 0)
        self.assertIn("audited      NO: the audit can not be written: database or disk is full", out)

    async def test_diskFull(self) -> None:
        code, out, _ = await self.said(disk="the disk is full")
        self.assertEqual(code, 1)
        self.assertIn("NO: the disk is full", out)

    async def test_noLedger(self) -> None:
        """Of every session the ledger must have been told: without it none can be recorded, whatever room there is."""
        for curator, why in (
            ({"state": "silent"}, "the curator is silent"),
            ({"state": "down"}, "the curator is down"),
            ({"state": "ready", "ledger": {"origin": "gw", "size": 1, "signed": 1, "trouble": "EIO"}}, "can not be written: EIO"),
        ):
            self.gateway.status = lambda curator=curator: FULL | {"curator": curator}  # type: ignore[method-assign,misc]
            if curator["state"] == "silent":
                self.begin()
            code, out, _ = await self.hoopx(status.command)
            self.assertEqual(code, 1)
            (line,) = (line for line in out.splitlines() if line.startswith("records "))
            self.assertIn("NO: ", line)
            self.assertIn(why, line)

    async def test_json(self) -> None:
        await self.said()
        code, out, _ = await self.hoopx(status.command, "--json")
        self.assertEqual((code, json.loads(out)), (0, FULL))


class ReloadTests(GatewayCase):
    async def test_reload(self) -> None:
        self.begin()
        self.assertEqual(await self.hoopx(reload.command), (0, "", "1 grant added\nReloaded.\n"))

    async def test_wrong(self) -> None:
        self.gateway.wrong = True
        self.begin()
        code, _, err = await self.hoopx(reload.command)
        self.assertEqual(code, 1)
        self.assertIn("hoopx.toml:3: a.b: bad\n", err)
        self.assertIn("worse\n", err)

    async def test_none(self) -> None:
        self.assertEqual((await self.hoopx(reload.command))[0], 1)
