"""
C{hoopx sessions}: recordings made by hand, read with no gateway.
"""

from __future__ import annotations

import json
import os
import stat
import time
from types import SimpleNamespace
from typing import Any

import pyrage

from hoopx.cli import listing, replay
from hoopx.cli.sessions import COMMANDS, command
from hoopx.protocols.postgres.messages import query
from hoopx.recording import catalogue
from hoopx.recording.packing import pack
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET
from tests.cli.gateway import GatewayCase
from tests.cli.recordings import BEGAN, record
from tests.curator.rig import Recorded
from tests.protocols.postgres.playbook import READY, columns, complete, error, hears, row, says

STEPS = [
    says(query(b"select 1 as a")),
    hears(columns("a") + row(b"1") + complete("SELECT 1") + READY),
    says(query("select '\x1b[2J\u202e é'".encode())),
    hears(error("42601", "no \x1b[2J") + READY),
]


class Case(GatewayCase):
    async def sessions(self, *arguments: str) -> tuple[int, str, str]:
        found: tuple[int, str, str] = await self.hoopx(command, *arguments)
        return found

    async def listed(self, *arguments: str) -> list[Any]:
        status, out, err = await self.sessions("list", "--json", *arguments)
        self.assertEqual((status, err), (0, ""))
        return json.loads(out)


class ListTests(Case):
    async def test_shape(self) -> None:
        session = record(self.data, STEPS)
        (line,) = await self.listed()
        self.assertEqual(
            line,
            {
                "session": session, "user": "alice", "kind": "human", "actor": None, "target": "orders", "account": "app",
                "protocol": "postgres", "client": "127.0.0.1:5", "started": BEGAN, "ended": BEGAN + 5, "state": "complete",
                "reason": "client-left", "bytes_from_client": len(STEPS[0][2]) + len(STEPS[2][2]),
                "bytes_from_target": len(STEPS[1][2]) + len(STEPS[3][2]),
            },
        )  # fmt: skip

    async def test_nothing(self) -> None:
        self.assertEqual(await self.listed(), [])

    async def test_newestFirst(self) -> None:
        ids = [record(self.data, STEPS, started=BEGAN + 86_400 * day) for day in range(3)]
        self.assertEqual([line["session"] for line in await self.listed()], ids[::-1])

    async def test_filters(self) -> None:
        old = record(self.data, [], started=BEGAN)
        agent = record(self.data, [], started=BEGAN + 100, identity={"name": "bot@x", "kind": "agent"}, labels={"run": "7"})
        other = record(self.data, [], started=BEGAN + 200, target="billing", protocol="raw")
        crashed = record(self.data, [], started=BEGAN + 300, done=False)
        recent = record(self.data, [], started=time.time() - 60)
        for arguments, expected in (
            (["--user", "bot@*"], [agent]),
            (["--target", "billing"], [other]),
            (["--protocol", "raw"], [other]),
            (["--state", "recovered"], [crashed]),
            (["--label", "run=7"], [agent]),
            (["--label", "run"], [agent]),
            (["--label", "run=8"], []),
            (["--since", "2h"], [recent]),
            (["--until", "2023-11-14T22:14:00+00:00"], [old]),
            (["--since", "2023-11-14T22:14:00Z", "--until", "1h"], [crashed, other, agent]),
            (["--limit", "2"], [recent, crashed]),
            (["--limit", "2", "--skip", "1"], [crashed, other]),
        ):
            self.assertEqual([line["session"] for line in await self.listed(*arguments)], expected, arguments)

    async def test_badMoment(self) -> None:
        status, _, err = await self.sessions("list", "--since", "yesterday")
        self.assertEqual(status, 2)
        self.assertIn("no moment such as 2h (ago)", err)

    async def test_forPeople(self) -> None:
        self.patch(listing, "PAGE", 2)
        for number in range(3):
            record(self.data, STEPS, started=BEGAN + number, target="evil\x1b[2J")
        status, out, err = await self.sessions("list")
        self.assertEqual(status, 0)
        head, *rest = out.splitlines()
        self.assertEqual(head.split("\t"), list(listing.COLUMNS))
        self.assertEqual(len(rest), 2)
        self.assertEqual(rest[0].split("\t")[2], "evil\\x1b[2J")
        self.assertEqual(rest[0].split("\t")[6], "5.00 s")
        self.assertIn("--skip 2", err)


class ShowTests(Case):
    async def test_json(self) -> None:
        session = record(self.data, STEPS)
        status, out, _ = await self.sessions("show", session, "--json")
        self.assertEqual(status, 0)
        self.assertTrue(out.isascii())
        found = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["kind"] for line in found], ["command", "result", "command", "result", "event"])
        self.assertEqual((found[0]["text"], found[0]["at"]), ("select 1 as a", 1.0))
        self.assertEqual((found[1]["columns"], found[1]["rows"], found[1]["duration"]), (["a"], 1, 1.0))
        self.assertEqual(found[2]["text"], "select '\x1b[2J\u202e é'")
        self.assertEqual((found[4]["event"], found[4]["reason"]), ("done", "client-left"))

    async def test_plain(self) -> None:
        session = record(self.data, STEPS)
        status, out, _ = await self.sessions("show", session[:20].lower())
        self.assertEqual(status, 0)
        for expected in (
            f"session  {session}",
            "alice (human), in dev",
            "orders as app, database shop",
            "select 1 as a",
            "ERROR 42601: no ",
        ):
            self.assertIn(expected, out)
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\u202e", out)

    async def test_unknown(self) -> None:
        for arguments in (["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], ["replay", "x"], ["export", "x", "--format", "jsonl"]):
            status, out, err = await self.sessions(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("there is no session", err)

    async def test_ambiguous(self) -> None:
        for _ in range(2):
            record(self.data, STEPS)
        status, _, err = await self.sessions("show", "01")
        self.assertEqual(status, 1)
        self.assertIn("could be any of", err)

    async def test_unknownProtocol(self) -> None:
        session = record(self.data, STEPS, protocol="gopher")
        status, _, err = await self.sessions("show", session)
        self.assertEqual(status, 1)
        self.assertIn("no plugin", err)

    async def test_crashed(self) -> None:
        """What a crash left is shown as far as it goes."""
        session = record(self.data, STEPS[:1], done=False)
        status, out, _ = await self.sessions("show", session)
        self.assertEqual(status, 0)
        self.assertIn("recovered", out)
        self.assertIn("no answer in the recording", out)

    async def test_damaged(self) -> None:
        """What is good is shown, and the damage is told."""
        session = record(self.data, STEPS)
        path = os.path.join(catalogue.find(str(self.data), session), "000000.hxr")
        with open(path, "r+b") as file:
            place = file.read().find(b"SELECT 1")
            file.seek(place)
            file.write(b"DELETE 9")
        status, out, err = await self.sessions("show", session)
        self.assertEqual(status, 1)
        self.assertIn("select 1 as a", out)
        self.assertIn("checksum", err)


class IdentityTests(Case):
    """What an auditor does with an encrypted session."""

    def setUp(self) -> Any:
        self.auditor, self.stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
        return super().setUp()

    def keyFile(self, key: Any) -> str:
        path: str = self.mktemp()
        with open(path, "w") as file:
            file.write(f"# an auditor\n{key}\n")
        return path

    def encrypted(self) -> str:
        session = record(self.data, STEPS)
        pack(os.path.join(catalogue.find(str(self.data), session), "000000.hxr"), True, [str(self.auditor.to_public())])
        return session

    async def test_show(self) -> None:
        plain = record(self.data, STEPS)
        _, wanted, _ = await self.sessions("show", "--json", plain)
        session = self.encrypted()
        key = self.keyFile(self.auditor)
        self.assertEqual(await self.sessions("show", "--json", session, "--identity", key), (0, wanted, ""))
        both = ("--identity", self.keyFile(self.stranger), "--identity", key)
        self.assertEqual(await self.sessions("show", "--json", session, *both), (0, wanted, ""))
        self.patch(os, "environ", {**os.environ, "HOOPX_IDENTITY": key})
        self.assertEqual(await self.sessions("show", "--json", session), (0, wanted, ""))

    async def test_replayAndExport(self) -> None:
        session, key = self.encrypted(), self.keyFile(self.auditor)
        status, out, _ = await self.sessions("replay", session, "--identity", key)
        self.assertEqual(status, 0)
        self.assertIn("select 1 as a", out)
        path = self.mktemp()
        status, _, _ = await self.sessions("export", session, "--format", "raw", "--from", "client", "-o", path, "--identity", key)
        self.assertEqual(status, 0)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), STEPS[0][2] + STEPS[2][2])

    async def test_noIdentity(self) -> None:
        """Each of them says what is missing, and shows nothing."""
        session = self.encrypted()
        for more, said in (((), "--identity KEYFILE"), (("--identity", self.keyFile(self.stranger)), "none of the identities")):
            for words in (("show",), ("replay",), ("export", "--format", "jsonl"), ("export", "--format", "raw", "--to", "client")):
                status, out, err = await self.sessions(*words, session, *more)
                self.assertEqual((status, out), (1, ""), words)
                self.assertIn(said, err)

    async def test_liveWithoutIdentity(self) -> None:
        """The beginning is packed while the session still lives."""
        recording = Recorded(str(self.data)).session(2, close=False)
        self.addCleanup(recording.close, "client-left")
        pack(os.path.join(recording.path, "000000.hxr"), True, [str(self.auditor.to_public())])
        for words in (("show",), ("replay",), ("export", "--format", "raw", "--to", "client")):
            status, out, err = await self.sessions(*words, recording.session)
            self.assertEqual((status, out), (1, ""), words)
            self.assertIn("--identity KEYFILE", err)
        status, out, _ = await self.sessions("show", "--json", recording.session, "--identity", self.keyFile(self.auditor))
        self.assertEqual(status, 0)

    async def test_badKeyFile(self) -> None:
        session = self.encrypted()
        status, _, err = await self.sessions("show", session, "--identity", self.mktemp())
        self.assertEqual(status, 1)
        self.assertIn("can not be read", err)

    async def test_list(self) -> None:
        session = self.encrypted()
        (line,) = await self.listed()
        self.assertEqual((line["session"], line["state"], line["user"], line["started"]), (session, "encrypted", None, BEGAN))
        self.assertEqual(await self.listed("--state", "encrypted"), [line])
        (line,) = await self.listed("--identity", self.keyFile(self.auditor))
        self.assertEqual((line["session"], line["state"], line["user"]), (session, "complete", "alice"))


class ReplayTests(Case):
    def test_pace(self) -> None:
        waits: list[float] = []
        found = [{"at": at} for at in (1.0, 3.0, 2.5, 100.0)]
        self.assertEqual(list(replay.paced(iter(found), 2.0, 5.0, 0.0, waits.append)), found)
        self.assertEqual(waits, [0.5, 1.0, 5.0])

    def test_begin(self) -> None:
        waits: list[float] = []
        found = [{"at": at} for at in (1.0, 3.0, 4.0)]
        self.assertEqual(list(replay.paced(iter(found), 1.0, 5.0, 2.0, waits.append)), found[1:])
        self.assertEqual(waits, [1.0, 1.0])

    def test_noWaiting(self) -> None:
        self.assertEqual(len(list(replay.paced(iter([{"at": 9.0}]), 0.0, 5.0, 0.0, self.fail))), 1)

    async def test_inPipe(self) -> None:
        session = record(self.data, STEPS)
        status, out, _ = await self.sessions("replay", session, "--at", "2.5")
        self.assertEqual(status, 0)
        self.assertNotIn("select 1 as a", out)
        self.assertIn("ERROR 42601", out)

    async def test_paced(self) -> None:
        waits: list[float] = []
        self.patch(replay, "time", SimpleNamespace(sleep=waits.append))  # the module's own: others may sleep meanwhile
        session = record(self.data, STEPS)
        await self.sessions("replay", session, "--speed", "4", "--idle-limit", "0.2")
        self.assertEqual(waits, [0.2] * 5)


class ExportTests(Case):
    ALL = (
        (CLIENT, PASSED, b"1"),
        (TARGET, PASSED, b"a"),
        (CLIENT, ATTEMPTED, b"2"),
        (CLIENT, MADE, b"X"),
        (TARGET, ATTEMPTED, b"b"),
        (TARGET, MADE, b"Y"),
        (CLIENT, PASSED, b"\x003"),
        (CLIENT, 4, b"sealed"),
    )

    async def test_raw(self) -> None:
        session = record(self.data, list(self.ALL), protocol="gopher")
        for option, side, expected in (
            ("--from", "client", b"12\x003"),
            ("--to", "target", b"1X\x003"),
            ("--from", "target", b"ab"),
            ("--to", "client", b"aY"),
        ):
            path = self.data / "out"
            status, out, err = await self.sessions("export", session, "--format", "raw", option, side, "-o", str(path))
            self.assertEqual((status, out, path.read_bytes()), (0, "", expected))
            self.assertIn("written to", err)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    async def test_jsonl(self) -> None:
        session = record(self.data, STEPS)
        path = self.data / "out"
        await self.sessions("export", session, "--format", "jsonl", "-o", str(path))
        _, shown, _ = await self.sessions("show", session, "--json")
        self.assertEqual(path.read_text(), shown)

    async def test_usage(self) -> None:
        session = record(self.data, STEPS)
        for arguments in (
            ["--format", "raw"],
            ["--format", "raw", "--from", "client", "--to", "client"],
            ["--format", "jsonl", "--to", "client"],
            ["--format", "xml"],
            [],
        ):
            self.assertEqual((await self.sessions("export", session, *arguments))[0], 2, arguments)

    async def test_notOnTerminal(self) -> None:
        """Raw bytes never reach a terminal."""
        from hoopx.cli import export

        session = record(self.data, STEPS)
        self.patch(export, "onTerminal", lambda: True)
        status, out, err = await self.sessions("export", session, "--format", "raw", "--from", "client")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("-o FILE", err)

    async def test_unwritable(self) -> None:
        session = record(self.data, STEPS)
        status, _, err = await self.sessions("export", session, "--format", "jsonl", "-o", "/nowhere/at/all")
        self.assertEqual(status, 1)
        self.assertIn("can not be written", err)


class GroupTests(Case):
    async def test_everyCommandLoads(self) -> None:
        for name in COMMANDS:
            status, out, _ = await self.sessions(name, "--help")
            self.assertEqual(status, 0, name)
            self.assertIn("Usage:", out)

    async def test_typo(self) -> None:
        status, _, err = await self.sessions("lst")
        self.assertEqual(status, 2)
        self.assertIn("Did you mean 'list'?", err)
