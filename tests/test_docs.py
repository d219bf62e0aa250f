"""
The documentation says what is.
"""

import re
import sys
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.main import cli
from tests.packaging import ROOT

sys.path.append(str(ROOT / "docs"))

import clidoc

PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted((ROOT / "docs").rglob("*.rst"))]


def said(page: Path) -> list[str]:
    """Command lines of hoopx that a page shows."""
    lines = [line.strip().removeprefix("$ ") for line in page.read_text().splitlines() if line.startswith("    ")]
    return [line for line in lines if re.match(r"hoopx (?!-- )\S", line)]


class CommandLineTests(SynchronousTestCase):
    def test_reference(self) -> None:
        """The reference is the commands'. When not: python docs/clidoc.py > docs/reference/cli.rst"""
        self.assertEqual((ROOT / "docs/reference/cli.rst").read_text(), clidoc.page())

    def test_shown(self) -> None:
        """Every command that a page shows is there, with the options that it shows."""
        checked = 0
        for page in PAGES:
            if page.name == "cli.rst":
                continue
            for line in said(page):
                words = line.partition(" && ")[0].split()[1:]
                group: click.Command = cli
                context = click.Context(cli)
                while words and isinstance(group, click.Group):
                    if words[0] == "--config":
                        del words[:2]
                        continue
                    found = group.get_command(context, words.pop(0).strip(","))
                    self.assertIsNotNone(found, f"{page.name}: {line}")
                    group = found  # type: ignore[assignment]
                before = words[: words.index("--")] if "--" in words else words
                known = {name for each in group.params for name in (*each.opts, *each.secondary_opts)}
                for word in before:
                    if re.fullmatch(r"--[a-z][a-z-]*", word):
                        self.assertIn(word, known | {"--help"}, f"{page.name}: {line}")
                checked += 1
        self.assertGreater(checked, 8)
