"""``hoopx witness``: what can be seen without running it; tests/peers/test_witness.py runs it."""

from __future__ import annotations

import os

from hoopx.cli.witness import command
from hoopx.ledger.note import Cosigner, Signer
from tests.cli.gateway import GatewayCase
from tests.ledger.rig import key

VKEY = Signer("gw1.00000000", key()).vkey


class WitnessTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = os.path.join(self.data, "witness")

    async def test_vkey(self) -> None:
        status, out, _ = await self.hoopx(command, "--data", self.folder, "--name", "w.example", "--vkey")
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("w.example+"))
        self.assertEqual(await self.hoopx(command, "--data", self.folder, "--vkey"), (0, out, ""))

    async def test_nameIsForEver(self) -> None:
        await self.hoopx(command, "--data", self.folder, "--name", "w.example", "--vkey")
        status, _, err = await self.hoopx(command, "--data", self.folder, "--name", "x.example", "--vkey")
        self.assertEqual(status, 1)
        self.assertIn("w.example", err)

    async def test_usage(self) -> None:
        path = os.path.join(self.data, "keys.txt")
        with open(path, "w") as file:
            file.write("# none\n\n")
        for words in (
            [],
            ["--ledger", "nonsense"],
            ["--ledger", Cosigner("w.example", key()).vkey],
            ["--ledgers", path],
            ["--ledgers", path + ".missing"],
            ["--ledger", VKEY, "--name", "a b"],
            ["--ledger", VKEY, "--name", "w.example", "--listen", "nonsense"],
        ):
            status, out, err = await self.hoopx(command, "--data", self.folder, *words)
            self.assertEqual((status, out), (2, ""), (words, err))

    async def test_noName(self) -> None:
        status, _, err = await self.hoopx(command, "--data", self.folder, "--ledger", VKEY)
        self.assertEqual(status, 1)
        self.assertIn("needs a name", err)
