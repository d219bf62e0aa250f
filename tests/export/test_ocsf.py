"""OCSF: the attributes that its classes require, and what became of each command."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from hoopx.export import ocsf
from hoopx.export.ocsf import Events
from hoopx.frames import EVENT, pack
from hoopx.protocols.postgres.messages import query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.values import CLIENT, PASSED, Frame
from tests.export.recorded import HEADER, frames, written

REQUIRED = {
    "activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "src_endpoint",
}  # fmt: skip


def events(found=None, **head):
    return [json.loads(line) for line in written(Events({**HEADER, **head}, PostgresView(), "1.0"), found).splitlines()]


class EventTests(SynchronousTestCase):
    def test_required(self):
        found = events()
        for event in found:
            self.assertEqual(REQUIRED - event.keys(), set())
            self.assertEqual(event["class_uid"] // 1000, event["category_uid"])
            self.assertEqual(event["type_uid"], event["class_uid"] * 100 + event["activity_id"])
            self.assertEqual(event["metadata"]["version"], "1.3.0")
            self.assertEqual(event["metadata"]["product"]["vendor_name"], "hoopx")
            self.assertEqual(event["actor"]["user"]["name"], "alice")
            if event["class_uid"] == 6005:
                self.assertTrue(event["database"]["name"])
            else:
                self.assertTrue(event["user"]["name"] and event["service"]["name"])
        self.assertEqual(len({event["metadata"]["uid"] for event in found}), len(found))

    def test_story(self):
        found = [(event["type_uid"], event["status"]) for event in events()]
        self.assertEqual(
            found,
            [
                (300201, "Success"), (600503, "Success"), (600504, "Success"), (600507, "Failure"), (600505, "Success"),
                (300202, "Success"),
            ],
        )  # fmt: skip

    def test_commands(self):
        asked, refused, wrote = [event for event in events() if "query_info" in event]
        self.assertEqual((asked["query_info"]["query_string"], asked["duration"]), ("select 1 as a", 1000))
        self.assertEqual(asked["time"], 1_700_000_003_250)
        self.assertEqual((refused["action"], refused["disposition"], refused["severity"]), ("Denied", "Blocked", "Medium"))
        self.assertEqual(wrote["unmapped"]["rows"], 1)

    def test_refused(self):
        frame = Frame(10**9, 2, 0, EVENT, 0, 0, 0, pack({"event": "policy", "verdict": "refused", "code": "3D000"}))
        (event,) = events([frame])
        self.assertEqual((event["type_uid"], event["status"], event["status_detail"]), (300201, "Failure", "3D000"))

    def test_withoutResult(self):
        """A command whose result never came is told at the end, and never is there more waiting than is allowed."""
        self.assertEqual(events(frames([(CLIENT, PASSED, query(b"select 1"))]))[2]["status"], "Unknown")
        self.patch(ocsf, "WAITING", 2)
        made = Events(HEADER, PostgresView(), "1.0")
        for frame in frames([(CLIENT, PASSED, query(b"select 1"))] * 5, done=False):
            made.feed(frame)
            self.assertLessEqual(len(made._waiting), 2)

    def test_agent(self):
        first = events(identity={**HEADER["identity"], "kind": "agent"}, actor="robot", client="unix:0")[0]
        self.assertEqual((first["actor"]["app_name"], first["user"]["type"]), ("robot", "agent"))
        self.assertEqual(first["src_endpoint"], {"name": "unix socket"})
