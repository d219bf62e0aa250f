from __future__ import annotations

import json
import time

from hoopx.cli import retention
from hoopx.state.marks import Marks
from hoopx.state.store import Store
from tests.cli.gateway import GatewayCase


class RunTests(GatewayCase):
    async def test_dryRun(self) -> None:
        self.begin()
        code, out, _ = await self.hoopx(retention.command, "run", "--dry-run", "--json")
        self.assertEqual((code, json.loads(out)[0]["done"]), (0, "would be erased"))

    async def test_run(self) -> None:
        self.begin()
        code, out, _ = await self.hoopx(retention.command, "run", "--confirm-clock")
        self.assertEqual(code, 0)
        for words in ("erased", "1 days", "confirmed"):
            self.assertIn(words, out)

    async def test_clock(self) -> None:
        self.gateway.wrong = True
        self.begin()
        code, _, err = await self.hoopx(retention.command, "run")
        self.assertEqual(code, 1)
        self.assertIn("the clock was set forward", err)

    async def test_none(self) -> None:
        self.assertEqual((await self.hoopx(retention.command, "run"))[0], 1)


class HoldTests(GatewayCase):
    async def test_filter(self) -> None:
        code, _, err = await self.hoopx(retention.command, "hold", "--target", "ord*", "--reason", "a lawsuit")
        self.assertEqual((code, "Hold 1 is set" in err), (0, True), err)
        code, out, _ = await self.hoopx(retention.command, "holds", "--json")
        self.assertEqual(json.loads(out)[0]["filter"], {"target": "ord*"})
        code, _, err = await self.hoopx(retention.command, "release", "1")
        self.assertEqual(code, 0, err)
        self.assertEqual((await self.hoopx(retention.command, "release", "1"))[0], 1)
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        self.assertEqual(Marks(store, "x", time.time).holding(), [])
        self.assertEqual([row["action"] for row in store.auditRows()], ["hold.lifted", "hold.set"])

    async def test_usage(self) -> None:
        self.assertEqual((await self.hoopx(retention.command, "hold", "--reason", "r"))[0], 2)
        self.assertEqual((await self.hoopx(retention.command, "hold", "--target", "x"))[0], 2)
        status, _, err = await self.hoopx(retention.command, "hold", "--target", "x", "--state", "live", "--reason", "r")
        self.assertEqual(status, 2)
        self.assertIn("leave --state out", err)  # it was left out in silence, and held more than was asked for
