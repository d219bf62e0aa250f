"""
The three voices of the command line.
"""

from __future__ import annotations

import json

import click
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli import output
from hoopx.errors import ConfigurationError, TargetFailed

ROWS = [
    {"user": "alice", "groups": ["a", "b"], "live": True, "more": 1},
    {"user": "e\x1b[2J\tvil\n", "groups": [], "live": False},
]


def run(function, *arguments):
    return CliRunner().invoke(click.Command("c", callback=lambda: function(*arguments)), [])


class OutputTests(SynchronousTestCase):
    def test_json(self) -> None:
        """JSON tells whole records, not only the columns of the table."""
        self.assertEqual(json.loads(run(output.show, ROWS, ["user"], True).output), ROWS)
        self.assertEqual(run(output.show, [], ["user"], True).output, "[]\n")

    def test_plain(self) -> None:
        """Without a terminal: tabs, with control characters made harmless, so that a line stays a line."""
        result = run(output.show, ROWS, ["user", "groups", "live", "absent"], False)
        self.assertEqual(
            result.output,
            "user\tgroups\tlive\tabsent\nalice\ta, b\tyes\t\ne\\x1b[2J\\tvil\\n\t\tno\t\n",
        )
        self.assertEqual(run(output.show, [], ["user"], False).output, "")

    def test_terminal(self) -> None:
        """On a terminal a table, in which a value is never markup."""
        self.patch(output, "onTerminal", lambda: True)
        result = run(output.show, [{"user": "[red]x[/red]"}], ["user"], False)
        self.assertIn("[red]x[/red]", result.output)

    @given(st.text())
    def test_harmless(self, text: str) -> None:
        self.assertFalse([c for c in output.harmless(text) if ord(c) < 32 or 0x7F <= ord(c) < 0xA0])

    def test_lines(self) -> None:
        result = run(output.lines, [{"at": 1}, {"at": 2}])
        self.assertEqual([json.loads(line) for line in result.output.splitlines()], [{"at": 1}, {"at": 2}])

    def test_fail(self) -> None:
        result = run(output.fail, "no such token")
        self.assertEqual((result.exit_code, result.stderr, result.stdout), (1, "hoopx: no such token\n", ""))

    def test_complain(self) -> None:
        self.assertEqual(run(output.complain, TargetFailed("down", hint="Up.")).stderr, "hoopx: down\n       Up.\n")
        several = ConfigurationError("two")
        several.errors = [ConfigurationError("one", "x", "k", 1), ConfigurationError("two", "x", "l", 2)]
        self.assertEqual(
            run(output.complain, several).stderr, "hoopx: x:1: k: one\nhoopx: x:2: l: two\nhoopx: 2 errors in the configuration\n"
        )
