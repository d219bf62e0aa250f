"""
C{hoopx targets}.
"""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.main import cli
from tests.config.test_unsupported import ALLOWED


class TargetsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.path.write_text(ALLOWED)

    def targets(self, *arguments: str):
        return CliRunner().invoke(cli, ["--config", str(self.path), "targets", *arguments])

    def test_all(self) -> None:
        orders, legacy = json.loads(self.targets("--json").stdout)
        self.assertEqual(
            orders,
            {
                "target": "orders",
                "protocol": "postgres",
                "endpoint": "tcp:db:5432",
                "accounts": ["app", "b"],
                "database": "orders",
                "labels": {"env": "prod"},
                "grants": ["g"],
            },
        )
        self.assertEqual((legacy["target"], legacy["accounts"], legacy["database"], legacy["grants"]), ("legacy", [], None, []))

    def test_visible(self) -> None:
        """What somebody may use, with the accounts that are allowed and no others."""
        (row,) = json.loads(self.targets("--json", "--user", "alice", "--group", "a").stdout)
        self.assertEqual((row["target"], row["accounts"], row["grants"]), ("orders", ["app"], ["g"]))
        self.assertEqual(self.targets("--json", "--user", "alice").stdout, "[]\n")

    def test_plain(self) -> None:
        lines = self.targets().stdout.splitlines()
        self.assertEqual(lines[1].split("\t")[:4], ["orders", "postgres", "tcp:db:5432", "app, b"])

    def test_wrongConfiguration(self) -> None:
        self.path.write_text("x = 1\n")
        result = self.targets()
        self.assertIn("unknown key", str(result.exception))
