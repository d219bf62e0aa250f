# -*- test-case-name: tests.protocols.raw.test_view -*-
"""
Reading a recording of which nothing is known but who spoke: bytes as text.
"""

from __future__ import annotations

from typing import Final

from zope.interface import implementer

from hoopx import telling
from hoopx.frames import DATA
from hoopx.interfaces import ISessionView
from hoopx.values import ATTEMPTED, MADE, ORIGINAL, SIDES, Frame, Notice, Output

_ESCAPES: Final = {byte: f"\\x{byte:02x}" for byte in (*range(0x20), *range(0x7F, 0x100))}
_ESCAPES.update({ord("\t"): "\\t", ord("\r"): "\\r", ord("\\"): "\\\\"})
del _ESCAPES[ord("\n")]


def visible(data: bytes) -> str:
    """Bytes as text that can be told back into bytes: newlines stay, whatever is not printable ASCII becomes an escape."""
    return data.decode("latin-1").translate(_ESCAPES)


@implementer(ISessionView)
class RawView:
    """One L{Output} a frame; its stream is who spoke, and says so when the other side never received it or got something else."""

    def feed(self, frame: Frame) -> list[Output | Notice]:
        if frame.kind != DATA:
            notice = telling.notice(frame)
            return [] if notice is None else [notice]
        if frame.origin == ORIGINAL:
            return []
        stream = SIDES.get(frame.side, "unknown")
        if frame.origin == ATTEMPTED:
            stream += " (not forwarded)"
        elif frame.origin == MADE:
            stream += " (gateway)"
        return [Output(telling.seconds(frame), frame.channel, stream, visible(frame.payload), frame.sequence)]

    def finish(self) -> list[Output | Notice]:
        return []
