from __future__ import annotations

import json

from hoopx.api.peer import myself
from hoopx.cli.live import kill, tail
from tests.api.doubles import FakeTail
from tests.cli.gateway import GatewayCase

SESSION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OBJECTS = (
    {"at": 0.5, "kind": "command", "text": "SELECT $1", "parameters": ["x\x1b[2J", None], "verdict": "block"},
    {"at": 0.6, "kind": "result", "tag": "SELECT 1", "error": None, "duration": 0.0015},
    {"at": 0.7, "kind": "result", "tag": None, "error": {"code": "42601", "message": "no"}, "duration": 0.1},
    {"at": 0.8, "kind": "output", "channel": 1, "stream": "target", "text": "hello"},
    {"at": 0.9, "kind": "event", "event": "connected", "to": "db", "channel": 0, "sequence": 5},
)


class LiveTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin()

    async def test_tail(self) -> None:
        self.tails[SESSION] = FakeTail([json.dumps(one) for one in OBJECTS], None)
        code, out, err = await self.hoopx(tail, SESSION)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.splitlines(), [
            "     0.500  command  SELECT $1  x\\x1b[2J, NULL  [block]",
            "     0.600  result   SELECT 1  1.5 ms",
            "     0.700  result   ERROR 42601 no  100.0 ms",
            "     0.800  output   hello",
            "     0.900  event    connected to=db",
        ])  # fmt: skip

    async def test_tailJson(self) -> None:
        self.tails[SESSION] = FakeTail([json.dumps(one) for one in OBJECTS], None)
        _, out, _ = await self.hoopx(tail, SESSION, "--json")
        self.assertEqual([json.loads(line) for line in out.splitlines()], list(OBJECTS))

    async def test_tailUnknown(self) -> None:
        code, _, err = await self.hoopx(tail, "nosuch")
        self.assertEqual(code, 1)
        self.assertIn("hoopx sessions replay", err)

    async def test_kill(self) -> None:
        self.assertEqual(await self.hoopx(kill, SESSION, "--reason", "enough"), (0, "", f"Ended {SESSION}.\n"))
        self.assertEqual(self.gateway.calls, [("kill", SESSION, "enough", myself())])

    async def test_killUnknown(self) -> None:
        code, _, err = await self.hoopx(kill, "nosuch")
        self.assertEqual(code, 1)
        self.assertIn("hoopx sessions list", err)
