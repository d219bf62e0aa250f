"""
C{hoopx protocols}.
"""

from __future__ import annotations

import json

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from hoopx import registry
from hoopx.cli.main import cli


class ProtocolsTests(SynchronousTestCase):
    def test_json(self) -> None:
        rows = {row["name"]: row for row in json.loads(CliRunner().invoke(cli, ["protocols", "--json"]).stdout)}
        self.assertTrue({"postgres", "raw"} <= set(rows))
        self.assertEqual(rows["postgres"]["distribution"], "hoopx")
        self.assertEqual(len(rows["postgres"]["sha256"]), 64)

    def test_failures(self) -> None:
        """A drop-in that can not be loaded is told with its reason."""
        self.patch(registry, "failures", lambda: [("hoopx.plugins.acme", "ImportError: no acme")])
        result = CliRunner().invoke(cli, ["protocols"])
        self.assertIn("hoopx.plugins.acme can not be loaded: ImportError: no acme", result.stderr)
        self.assertIn("raw\t", result.stdout)
