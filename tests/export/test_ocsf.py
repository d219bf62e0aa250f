"""OCSF: the attributes that its classes require, and what became of each command."""

from __future__ import annotations

import json
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from twisted.trial.unittest import SynchronousTestCase

from hoopx.export import ocsf
from hoopx.export.ocsf import SESSION, Events
from hoopx.frames import EVENT, pack
from hoopx.protocols.postgres.messages import query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.values import CLIENT, PASSED, TARGET, Frame
from tests.export.forged import Told, foreign, told
from tests.export.recorded import HEADER, frames, written
from tests.protocols.postgres.playbook import READY, complete, copyData, error

CLASSES = {3002: "authentication", 6005: "datastore_activity"}


@cache
def schema():
    return get_ocsf_schema(ocsf.VERSION)


@cache
def validator(kind, profiles):
    return Draft202012Validator(OcsfJsonSchemaEmbedded(schema()).get_class_schema(CLASSES[kind], list(profiles)))


def siblings(attributes, value, where=""):
    """What does not call a number as the schema does: C{activity_id} 4 is the C{activity_name} "Query"."""
    for name, said in value.items():
        known = attributes.get(name)
        if known is None or name == "unmapped":
            continue
        if isinstance(said, dict):
            yield from siblings(schema()["objects"][known["object_type"]]["attributes"], said, f"{where}{name}.")
        other = value.get(known.get("sibling") or "")
        if other is not None and said != 99 and other != known["enum"].get(str(said), {}).get("caption"):
            yield f"{where}{name}: {said} is not {other!r}"


def complaints(event):
    kind, profiles = event["class_uid"], tuple(event["metadata"].get("profiles", ()))
    told = schema()["classes"][CLASSES[kind]]
    found = [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in validator(kind, profiles).iter_errors(event)]
    found += [f"no profile of {CLASSES[kind]}: {name}" for name in profiles if name not in told["profiles"]]
    return found + list(siblings(told["attributes"], event))


def events(found=None, **head):
    return [json.loads(line) for line in written(Events({**HEADER, **head}, PostgresView(), "1.0"), found).splitlines()]


class EventTests(SynchronousTestCase):
    def valid(self, found):
        for event in found:
            self.assertEqual(complaints(event), [], event)
            self.assertEqual(event["type_uid"], event["class_uid"] * 100 + event["activity_id"])
        self.assertEqual(len({event["metadata"]["uid"] for event in found}), len(found))
        return {event["type_uid"] for event in found}

    def test_schema(self):
        """Every kind of event is as the schema has it: attributes, types, required ones, enumerations and their names."""
        kinds = self.valid(events())
        copied = [
            (CLIENT, PASSED, query(b"copy t from stdin")), (TARGET, PASSED, b"G\0\0\0\x07\0\0\0"), (CLIENT, PASSED, copyData(b"1\n") + b"c\0\0\0\x04"),
            (TARGET, PASSED, complete("COPY 1") + READY), (CLIENT, PASSED, query(b"update t set a = 1")),
        ]  # fmt: skip
        kinds |= self.valid(events(frames(copied)))
        refused = Frame(10**9, 2, 0, EVENT, 0, 0, 0, pack({"event": "policy", "verdict": "refused", "code": "3D000"}))
        kinds |= self.valid(events([refused]))
        kinds |= self.valid(events(identity={"name": "robot", "kind": "agent"}, actor="ci", client="unix:0", database=None))
        self.valid(events(client="2001:db8::7:50123"))
        self.assertEqual(kinds, {300201, 300202, 600502, 600503, 600504, 600505, 600507})

    def test_complaints(self):
        """What the schema is asked, it answers."""
        (first, *_, last) = [event for event in events() if event["class_uid"] == 6005]
        for change in (
            {"action_id": 17}, {"time": "now"}, {"sevrity": 1}, {"actor": {}}, {"activity_name": "Quary"},
            {"metadata": {**first["metadata"], "profiles": []}}, {"src_endpoint": {"ip": "nobody"}},
        ):  # fmt: skip
            self.assertEqual(len(complaints({**first, **change})) > 0, True, change)
        self.assertTrue(complaints({name: value for name, value in last.items() if name != "action_id"}))

    def test_long(self):
        """A text longer than the schema allows is cut; the statement as a whole is kept beside it."""
        long = b"select '" + b"x" * 70_000 + b"'"
        found = events(frames([(CLIENT, PASSED, query(long)), (TARGET, PASSED, error("22000", "y" * 70_000) + READY)]))
        self.valid(found)
        (told,) = [event for event in found if "query_info" in event]
        self.assertEqual(told["unmapped"]["query_string"].encode(), long)
        self.assertEqual((len(told["query_info"]["query_string"]), len(told["status_detail"])), (65535, 65535))

    def test_longSession(self):
        """So is the id of a session that is none of ours: the event's own id begins with it."""
        found = events(session="x" * 70_000)
        self.valid(found)
        self.assertEqual({event["metadata"]["correlation_uid"] for event in found}, {"x" * SESSION})

    @given(foreign(), st.lists(told(), max_size=6))
    @settings(max_examples=60, deadline=None)
    def test_forged(self, head, items):
        """Whatever stands in HEAD and in events: valid events."""
        made = Events(head, Told(items), "1.0")
        lines = b"".join([made.feed(frame) for frame in frames(done=False)]) + made.finish()
        self.valid([json.loads(line, parse_constant=self.fail) for line in lines.splitlines()])

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
