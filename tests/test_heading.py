"""HEAD of recordings that anybody may have written."""

from __future__ import annotations

import json
from ipaddress import ip_address

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from hoopx.heading import LAST, believed, endpoint, mapping, moment, names, sound, text, within
from tests.export.forged import ADDRESSES, ANYTHING, TIMES


class HeadingTests(SynchronousTestCase):
    def test_moment(self):
        for value, wanted in [
            (1.5, 1.5), (7, 7.0), (0, 0.0), (LAST, LAST), (LAST + 1, 0.0), (-1, 0.0), (float("nan"), 0.0), (float("inf"), 0.0),
            (10**400, 0.0), ("7", 0.0), (True, 0.0), (None, 0.0), ([], 0.0),
        ]:  # fmt: skip
            self.assertEqual(moment(value), wanted, value)

    def test_believed(self):
        """What is listed has a time, and texts where they are looked for; what else is there is nobody's business here."""
        head = {"started": 7, "target": "orders", "labels": {"run": "7"}, "actor": [], "more": object()}
        self.assertIs(believed(head), head)
        for wrong in ({"started": None}, {"started": LAST + 1}, {"started": True}, {"target": 5}, {"labels": ["run"]}, {"identity": "x"}):
            self.assertRaises(ValueError, believed, {**head, **wrong})

    def test_within(self):
        for value, wanted in [(5.0, 5.0), (-5.0, 0.0), (1e300, LAST), (float("nan"), 0.0), (float("-inf"), 0.0)]:
            self.assertEqual(within(value), wanted)

    def test_text(self):
        for value, wanted in [
            ("a", "a"), ("", None), (None, None), (5, "5"), ([1], "[1]"), ("\ud800", "\\ud800"), ("abc", "ab"), (float("nan"), '"n'),
        ]:  # fmt: skip
            self.assertEqual(text(value, 2 if value in ("abc",) or value != value else 100), wanted)

    def test_endpoint(self):
        for value, wanted in [
            ("198.51.100.7:5", ("198.51.100.7", 5)), ("[2001:db8::7]:5", ("2001:db8::7", 5)), ("2001:db8::7:5", ("2001:db8::7", 5)),
            ("fe80::1%eth0:0", ("fe80::1", 0)), ("198.51.100.7:65536", None), ("198.51.100.7:-1", None), ("198.51.100.7:\u0661", None),
            ("unix:0", None), ("x", None), (None, None), (5, None), ({}, None), ("198.51.100.7:" + "9" * 5000, None),
        ]:  # fmt: skip
            self.assertEqual(endpoint(value), wanted and (ip_address(wanted[0]), wanted[1]), value)

    def test_shapes(self):
        self.assertEqual((mapping({"a": 1}), mapping([1]), mapping(None)), ({"a": 1}, {}, {}))
        self.assertEqual((names(["a", None, 5]), names("ab"), names(5), names(None)), (["a", "5"], [], [], []))

    def test_deep(self):
        value: list = []
        for _ in range(900):
            value = [value]
        self.assertLess(len(json.dumps(sound(value))), 100)

    @given(ANYTHING, TIMES, ADDRESSES)
    def test_anything(self, value, time, address):
        """Nothing raises, and what comes out can be said in JSON by the letter, and in UTF-8."""
        said = json.dumps([sound(value), text(value), names(value), moment(time)], allow_nan=False, ensure_ascii=False)
        said.encode()
        self.assertTrue(0 <= moment(time) <= LAST)
        found = endpoint(address)
        self.assertTrue(found is None or 0 <= found[1] <= 65535)
