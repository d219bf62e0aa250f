"""
L{hoopx.protocols.postgres.types}, C{numbers}, C{moments}: see also L{tests.protocols.postgres.test_view}, which compares them
with a real server's text.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from hoopx.protocols.postgres import types
from hoopx.protocols.postgres.types import value


def binary(oid: int, data: bytes) -> str | None:
    return value(oid, 1, data, "utf-8")


class TextTests(SynchronousTestCase):
    def test_null(self):
        self.assertIs(value(25, 0, None, "utf-8"), None)
        self.assertIs(value(23, 1, None, "utf-8"), None)

    def test_encoding(self):
        self.assertEqual(value(25, 0, b"\xe9", "iso8859-1"), "é")
        self.assertEqual(value(25, 0, b"a\xff", "utf-8"), "a\\xff")
        self.assertEqual(value(25, 1, b"\xe9", "iso8859-1"), "é")

    def test_anyText(self):
        self.assertEqual(value(99999, 0, b"(1,x)", "utf-8"), "(1,x)")


class BinaryTests(SynchronousTestCase):
    def test_unknown(self):
        for oid, data in ((99999, b"\0\1"), (23, b"\1"), (16, b"\2"), (25, b"\xff"), (2950, b"x"), (0, b"abc")):
            self.assertEqual(binary(oid, data), "\\x" + data.hex())

    def test_values(self):
        for oid, data, expected in (
            (16, b"\1", "t"),
            (23, b"\xff\xff\xff\xf8", "-8"),
            (26, b"\xff\xff\xff\xff", "4294967295"),
            (17, b"\xde\xad", "\\xdead"),
            (790, struct.pack(">q", -123), "-1.23"),
            (1082, struct.pack(">i", 0x7FFFFFFF), "infinity"),
            (1082, struct.pack(">i", 3_000_000), "10213-09-21"),
            (1700, struct.pack(">HhHH", 0, 0, 0xF000, 0), "-Infinity"),
            (1700, struct.pack(">HhHHH", 1, -2, 0x4000, 6, 1200), "-0.000012"),
            (701, struct.pack(">d", float("-inf")), "-Infinity"),
            (701, struct.pack(">d", -0.0), "-0"),
            (701, struct.pack(">d", 1e15), "1e+15"),
            (701, struct.pack(">d", 123456789012345.0), "123456789012345"),
            (700, struct.pack(">f", 3.4e38), "3.4e+38"),
            (869, bytes((3, 128, 0, 16)) + bytes(15) + b"\1", "::1"),
        ):
            self.assertEqual(binary(oid, data), expected)

    def test_hostileArrays(self):
        for data in (
            struct.pack(">iiI", 7, 0, 23),
            struct.pack(">iiIii", 1, 0, 23, 0x7FFFFFFF, 1),
            struct.pack(">iiIiiiiiiii", 4, 0, 23, *(0x7FFFFFFF, 1) * 4),
            struct.pack(">iiIiii", 1, 0, 23, 1, 1, 100),
            struct.pack(">iiIiii", 1, 0, 1007, 1, 1, 4) + b"\0\0\0\1",
        ):
            self.assertTrue(binary(1007, data).startswith(("\\x", "{")))

    def test_hostileNumeric(self):
        self.assertEqual(binary(1700, struct.pack(">HhHH", 0, 0x7FFF, 0, 0)), "0")
        self.assertEqual(binary(1700, struct.pack(">HhHHH", 1, 0, 0, 0, 10_000)), "\\x00010000000000002710")

    @given(some.sampled_from(sorted({*types._BINARY, *types._ARRAYS, 0})), some.binary(max_size=80))
    def test_anything(self, oid, data):
        self.assertIsInstance(binary(oid, data), str)

    @given(some.floats(allow_nan=False))
    def test_doubles(self, number):
        self.assertEqual(float(binary(701, struct.pack(">d", number))), number)

    @given(some.floats(width=32, allow_nan=False))
    def test_singles(self, number):
        text = binary(700, struct.pack(">f", number))
        self.assertEqual(struct.pack(">f", float(text)), struct.pack(">f", number))

    @given(some.dates())
    def test_dates(self, day):
        self.assertEqual(binary(1082, struct.pack(">i", (day - date(2000, 1, 1)).days)), day.isoformat())

    @given(some.datetimes())
    def test_timestamps(self, moment):
        microseconds = (moment - datetime(2000, 1, 1)) // timedelta(microseconds=1)
        expected = moment.isoformat(" ")
        if moment.microsecond:
            expected = expected.rstrip("0")
        self.assertEqual(binary(1114, struct.pack(">q", microseconds)), expected)

    @given(some.lists(some.one_of(some.none(), some.text()), min_size=1, max_size=6))
    def test_arrayQuoting(self, words):
        assume(not any(word and "\0" in word for word in words))
        parts = b"".join(
            struct.pack(">i", -1) if word is None else struct.pack(">i", len(word.encode())) + word.encode() for word in words
        )
        text = binary(1009, struct.pack(">iiIii", 1, 0, 25, len(words), 1) + parts)
        self.assertEqual(_split(text), words)


def _split(text):
    """A one-dimensional array's text back into its elements."""
    found, position = [], 1
    while position < len(text):
        if text[position] == '"':
            word, position = "", position + 1
            while text[position] != '"':
                position += text[position] == "\\"
                word += text[position]
                position += 1
            found.append(word)
            position += 2
        else:
            end = min(index for index in (text.find(",", position), text.find("}", position)) if index >= 0)
            found.append(None if text[position:end] == "NULL" else text[position:end])
            position = end + 1
    return found
