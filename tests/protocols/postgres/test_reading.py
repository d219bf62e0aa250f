"""
L{hoopx.protocols.postgres.reading}
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres import reading
from hoopx.protocols.postgres.messages import message
from tests.protocols.postgres.playbook import bind, columns, error, parameterTypes, parse, row

READERS = (
    reading.parse, reading.bind, reading.named, reading.function, reading.parameterDescription, reading.dataRow, reading.value,
    reading.notification, lambda raw: reading.rowDescription(raw, "utf-8"), lambda raw: reading.fields(raw, "utf-8"),
)  # fmt: skip


class ReadingTests(SynchronousTestCase):
    def test_roundTrips(self):
        self.assertEqual(reading.parse(parse("select", "s", (23, 0))), (b"s", b"select", [23, 0]))
        self.assertEqual(
            reading.bind(bind(b"x", None, portal="p", name="s", formats=(0, 1), results=(1,))),
            reading.Bound(b"p", b"s", (0, 1), (b"x", None), (1,)),
        )
        self.assertEqual(reading.rowDescription(columns("a", types=(23,), format=1), "utf-8"), [reading.Column("a", 23, 1)])
        self.assertEqual(reading.dataRow(row(b"1", None, b"")), (b"1", None, b""))
        self.assertEqual(reading.parameterDescription(parameterTypes(1, 2)), [1, 2])
        self.assertEqual(reading.fields(error("42601", "no"), "utf-8"), {"severity": "ERROR", "code": "42601", "message": "no"})

    @given(some.sampled_from(READERS), some.binary(max_size=60))
    def test_anything(self, reader, body):
        try:
            reader(message(b"?", body))
        except ProtocolViolation:
            pass

    @given(some.sampled_from(READERS), some.binary(min_size=20, max_size=60), some.integers(5, 20))
    def test_clipped(self, reader, body, end):
        try:
            reader(message(b"?", body)[:end])
        except ProtocolViolation:
            pass
