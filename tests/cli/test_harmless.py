"""
L{hoopx.cli.harmless}
"""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.harmless import harmless


class HarmlessTests(SynchronousTestCase):
    def test_seen(self) -> None:
        for text, expected in (
            ("plain é 漢 [red]", "plain é 漢 [red]"),
            ("\x1b[2J\x07\x9b1m\x7f", "\\x1b[2J\\x07\\x9b1m\\x7f"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("user\u202enimda", "user\\u202enimda"),
            ("a\u200bb\ufeff\u2028", "a\\u200bb\\ufeff\\u2028"),
            ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ):
            self.assertEqual(harmless(text), expected)

    def test_keep(self) -> None:
        self.assertEqual(harmless("a\nb\x1b\t", "\n\t"), "a\nb\\x1b\t")

    @given(some.text())
    def test_nothingElse(self, text: str) -> None:
        for letter in harmless(text):
            self.assertNotIn(unicodedata.category(letter), ("Cc", "Cf", "Cs", "Zl", "Zp"))
