from __future__ import annotations

import json
import time
from typing import Any

from attrs import evolve

from hoopx.api.peer import myself
from hoopx.cli.tokens import command
from hoopx.config.settings import IdentitySettings, TokensSettings
from hoopx.identity.format import wellFormed
from hoopx.identity.tokens import Tokens
from hoopx.state.store import Store
from hoopx.state.thread import Directly
from tests.cli.gateway import GatewayCase


class OfflineTests(GatewayCase):
    """No gateway runs: the state store itself is asked."""

    def store(self) -> Store:
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        return store

    async def issue(self, *arguments: str) -> str:
        status, out, err = await self.hoopx(command, "issue", *arguments)
        self.assertEqual((status, err), (0, ""))
        return out

    async def listed(self) -> Any:
        return json.loads((await self.hoopx(command, "list", "--json"))[1])

    async def test_issue(self) -> None:
        """The token stands alone on standard output, and works."""
        began = time.time()
        out = await self.issue("--user", "alice", "--group", "b", "--group", "a", *"--kind agent --actor bot --ttl 2h".split())
        ended = time.time()
        self.assertTrue(wellFormed(out[:-1]) and out.endswith("\n"))
        identity = self.successResultOf(Tokens(self.store(), Directly(), time.time, 1).verify(out.strip()))
        self.assertEqual((identity.subject, identity.groups), ("alice", ("a", "b")))
        self.assertEqual((identity.kind, identity.actor), ("agent", "bot"))
        self.assertTrue(began + 7200 <= identity.expires <= ended + 7200, (began, identity.expires, ended))

    async def test_listShape(self) -> None:
        await self.issue("--user", "alice", "--target", "orders*", "--note", "for tests")
        (row,) = await self.listed()
        self.assertEqual(list(row), ["id", "user", "groups", "kind", "actor", "targets", "created", "expires", "revoked"])
        self.assertEqual(
            [row[name] for name in ("user", "groups", "kind", "actor", "targets", "revoked")],
            ["alice", [], "human", None, ["orders*"], None],
        )
        self.assertApproximates(row["expires"] - row["created"], 8 * 3600, 1)

    async def test_listForPeople(self) -> None:
        await self.issue("--user", "alice")
        (row,) = await self.listed()
        await self.hoopx(command, "revoke", row["id"])
        _, out, _ = await self.hoopx(command, "list")
        head, line = out.splitlines()
        self.assertEqual(head.split("\t")[-1], "state")
        self.assertEqual(line.split("\t")[-1], "revoked")
        self.assertRegex(line, r"\t20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\t")

    async def test_revoke(self) -> None:
        await self.issue("--user", "alice")
        (row,) = await self.listed()
        began = time.time()
        for expected in (f"Revoked: {row['id']}.\n", "It was revoked before.\n"):
            self.assertEqual(await self.hoopx(command, "revoke", row["id"]), (0, "", expected))
        (row,) = await self.listed()
        self.assertTrue(began <= row["revoked"] <= time.time(), (began, row["revoked"]))

    async def test_revokeUser(self) -> None:
        for user in ("alice", "alice", "bob"):
            await self.issue("--user", user)
        self.assertEqual((await self.hoopx(command, "revoke", "--user", "alice"))[0], 0)
        self.assertEqual(sorted((row["user"], row["revoked"] is None) for row in await self.listed()), [
            ("alice", False), ("alice", False), ("bob", True),
        ])  # fmt: skip
        status, _, err = await self.hoopx(command, "revoke", "--user", "alice")
        self.assertEqual((status, err), (1, "hoopx: alice has no token that could be revoked\n"))

    async def test_wrong(self) -> None:
        for arguments, status, words in (
            (["revoke"], 2, "Say which token"),
            (["revoke", "x", "--user", "y"], 2, "Say which token"),
            (["revoke", "nosuch"], 1, "hoopx tokens list"),
            (["issue"], 2, "--user"),
            (["issue", "--user", "a", "--ttl", "soon"], 2, "30m"),
            (["issue", "--user", "a", "--ttl", "9h"], 1, "max_age"),
            (["issue", "--user", "a\x1b[2J"], 1, "printable"),
            (["issue", "--user", "a", "--kind", "god"], 2, "human"),
        ):
            found, out, err = await self.hoopx(command, *arguments)
            self.assertEqual((found, out), (status, ""), arguments)
            self.assertIn(words, err)
            self.assertNotIn("\x1b", err)

    async def test_maxAge(self) -> None:
        self.configure(identity=IdentitySettings(tokens=evolve(TokensSettings(), maxAge=60.0)))
        await self.issue("--user", "alice")
        (row,) = await self.listed()
        self.assertApproximates(row["expires"] - row["created"], 60, 1)

    async def test_audited(self) -> None:
        out = await self.issue("--user", "alice")
        await self.hoopx(command, "revoke", "--user", "alice")
        rows = self.store().auditRows()
        self.assertEqual([(row["actor"], row["action"], row["subject"]) for row in rows], [
            (myself(), "token.revoke", "alice"), (myself(), "token.issue", "alice"),
        ])  # fmt: skip
        self.assertNotIn(out.strip(), repr(rows))


class OnlineTests(GatewayCase):
    """A gateway runs: it is asked, and the state store is not touched by anybody else."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    async def test_issue(self) -> None:
        self.assertEqual(await self.hoopx(command, "issue", "--user", "alice", "--ttl", "60s"), (0, "hx_secret\n", ""))
        self.assertEqual(self.gateway.calls[0][1]["ttl"], 60)
        self.assertFalse((self.data / "state.sqlite").exists())

    async def test_refused(self) -> None:
        self.gateway.issueToken = lambda *a, **k: 1 / 0  # type: ignore[method-assign,assignment]
        status, out, err = await self.hoopx(command, "issue", "--user", "alice")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("fault in the gateway", err)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_revoke(self) -> None:
        self.assertEqual(await self.hoopx(command, "revoke", "id1"), (0, "", "Revoked: id1.\n"))
        self.assertEqual(self.gateway.calls, [("revoke", "id1", None)])
