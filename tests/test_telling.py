"""
L{hoopx.telling}
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from hoopx import telling
from hoopx.frames import CHECK, DATA, DONE, EVENT, RECOVERED
from hoopx.protocols.raw.view import RawView
from hoopx.values import CLIENT, PASSED, Command, FileTransfer, Frame, Notice, Result


def frame(kind: int, payload: bytes, at: int = 1_500_000_000, sequence: int = 7) -> Frame:
    return Frame(at, sequence, 2, kind, 0, 0, 0, payload)


class NoticeTests(SynchronousTestCase):
    def test_event(self):
        for key in ("kind", "event"):
            found = telling.notice(frame(EVENT, json.dumps({key: "verdict", "guard": "g"}).encode()))
            self.assertEqual(found, Notice(1.5, 2, "verdict", {"guard": "g"}, 7))

    def test_end(self):
        self.assertEqual(telling.notice(frame(DONE, b'{"reason":"idle"}')), Notice(1.5, 2, "done", {"reason": "idle"}, 7))
        self.assertEqual(telling.notice(frame(RECOVERED, b"{}")), Notice(1.5, 2, "recovered", {}, 7))

    def test_silent(self):
        self.assertIs(telling.notice(frame(CHECK, b"{}")), None)

    def test_garbage(self):
        for payload in (b"", b"[]", b"\xff", b"{"):
            self.assertEqual(telling.notice(frame(EVENT, payload)).event, "undecodable")


class TellTests(SynchronousTestCase):
    def test_command(self):
        told = telling.tell(Command(1.0, 0, "sql", "select", ("1", None), "block", "g", 3, {"number": 1, "kind": "not ours"}))
        self.assertEqual(
            told,
            {
                "at": 1.0, "kind": "command", "channel": 0, "sequence": 3, "type": "sql", "text": "select",
                "parameters": ["1", None], "verdict": "block", "guard": "g", "number": 1,
            },
        )  # fmt: skip

    def test_result(self):
        told = telling.tell(Result(2.0, 0, ["a"], 1, "SELECT 1", None, 0.1 + 0.2, (("x",),), 4))
        self.assertEqual((told["kind"], told["columns"], told["sample"], told["duration"]), ("result", ["a"], [["x"]], 0.3))

    def test_file(self):
        told = telling.tell(FileTransfer(2.0, 0, "copy in", "STDIN", 5, "00", 4))
        self.assertEqual((told["kind"], told["operation"], told["bytes"], told["sha256"]), ("file", "copy in", 5, "00"))

    def test_event(self):
        """An event's fields do not take the place of its own."""
        told = telling.tell(Notice(2.0, 1, "tls", {"kind": "x", "at": "y", "side": "client"}, 4))
        self.assertEqual(told, {"at": 2.0, "kind": "event", "channel": 1, "sequence": 4, "event": "tls", "side": "client"})

    def test_lines(self):
        found = list(telling.lines([Frame(0, 1, 0, DATA, CLIENT, PASSED, 0, b"hi")], RawView()))
        self.assertEqual([line["text"] for line in found], ["hi"])
