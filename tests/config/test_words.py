"""
How errors speak.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config.words import dotted, keyOf, nearest, shown


class WordsTests(SynchronousTestCase):
    def test_keyOf(self) -> None:
        for attribute, key in [
            ("idleTimeout", "idle_timeout"),
            ("requireTLS", "require_tls"),
            ("allow_md5", "allow_md5"),
            ("s3", "s3"),
        ]:
            self.assertEqual(keyOf(attribute), key)

    def test_dotted(self) -> None:
        self.assertEqual(dotted(("grants", 0, "users", 2)), "grants[0].users[2]")
        self.assertEqual(dotted(("targets", "a.b", 'c"\n')), 'targets."a.b"."c\\"\\n"')

    def test_shown(self) -> None:
        for value, path, text in [
            ("30", ("idle_timeout",), '"30"'),
            ("30", ("password",), "a text"),
            (30, ("password",), "a number"),
            ("hx_0", ("idle_timeout",), "a text"),
            ("x y " * 40, ("a",), '"' + "x y " * 15 + '..."'),
            ("\x1b[2J", ("a",), '"\\x1b[2J"'),
            (True, ("a",), "true"),
            ([1], ("a",), "a list"),
            ({}, ("a",), "a table"),
        ]:
            self.assertEqual(shown(value, path), text)

    def test_nearest(self) -> None:
        known = ["idle_timeout", "login_timeout", "name"]
        self.assertEqual(nearest("idel_timeout", known), 'did you mean "idle_timeout"?')
        self.assertEqual(nearest("loginTimeout", known), 'did you mean "login_timeout"?')
        self.assertEqual(nearest("zzz", known), "there are: idle_timeout, login_timeout, name")
        self.assertEqual(nearest("zzz", []), "there are none")

    @given(st.text(), st.lists(st.text()))
    def test_anything(self, name: str, known: list) -> None:
        self.assertIsInstance(nearest(name, known), str)
        self.assertTrue(shown(name, (name,)).isprintable())
