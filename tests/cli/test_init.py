"""
A configuration to begin with.
"""

from __future__ import annotations

import stat
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.init import TEMPLATE
from hoopx.cli.main import cli
from hoopx.config import load, parse, unreadable, unsupported


class InitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.path = self.folder / "deep" / "hoopx.toml"

    def run_(self, *arguments: str):
        return CliRunner().invoke(cli, ["--config", str(self.path), *arguments])

    def test_written(self) -> None:
        """What is written has no errors, and its folders are the owner's alone."""
        result = self.run_("init")
        self.assertEqual(result.exit_code, 0, result.output)
        settings = load(self.path)
        self.assertEqual((unsupported(settings), unreadable(settings)), ([], []))
        for name in ("data", "secrets"):
            self.assertEqual(stat.S_IMODE((self.path.parent / name).stat().st_mode), 0o700)
        self.assertIn(f"twistd -n hoopx --config {self.path}", result.output)

    def test_notTwice(self) -> None:
        self.run_("init")
        self.path.write_text("[gateway]\nname = 'mine'\n")
        result = self.run_("init")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("is there already; --force replaces it", result.output)
        self.assertEqual(load(self.path).gateway.name, "mine")
        self.assertEqual(self.run_("init", "--force").exit_code, 0)
        self.assertEqual(self.path.read_text(), TEMPLATE)

    def test_foldersAreClosed(self) -> None:
        """A folder that was there and open to others is closed."""
        (self.path.parent / "secrets").mkdir(parents=True, mode=0o755)
        self.run_("init")
        self.assertEqual(stat.S_IMODE((self.path.parent / "secrets").stat().st_mode), 0o700)

    def test_impossible(self) -> None:
        self.folder.write_text("a file where a folder should be")
        result = self.run_("init")
        self.assertEqual(result.exit_code, 1)
        self.assertIn(str(self.folder), result.output)
        self.assertNotIn("Traceback", result.output)

    def test_strangePath(self) -> None:
        """What is printed does nothing to a terminal, and no locale stands in its way."""
        path = self.folder / "a\x1b[2J b\udcff" / "hoopx.toml"
        path.parent.mkdir(parents=True)
        result = CliRunner().invoke(cli, ["--config", str(path), "init"])
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual([letter for letter in result.output if not letter.isprintable() and letter != "\n"], [])
        self.assertTrue(path.exists())

    def test_comments(self) -> None:
        """The example in the comments is right, too: with its signs of comment taken away it loads."""
        lines = []
        for line in TEMPLATE.splitlines():
            code = (
                line[2:] if line.startswith("# ") and ("=" in line or "[" in line) and not line.startswith("# Secrets") else line
            )
            lines.append(code)
        settings = parse("\n".join(lines), str(self.path))
        self.assertEqual(list(settings.targets), ["orders"])
        self.assertEqual([grant.name for grant in settings.grants], ["analysts read orders"])
        self.assertEqual(settings.tls.certificate, str(self.path.parent / "gateway.pem"))
        self.assertEqual(unsupported(settings), [])
