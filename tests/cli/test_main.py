"""
The front of the command line: what it lists, what it refuses, how it ends.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli import main as front
from hoopx.cli.main import COMMANDS, Lazy, LazyGroup, cli
from hoopx.cli.place import Place, pass_place
from hoopx.errors import ConfigurationError, TargetFailed


@click.command()
@pass_place
def where(place: Place) -> None:
    click.echo(place.path)


@click.command()
def wrong() -> None:
    raise ConfigurationError("is not so", path="x.toml", key="a.b", line=3)


@click.command()
def down() -> None:
    raise TargetFailed("orders can not be reached", hint="Start it.")


@click.command()
def unwritable() -> None:
    from sqlalchemy.exc import InternalError

    raise InternalError("INSERT INTO audit", {"note": "hunter2"}, Exception("a read-only transaction\nDETAIL: hunter2"))


@click.command()
def denied() -> None:
    raise click.exceptions.Exit(1)


@click.command()
def piped() -> None:
    raise click.Abort()


@click.command()
def closed() -> None:
    raise PermissionError(13, "Permission denied", "/data/index.sqlite")


class FrontTests(SynchronousTestCase):
    def setUp(self) -> None:
        trials = {name: Lazy(f"tests.cli.test_main:{name}", "") for name in ("where", "wrong", "down", "denied", "piped", "closed", "unwritable")}
        self.patch(cli, "_lazy", {**COMMANDS, **trials})

    def end(self, *arguments: str) -> object:
        return self.assertRaises(SystemExit, front.main, arguments).code

    def test_helpImportsNothing(self) -> None:
        """C{hoopx --help} names every command without importing one of them, nor rich, nor a reactor."""
        code = (
            "import sys, contextlib\n"
            "from hoopx.cli.main import main\n"
            "with contextlib.suppress(SystemExit): main(['--help'])\n"
            "slow = [name for name in sys.modules if name.startswith(('rich', 'sqlalchemy', 'twisted.internet'))]\n"
            "assert not slow, slow\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
        )
        self.assertEqual(done.stderr, "")
        for name in COMMANDS:
            self.assertIn(f"\n  {name} ", done.stdout)

    def test_configOption(self) -> None:
        """The option wins over the environment, which wins over ./hoopx.toml."""
        runner = CliRunner()
        self.assertEqual(runner.invoke(cli, ["where"], env={"HOOPX_CONFIG": None}).output, "hoopx.toml\n")
        self.assertEqual(runner.invoke(cli, ["where"], env={"HOOPX_CONFIG": "e.toml"}).output, "e.toml\n")
        self.assertEqual(runner.invoke(cli, ["--config", "o.toml", "where"], env={"HOOPX_CONFIG": "e.toml"}).output, "o.toml\n")

    def test_unknownCommand(self) -> None:
        result = CliRunner().invoke(cli, ["tokn"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("There is no command 'tokn'. Did you mean 'tokens'?", result.output)

    def test_statuses(self) -> None:
        """0 done, 1 no, 2 usage or configuration."""
        self.assertEqual(self.end("where"), 0)
        self.assertEqual(self.end("denied"), 1)
        self.assertEqual(self.end("down"), 1)
        self.assertEqual(self.end("piped"), 1)
        self.assertEqual(self.end("wrong"), 2)
        self.assertEqual(self.end("--nonsense"), 2)
        self.assertEqual(self.end("where", "superfluous"), 2)

    def test_database(self) -> None:
        """Whatever it is that a database refuses, people are told what it says, and not what was to be written."""
        with contextlib.redirect_stderr(io.StringIO()) as err, self.assertRaises(SystemExit) as ended:
            front.main(["unwritable"])
        self.assertEqual(ended.exception.code, 1)
        self.assertEqual(err.getvalue(), "hoopx: the database can not be used: a read-only transaction\n")

    def test_closed(self) -> None:
        """Somebody else's files are no traceback."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(self.end("closed"), 1)
        self.assertIn("hoopx: /data/index.sqlite: Permission denied\n", said.getvalue())
        self.assertIn("gateway's own user", said.getvalue())

    def test_version(self) -> None:
        import hoopx

        self.assertEqual(CliRunner().invoke(cli, ["--version"]).output, f"hoopx, version {hoopx.__version__}\n")

    def test_lazyGroupImportsOnUse(self) -> None:
        group = LazyGroup("g", commands={"where": Lazy("tests.cli.test_main:where", "")})
        context = click.Context(group)
        self.assertIs(group.get_command(context, "where"), where)
        self.assertIdentical(group.get_command(context, "other"), None)
