from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import click
from twisted.trial.unittest import SynchronousTestCase

from hoopx.api import peer
from hoopx.cli.ledger import command as ledger
from hoopx.cli.live import kill, tail
from hoopx.cli.main import cli
from hoopx.cli.retention import command as retention
from hoopx.cli.sessions import command as sessions
from hoopx.cli.targets import command as targets
from hoopx.cli.text import MOST, Filled, Text, Words, checked
from hoopx.cli.tokens import command as tokens
from hoopx.cli.verify import command as verify
from hoopx.state.store import Store
from tests.cli.gateway import GatewayCase
from tests.cli.recordings import record

NO_TEXT = "\udcff"


def everything(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Parameter]]:
    for param in command.params:
        yield (*path, param.opts[0]), param
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from everything(found, (*path, name))


class EveryArgumentTests(SynchronousTestCase):
    def test_none(self) -> None:
        """No argument of any command takes whatever bytes there are as a text, or an empty path."""
        found = list(everything(cli))
        for path, param in found:
            self.assertIsNot(param.type, click.STRING, path)
            self.assertFalse(isinstance(param.type, click.Path), path)
        self.assertEqual([path for path, param in found if param.type is click.UNPROCESSED], [("connect", "arguments")])
        self.assertGreater(len(found), 100)

    def test_twice(self) -> None:
        """Commands are looked at each time that they are found."""
        command = click.Command("x", params=[click.Option(["--path"], type=click.Path()), click.Option(["--note"])])
        first = [param.type for param in checked(command).params]
        self.assertEqual([param.type for param in checked(command).params], first)
        self.assertEqual([type(kind) for kind in first], [Filled, Text])


class TextTests(SynchronousTestCase):
    def refused(self, kind: click.ParamType, value: str) -> str:
        return self.assertRaises(click.BadParameter, kind.convert, value, None, None).message

    def test_text(self) -> None:
        for value in ("alice", "\u00e9\U0001f600", "a\nb", "\x1b[2J", "x" * MOST):
            self.assertEqual(Text(empty=False).convert(value, None, None), value)
        self.assertEqual(Text().convert("", None, None), "")

    def test_undecoded(self) -> None:
        """UTF-8 that Python has not decoded, as with LANG=C, is text."""
        self.assertEqual(Text().convert("caf\udcc3\udca9", None, None), "caf\u00e9")
        self.assertEqual(Words().convert("caf\udcc3\udca9", None, None), "caf\u00e9")

    def test_refused(self) -> None:
        for value in (NO_TEXT, "a\udcffb", "\ud800", "\udced\udca0\udc80", "caf\udcc3"):
            self.assertIn("no text in UTF-8", self.refused(Text(), value), ascii(value))
        self.assertIn(f"{MOST + 1} characters", self.refused(Text(), "x" * (MOST + 1)))
        self.assertIn("it is empty", self.refused(Text(empty=False), ""))
        self.assertIn("characters", self.refused(Words(), "x" * (1 << 20)))

    def test_paths(self) -> None:
        """File names need not be text."""
        self.assertEqual(Filled(click.Path()).convert(f"/data/{NO_TEXT}", None, None), f"/data/{NO_TEXT}")
        self.assertIn("it is empty", self.refused(Filled(click.Path()), ""))


class CommandTests(GatewayCase):
    """One line that says what is wrong, exit status 2, and nothing is changed."""

    def setUp(self) -> None:
        super().setUp()
        self.session = record(self.data, [])
        self.patch(peer, "myself", lambda: "uid 7 (bob)")

    async def refused(self, why: str, command: click.Command, *arguments: str) -> None:
        before = self.files()
        status, out, err = await self.hoopx(command, *arguments)
        self.assertEqual((status, out), (2, ""), (arguments, err))
        self.assertIn(why, err, arguments)
        self.assertNotIn("Traceback", err)
        self.assertEqual(self.files(), before)

    def files(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.data.rglob("*") if path.is_file()}

    async def test_noText(self) -> None:
        for command, *arguments in (
            (sessions, "tag", self.session, NO_TEXT),
            (sessions, "tag", self.session, "--remove", NO_TEXT),
            (sessions, "tag", NO_TEXT, "--list"),
            (sessions, "review", self.session, "--note", NO_TEXT),
            (tail, NO_TEXT),
            (kill, NO_TEXT),
            (kill, self.session, "--reason", NO_TEXT),
            (retention, "hold", self.session, "--reason", NO_TEXT),
            (retention, "hold", "--user", NO_TEXT, "--reason", "r"),
            (retention, "hold", "--label", f"a={NO_TEXT}", "--reason", "r"),
            (tokens, "issue", "--user", NO_TEXT),
            (tokens, "issue", "--user", "alice", "--group", NO_TEXT),
            (tokens, "issue", "--user", "alice", "--note", NO_TEXT),
            (tokens, "revoke", NO_TEXT),
            (tokens, "revoke", "--user", NO_TEXT),
            (targets, "--user", NO_TEXT),
            (verify, "--gateway", NO_TEXT),
        ):
            await self.refused("no text in UTF-8", command, *arguments)

    async def test_tooLong(self) -> None:
        await self.refused("at most", sessions, "review", self.session, "--note", "x" * (1 << 20))
        await self.refused("at most", retention, "hold", self.session, "--reason", "x" * (1 << 20))

    async def test_empty(self) -> None:
        """A variable that is not set in a script: to verify without the key that was meant would be no proof at all."""
        for option in ("--ledger-key", "--witness-key", "--checkpoint", "--remember", "--ledger", "--store"):
            await self.refused("it is empty", verify, option, "")
        await self.refused("it is empty", verify, "")
        await self.refused("it is empty", ledger, "show", "--directory", "")
        await self.refused("it is empty", retention, "hold", "--user", "", "--reason", "r")
        await self.refused("it is empty", tokens, "revoke", "--user", "")

    async def test_errorsAreHarmless(self) -> None:
        """What was said is repeated in errors, and does nothing to the terminal there."""
        for command, *arguments in ((verify, "\x1b]0;x\x07"), (sessions, "\x9b2J"), (sessions, "show", "--\x1b]0;x\x07")):
            status, _, err = await self.hoopx(command, *arguments)
            self.assertEqual(status, 2)
            self.assertEqual([letter for letter in err if not letter.isprintable() and letter != "\n"], [], arguments)

    async def test_keptAsSaid(self) -> None:
        """Lines and characters that are text stay what they are, and are shown so that they do nothing."""
        note = "caf\u00e9\n\x1b[2J\u202e"
        self.assertEqual((await self.hoopx(sessions, "review", self.session, "--note", note))[0], 0)
        _, out, _ = await self.hoopx(sessions, "review", self.session, "--list", "--json")
        self.assertEqual(json.loads(out)[0]["note"], note)
        _, out, _ = await self.hoopx(sessions, "review", self.session, "--list")
        self.assertIn("caf\u00e9\\n\\x1b[2J\\u202e", out)
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        self.assertEqual(store.auditRows()[0]["details"], {"note": note})

    async def test_namesOfFiles(self) -> None:
        """A path that is no text, or steers a terminal, is told as one that does neither."""
        path = self.data / "a\x1b[2J\udcff.csv"
        status, _, err = await self.hoopx(sessions, "export", self.session, "--format", "csv", "-o", str(path))
        self.assertEqual(status, 0, err)
        self.assertIn("a\\x1b[2J\\udcff.csv", err)
        self.assertTrue(path.exists())
