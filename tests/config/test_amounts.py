"""
Durations and sizes.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config.amounts import duration, size


class AmountTests(SynchronousTestCase):
    def test_durations(self) -> None:
        for text, seconds in [("10s", 10), ("30m", 1800), ("8h", 28800), ("365d", 31536000), ("3y", 94608000), ("250ms", 0.25)]:
            self.assertEqual(duration(text), seconds)

    def test_sizes(self) -> None:
        for text, count in [("1MiB", 1048576), ("64 KiB", 65536), ("2GB", 2000000000), ("0.5KiB", 512), ("7B", 7)]:
            self.assertEqual(size(text), count)

    def test_wrong(self) -> None:
        for text in ("", "10", "s", "-1s", "1e3s", "10 parsecs", "1mib", "1s ", "\u0661s", "1s\n", "inf s", "1h30m"):
            self.assertRaises(ValueError, duration, text)
            self.assertRaises(ValueError, size, text)

    @given(st.text(max_size=12))
    def test_anything(self, text: str) -> None:
        """A number or a ValueError, whatever is written."""
        for parse in (duration, size):
            try:
                self.assertGreaterEqual(parse(text), 0)
            except ValueError:
                pass
