"""
L{hoopx.protocols.raw.view}
"""

from __future__ import annotations

from ast import literal_eval

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from hoopx.frames import DATA, DONE
from hoopx.interfaces import ISessionView
from hoopx.protocols.raw.view import RawView, visible
from hoopx.values import ATTEMPTED, CLIENT, MADE, ORIGINAL, PASSED, TARGET, Frame, Notice, Output


class RawViewTests(SynchronousTestCase):
    def test_interface(self):
        verifyClass(ISessionView, RawView)
        verifyObject(ISessionView, RawView())

    def test_conversation(self):
        view = RawView()
        steps = [
            (CLIENT, PASSED, b"PING\r\n", "client", "PING\\r\n"),
            (TARGET, PASSED, b"\x1b[2J\xc3\xa9\\", "target", "\\x1b[2J\\xc3\\xa9\\\\"),
            (CLIENT, ATTEMPTED, b"no", "client (not forwarded)", "no"),
            (TARGET, MADE, b"refused", "target (gateway)", "refused"),
        ]
        for number, (side, origin, data, stream, text) in enumerate(steps, 1):
            frame = Frame(number * 500_000_000, number, 3, DATA, side, origin, 0, data)
            self.assertEqual(view.feed(frame), [Output(number / 2, 3, stream, text, number)])
        self.assertEqual(view.finish(), [])

    def test_others(self):
        view = RawView()
        self.assertEqual(view.feed(Frame(0, 1, 0, DATA, CLIENT, ORIGINAL, 0, b"sealed")), [])
        self.assertEqual(
            view.feed(Frame(2_000_000_000, 2, 0, DONE, 0, 0, 0, b'{"reason":"idle"}')),
            [Notice(2.0, 0, "done", {"reason": "idle"}, 2)],
        )

    @given(some.binary())
    def test_nothingIsLost(self, data):
        text = visible(data)
        self.assertEqual(literal_eval("b'''" + text.replace("'", "\\'") + "'''"), data)
        self.assertTrue(all(letter == "\n" or 0x20 <= ord(letter) < 0x7F for letter in text))
