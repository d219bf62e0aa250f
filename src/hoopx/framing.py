# -*- test-case-name: tests.test_door -*-
"""
Codecs that are no protocol's own.
"""

from __future__ import annotations

from zope.interface import implementer

from hoopx.interfaces import IWireCodec


@implementer(IWireCodec)
class PassCodec:
    """Bytes that nobody cuts: every feed is one run, and every point is a boundary."""

    __slots__ = ("interest",)

    atBoundary = wasAtBoundary = True
    buffered = 0

    def __init__(self) -> None:
        self.interest: frozenset = frozenset()

    def feed(self, data: bytes) -> list:
        return [(None, data)]

    def residue(self) -> bytes:
        return b""
