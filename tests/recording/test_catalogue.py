"""What recordings there are, read from the files alone."""

from __future__ import annotations

import json
import os

from hoopx.frames import CLOCK, DATA, DONE, HEAD, OPEN, RECOVERED, SEAL, START, encode, pack, segmentName
from hoopx.reading import readSession
from hoopx.recording import catalogue
from hoopx.recording.catalogue import Ambiguous, NotFound
from hoopx.recording.elsewhere import MARKER
from hoopx.recording.scan import TOTALS
from hoopx.values import CLIENT, PASSED, TARGET
from tests.recording.rig import KIB, Rig, crash, letGo
from tests.recording.test_writer import Base

HEADS = {
    "identity": {"name": "alice", "kind": "human"},
    "actor": None,
    "target": "orders",
    "account": "app",
    "protocol": "postgres",
    "client": "127.0.0.1:5",
}


class CatalogueTests(Base):
    def states(self, data):
        return [one.state for one in catalogue.sessions(data)]

    def test_life(self):
        rig = self.rig()
        recording = self.open(rig, HEADS)
        self.assertEqual(self.states(rig.data), ["opening"])
        recording.note("connected")
        self.assertEqual(self.states(rig.data), ["live"])
        recording.append(0, CLIENT, PASSED, b"12345")
        recording.append(0, TARGET, PASSED, b"123")
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual((one.ended, one.totals["bytes_from_client"], one.totals["bytes_from_target"]), (None, 5, 3))
        rig.ns += 3_000_000_000
        self.close(recording, "client-left")
        (one,) = catalogue.sessions(rig.data)
        started = rig.skew + 5.0
        self.assertEqual(
            one.line(),
            {
                "session": recording.session,
                "user": "alice",
                "kind": "human",
                "actor": None,
                "target": "orders",
                "account": "app",
                "protocol": "postgres",
                "client": "127.0.0.1:5",
                "started": started,
                "ended": started + 3,
                "state": "complete",
                "reason": "client-left",
                "bytes_from_client": 5,
                "bytes_from_target": 3,
            },
        )

    def test_recovered(self):
        rig = self.rig()
        recording, silent = self.open(rig, HEADS), self.open(rig, HEADS)
        recording.append(0, CLIENT, PASSED, b"x" * 100 * KIB)
        rig.advance(11)
        recording.append(0, CLIENT, PASSED, b"y")
        crash(recording), crash(silent)
        letGo(rig.store)
        self.assertEqual(
            sorted((one.state, one.reason) for one in catalogue.sessions(rig.data)), [("recovered", "interrupted")] * 2
        )
        self.successResultOf(Rig(rig.data).store.start())
        found = sorted(catalogue.sessions(rig.data), key=lambda one: one.reason)
        self.assertEqual({one.state for one in found}, {"recovered"})
        self.assertEqual([one.reason for one in found], ["never connected", "recovered"])
        self.assertEqual(found[1].totals["bytes_from_client"], 100 * KIB + 1)

    def test_rolledLive(self):
        rig = self.rig()
        recording = self.open(rig, HEADS)
        recording.append(0, CLIENT, PASSED, b"x" * 100 * KIB)
        rig.advance(12)
        self.assertIn(segmentName(0), os.listdir(recording.path))
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual((one.state, one.totals["bytes_from_client"], one.head["target"]), ("live", 100 * KIB, "orders"))

    def test_newestFirst(self):
        rig = self.rig()
        made = []
        for _ in range(5):
            made.append(self.open(rig).session)
            rig.ns += 86_400_000_000_000
        self.assertEqual([one.session for one in catalogue.sessions(rig.data)], made[::-1])
        self.assertEqual(list(catalogue.sessions(self.mktemp())), [])

    def test_find(self):
        rig = self.rig()
        first, second = self.open(rig), self.open(rig)
        self.assertEqual(catalogue.find(rig.data, first.session), first.path)
        self.assertEqual(catalogue.find(rig.data, second.session[:20].lower()), second.path)
        error = self.assertRaises(Ambiguous, catalogue.find, rig.data, first.session[:5])
        self.assertEqual(sorted(error.sessions), sorted([first.session, second.session]))
        self.assertRaises(NotFound, catalogue.find, rig.data, "7ZZZ")
        self.assertRaises(NotFound, catalogue.find, rig.data, "")
        self.assertEqual(len(list(catalogue.frames(rig.data, first.session))), 1)

    def test_forged(self):
        """A HEAD that says no time, or of nobody who it is, breaks no list: that session is damaged, and the others are told."""
        for head in (
            {"started": "x"}, {"started": float("nan")}, {"started": 10**400}, {"started": -1}, {"started": True}, {},
            {"started": 5, "identity": "x"}, {"started": 5, "protocol": []}, {"started": 5, "target": 7}, {"started": 5, "labels": ["a"]},
        ):  # fmt: skip
            rig = self.rig()
            self.close(self.open(rig, HEADS), "client-left")
            path = os.path.join(rig.data, "recordings", "2026", "01", "02", "01KE0000000000000000000000")
            os.makedirs(path)
            with open(os.path.join(path, segmentName(0)), "wb") as file:
                file.write(START + encode(0, 0, 0, HEAD, payload=pack(head)))
            self.assertEqual(sorted(one.line()["state"] for one in catalogue.sessions(rig.data)), ["complete", "damaged"])

    def test_forgedMarker(self):
        """The same of a session whose segments are in a store, and of which a marker tells."""
        summary = {"head": HEADS, "state": "complete", "started": 5.0, "ended": 6.0, "reason": "client-left", "totals": dict.fromkeys(TOTALS, 0)}
        for wrong, state in (
            ({}, "complete"), ({"head": "x"}, "damaged"), ({"head": {"identity": "x"}}, "damaged"), ({"head": {"labels": ["a"]}}, "damaged"),
            ({"started": "x"}, "damaged"), ({"started": float("nan")}, "damaged"),
        ):  # fmt: skip
            rig = self.rig()
            path = os.path.join(rig.data, "recordings", "2026", "01", "02", "01KE0000000000000000000000")
            os.makedirs(path)
            with open(os.path.join(path, MARKER), "w") as file:
                objects = {segmentName(0): "gw/0"}
                json.dump({"session": "01KE0000000000000000000000", "store": "s3:b", "objects": objects, "summary": {**summary, **wrong}}, file)
            self.assertEqual([one.line()["state"] for one in catalogue.sessions(rig.data)], [state], wrong)

    def test_damaged(self):
        """One that can not be read is listed, with the reason, and hides no other."""
        rig = self.rig()
        self.close(self.open(rig))
        recording = self.open(rig)
        with open(os.path.join(recording.path, OPEN), "r+b") as file:
            file.seek(50)
            file.write(b"XX")
        self.assertEqual(sorted(self.states(rig.data)), ["complete", "damaged"])

    def test_beginning(self):
        """A directory in which HEAD is not whole yet is no session yet."""
        rig = self.rig()
        recording = self.open(rig)
        os.truncate(os.path.join(recording.path, OPEN), 30)
        self.assertEqual(self.states(rig.data), [])
        os.remove(os.path.join(recording.path, OPEN))
        self.assertEqual(self.states(rig.data), [])

    def test_longReason(self):
        """DONE is found whatever stands around it."""
        rig = self.rig()
        recording = self.open(rig)
        pattern = bytes((0, 0, 0, 0, 8, 0, 0, 0))
        recording.append(0, CLIENT, PASSED, pattern * 500)
        self.close(recording, "x" * 5000)
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual((one.state, one.reason), ("complete", "x" * 5000))


    def test_forgedEnd(self):
        """A client that sends what looks like an end does not say how its session ended."""
        rig = self.rig()
        recording = self.open(rig)
        totals = dict.fromkeys(TOTALS, 0)
        recovered = encode(1, 10**6, 0, RECOVERED, payload=pack(totals))
        seal = encode(2, 10**6 + 1, 0, SEAL, payload=b"{}")
        recording.append(0, CLIENT, PASSED, recovered)
        recording.append(0, CLIENT, PASSED, recovered + seal)
        self.close(recording, "client-left")
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual((one.state, one.reason), ("complete", "client-left"))
        rig = self.rig()
        recording = self.open(rig)
        forged = encode(1, 10**6, 0, DONE, payload=pack(dict(totals, reason="forged")))
        recording.append(0, CLIENT, PASSED, forged)
        recording.append(0, CLIENT, PASSED, forged + seal)
        crash(recording)
        letGo(rig.store)
        self.successResultOf(Rig(rig.data).store.start())
        (one,) = catalogue.sessions(rig.data)
        self.assertEqual((one.state, one.reason), ("recovered", "recovered"))


class FollowTests(Base):
    def test_follow(self):
        """Every frame once, in order, through rolls and up to the end, however the steps fall."""
        for every in (1, 2, 7, 100):
            rig = self.rig(size=4 * KIB)
            recording = self.open(rig)
            follower = catalogue.follow(rig.data, recording.session)
            found = []
            for number in range(40):
                recording.append(0, CLIENT, PASSED, b"%d" % number * 500)
                rig.advance(1)
                if number % every == 0:
                    found += follower.step()
                    if every == 1:
                        self.assertEqual(follower.step(), [])
            self.close(recording)
            while (more := follower.step()) is not None:
                found += more
            follower.close()
            whole = list(readSession(recording.path))
            self.assertEqual(found, whole)
            self.assertGreater(len([f for f in whole if f.kind == CLOCK]), 1)
            self.assertEqual(len([f for f in whole if f.kind == DATA]), 40)
            self.assertGreater(len(os.listdir(recording.path)), 3)

    def test_little(self):
        """No more is read in one step than was asked for; C{behind} says that there was more."""
        rig = self.rig(size=64 * KIB)
        recording = self.open(rig)
        for _ in range(40):
            recording.append(0, CLIENT, PASSED, b"x" * 4096)
        follower = catalogue.follow(rig.data, recording.session)
        found = []
        for _ in range(100):
            step = follower.step(16 * KIB)
            self.assertLessEqual(sum(len(frame.payload) for frame in step), 32 * KIB)
            found += step
            if not follower.behind:
                break
        self.assertEqual(len([frame for frame in found if frame.kind == DATA]), 40)
        follower.close()

    def test_tornWrite(self):
        """A frame that is being written comes when it is whole."""
        rig = self.rig()
        recording = self.open(rig)
        follower = catalogue.follow(rig.data, recording.session)
        follower.step()
        recording.append(0, CLIENT, PASSED, b"abc")
        name = os.path.join(recording.path, OPEN)
        whole = open(name, "rb").read()
        os.truncate(name, len(whole) - 1)
        self.assertEqual(follower.step(), [])
        with open(name, "ab") as file:
            file.write(whole[-1:])
        self.assertEqual([f.payload for f in follower.step()], [b"abc"])
        follower.close()
