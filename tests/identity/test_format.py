from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.identity.format import digest, newToken, wellFormed

ZERO = newToken(bytes)


class FormatTests(SynchronousTestCase):
    def test_shape(self) -> None:
        """Written down: what secret scanners are told must stay true."""
        self.assertEqual(ZERO, "hx_" + "0" * 43 + ZERO[-6:])
        self.assertEqual(len(newToken(lambda n: b"\xff" * n)), 52)
        self.assertEqual(ZERO[-6:], "3H7vx4")

    @given(st.binary(min_size=32, max_size=32))
    def test_wellFormed(self, random: bytes) -> None:
        self.assertTrue(wellFormed(newToken(lambda n: random)))

    def test_distinct(self) -> None:
        self.assertEqual(len({newToken(os.urandom) for _ in range(1000)}), 1000)

    @given(st.integers(min_value=0, max_value=51), st.sampled_from("0aZ9-_ é"))
    def test_typingErrors(self, at: int, letter: str) -> None:
        token = newToken(lambda n: b"hoopx" * 6 + b"hx")
        wrong = token[:at] + letter + token[at + 1 :]
        self.assertEqual(wellFormed(wrong), wrong == token)

    @given(st.text())
    def test_anything(self, text: str) -> None:
        self.assertFalse(wellFormed(text))

    def test_ends(self) -> None:
        for wrong in (ZERO + "\n", " " + ZERO, ZERO[:-1], ZERO + "0", "", "hx_"):
            self.assertFalse(wellFormed(wrong), wrong)

    def test_digest(self) -> None:
        self.assertEqual(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        digest("\udcff")
