"""
L{hoopx.cli.rendering}
"""

from __future__ import annotations

import io
import unicodedata
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.rendering import Paper, Screen, exhibit, lasting, moment, plain, quantity, shown

COMMAND = {
    "at": 61.5, "kind": "command", "number": 1, "text": "select *\nfrom t where a = $1 and b = $2", "parameters": ["it's", None],
    "verdict": "allow", "guard": None,
}  # fmt: skip
RESULT = {
    "at": 62.0, "kind": "result", "columns": ["a", "漢字"], "rows": 30, "tag": "SELECT 30", "error": None, "duration": 0.0123,
    "sample": [["1", "x"], [None, "y" * 100]],
}  # fmt: skip


def paper(*lines: dict[str, Any]) -> list[str]:
    return [text for line in lines for text in plain(shown(line))]


def screen(*lines: dict[str, Any]) -> str:
    file = io.StringIO()
    out = Screen(Console(file=file, force_terminal=True, color_system="truecolor", width=100))
    for line in lines:
        out.show(shown(line))
    return file.getvalue()


class PlainTests(SynchronousTestCase):
    def test_statement(self) -> None:
        self.assertEqual(
            paper(COMMAND, RESULT),
            [
                " 01:01.500  #1 select *",
                "            from t where a = $1 and b = $2",
                "            $1 = 'it''s'",
                "            $2 = NULL",
                "            a    | 漢字",
                "            -----+-" + "-" * 60,
                "            1    | x",
                "            NULL | " + "y" * 59 + "…",
                "            (30 rows, the first 2 are shown · SELECT 30 · 12.3 ms)",
            ],
        )

    def test_error(self) -> None:
        error = {"severity": "ERROR", "code": "42601", "message": "no", "hint": "try\x1b[2J"}
        self.assertEqual(
            paper({**RESULT, "error": error}),
            ["            ERROR 42601: no", "            hint: try\\x1b[2J", "            (12.3 ms)"],
        )

    def test_pipeline(self) -> None:
        """A result that does not follow its command says whose it is."""
        first, second = ({**COMMAND, "number": number, "text": "x", "parameters": []} for number in (1, 2))
        results = [{**RESULT, "number": number, "columns": None, "sample": (), "tag": "T"} for number in (1, 2, 2)]
        found = [text.strip() for item in exhibit([first, second, *results]) for text in plain(item)]
        self.assertEqual(
            found,
            ["01:01.500  #1 x", "01:01.500  #2 x", "to #1:", "(T · 12.3 ms)", "to #2:", "(T · 12.3 ms)", "(T · 12.3 ms)"],
        )

    def test_refused(self) -> None:
        (_, text) = paper({**COMMAND, "text": "drop", "parameters": [], "verdict": "block", "guard": "g", "reason": "not here"})
        self.assertEqual(text.strip(), "REFUSED by g: not here")

    def test_others(self) -> None:
        self.assertEqual(
            paper(
                {"at": 0, "kind": "output", "stream": "client", "text": "PING\\r\nx\n"},
                {"at": 0, "kind": "file", "operation": "copy in", "path": "STDIN", "bytes": 2048, "sha256": "ab"},
                {"at": 0, "kind": "event", "event": "notice", "severity": "NOTICE", "code": "00000", "message": "hello"},
                {"at": 0, "kind": "event", "event": "done", "reason": "idle"},
                {"at": 0, "kind": "event", "event": "tls", "side": "client", "extra": None, "more": {"a": [1, "\x1b"]}},
            ),
            [
                " 00:00.000  client> PING\\r",
                "            client> x",
                " 00:00.000  copy in STDIN: 2.0 KiB, sha256 ab",
                " 00:00.000  NOTICE 00000: hello",
                " 00:00.000  end of the session: idle",
                " 00:00.000  tls side=client more={a: [1, \\x1b]}",
            ],
        )

    def test_paper(self) -> None:
        found: list[str] = []
        Paper(found.append).show(shown(COMMAND))
        self.assertEqual(len(found), 4)

    def test_units(self) -> None:
        self.assertEqual([lasting(value) for value in (0.00005, 0.5, 5, 3700)], ["50 µs", "500.0 ms", "5.00 s", "1:01:40.000"])
        self.assertEqual([quantity(value) for value in (0, 1023, 1536, 5 << 30)], ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"])
        self.assertEqual(moment(-1), "00:00.000")


WORDS = some.one_of(some.none(), some.text(), some.sampled_from(["\x1b[2J", "\x9b", "\u202e", "[red]", "\r", "x" * 200]))
NAMES = some.one_of(some.none(), some.lists(some.text(), max_size=3))
ERRORS = some.one_of(some.none(), some.dictionaries(some.sampled_from(["code", "message", "hint", "severity"]), WORDS))
LINES = some.one_of(
    some.fixed_dictionaries(
        {
            "kind": some.just("command"), "at": some.floats(0, 1e6), "text": WORDS, "parameters": some.lists(WORDS, max_size=3),
            "verdict": some.sampled_from(["allow", "block", "hold"]), "guard": WORDS, "reason": WORDS,
        }
    ),
    some.fixed_dictionaries(
        {
            "kind": some.just("result"), "at": some.floats(0, 1e6), "columns": NAMES,
            "rows": some.integers(0, 9), "tag": WORDS, "duration": some.floats(0, 1e6),
            "error": ERRORS,
            "sample": some.lists(some.lists(WORDS, max_size=3), max_size=2),
        }
    ),
    some.fixed_dictionaries({"kind": some.just("output"), "at": some.just(0.5), "stream": WORDS, "text": WORDS}),
    some.fixed_dictionaries(
        {"kind": some.just("file"), "operation": WORDS, "path": WORDS, "bytes": some.integers(0), "sha256": WORDS}
    ),
    some.dictionaries(some.sampled_from(["kind", "event", "at", "message", "x"]), WORDS),
)  # fmt: skip


class HostileTests(SynchronousTestCase):
    """An auditor's terminal is attacked by what targets and clients have said."""

    @given(LINES)
    def test_plain(self, line: dict[str, Any]) -> None:
        for text in paper(line):
            for letter in text:
                self.assertNotIn(unicodedata.category(letter), ("Cc", "Cf", "Cs", "Zl", "Zp"))

    @given(LINES)
    def test_screen(self, line: dict[str, Any]) -> None:
        """Whatever escapes there are on a terminal are rich's own colours."""
        import re

        rest = re.sub("\x1b\\[[0-9;]*m", "", screen(line))
        for letter in rest.replace("\n", ""):
            self.assertNotIn(unicodedata.category(letter), ("Cc", "Cf", "Cs", "Zl", "Zp"))

    def test_markup(self) -> None:
        text = screen({**COMMAND, "text": "[red]x[/red]"}, {**RESULT, "columns": ["[b]c"], "sample": [["[link=x]y"]]})
        for literal in ("[red]x[/red]", "[b]c", "[link=x]y"):
            self.assertIn(literal, text)
