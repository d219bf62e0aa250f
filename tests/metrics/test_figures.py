"""What is counted, and that labels stay few."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.interfaces import IEventSink
from hoopx.metrics.figures import OTHER, VALUES, Figures
from hoopx.values import CLIENT, MADE, PASSED, TARGET
from tests.recording.rig import KIB
from tests.recording.test_writer import Base

STATUS = {
    "version": "1.0", "uptime": 5.0, "sessions": 2, "disk": None, "draining": False, "listeners": [{"address": "x:1"}],
    "curator": {
        "state": "ready", "starts": 1, "waiting": 3, "processed": 40, "quarantined": {"count": 1, "sessions": []},
        "backlog": {"segments": 7, "bytes": 900, "oldest": 17.5},
        "ledger": {"size": 50, "signed": 49, "published": 48, "witnesses": [{"url": "https://w.example", "size": 47}]},
    },
}  # fmt: skip
STORED = {"open": 2, "unsealed": 1000, "age": 3.5, "free": 10**9, "refuseBelow": 10**8, "reserve": 10**7, "held": True}


def read(figures):
    """name, labels -> value"""
    found = {}
    for family in text_string_to_metric_families(figures.page().decode()):
        for sample in family.samples:
            found[(sample.name, *sorted(sample.labels.items()))] = sample.value
    return found


class FiguresTests(SynchronousTestCase):
    def figures(self, status=STATUS, stored=STORED):
        return Figures(lambda: status, lambda: stored, lambda: (300, 4000), lambda: 6)

    def test_interface(self):
        self.assertTrue(verifyObject(IEventSink, self.figures()))

    def test_asked(self):
        found = read(self.figures())
        for name, value in {
            "hoopx_sessions": 2, "hoopx_ready": 1, "hoopx_recording_possible": 1, "hoopx_audit_possible": 1, "hoopx_logins_failed_total": 6,
            "hoopx_recordings_open": 2, "hoopx_unsealed_bytes": 1000, "hoopx_unsealed_seconds": 3.5, "hoopx_disk_free_bytes": 1e9,
            "hoopx_disk_refuse_below_bytes": 1e8, "hoopx_disk_reserve_bytes": 1e7, "hoopx_disk_reserve_held": 1,
            "hoopx_curator_up": 1, "hoopx_curator_starts_total": 1, "hoopx_curator_waiting_sessions": 3,
            "hoopx_curator_segments_total": 40, "hoopx_quarantined_sessions": 1, "hoopx_store_backlog_segments": 7,
            "hoopx_store_backlog_bytes": 900, "hoopx_store_backlog_oldest_timestamp_seconds": 17.5, "hoopx_ledger_leaves": 50,
            "hoopx_ledger_signed_leaves": 49, "hoopx_ledger_witnessed_leaves": 48,
        }.items():  # fmt: skip
            self.assertEqual(found[name,], value, name)
        self.assertEqual(found["hoopx_bytes_total", ("side", "client")], 300)
        self.assertEqual(found["hoopx_bytes_total", ("side", "target")], 4000)
        self.assertEqual(found["hoopx_witness_leaves", ("witness", "https://w.example")], 47)
        self.assertEqual(found["hoopx_info", ("version", "1.0")], 1)
        self.assertIn(("process_open_fds",), found)

    def test_unknown(self):
        """What is not known has no number; what is missing breaks nothing."""
        found = read(self.figures({"curator": {}}, {}))
        self.assertNotIn(("hoopx_unsealed_bytes",), found)
        self.assertNotIn(("hoopx_store_backlog_bytes",), found)
        self.assertEqual((found["hoopx_curator_up",], found["hoopx_ready",]), (0, 0))
        self.assertNotIn(("hoopx_curator_up",), read(self.figures({"curator": None}, {})))

    def test_nobodyWitnesses(self):
        """Nothing is called witnessed where there are no witnesses."""
        ledger = {"size": 50, "signed": 49, "published": 49, "witnesses": []}
        found = read(self.figures({"curator": {"state": "ready", "ledger": ledger}}))
        self.assertEqual(found["hoopx_ledger_signed_leaves",], 49)
        self.assertNotIn(("hoopx_ledger_witnessed_leaves",), found)

    def test_unrecordable(self):
        """Not the disk alone: without the ledger there is no session either."""
        for curator in ({"state": "silent"}, {"state": "ready", "ledger": {"trouble": "No space left on device"}}):
            found = read(self.figures({**STATUS, "curator": curator}))
            self.assertEqual((found["hoopx_recording_possible",], found["hoopx_ready",]), (0, 0))

    def test_told(self):
        figures = self.figures()
        for kind, fields in (
            ("admitted", {"user": "alice", "target": "orders"}), ("ended", {"reason": "client-left", "user": "alice"}),
            ("ended", {"reason": "refused"}), ("ended", {"reason": "refused"}), ("blocked", {}), ("held", {}), ("held", {}),
            ("alarm", {"alarm": "disk", "message": "full"}), ("unheard", {}),
        ):  # fmt: skip
            figures.emit(kind, fields)
        figures.took(30_000)
        found = read(figures)
        self.assertEqual(found["hoopx_sessions_admitted_total",], 1)
        self.assertEqual(found["hoopx_sessions_ended_total", ("reason", "refused")], 2)
        self.assertEqual(found["hoopx_verdicts_total", ("verdict", "hold")], 2)
        self.assertEqual(found["hoopx_alarms_total", ("alarm", "disk")], 1)
        self.assertEqual(found["hoopx_recording_append_seconds_bucket", ("le", "2e-05")], 0)
        self.assertEqual(found["hoopx_recording_append_seconds_bucket", ("le", "5e-05")], 1)

    def test_fewLabels(self):
        """However many reasons there are, no more than a page holds; and no name of anybody."""
        figures = self.figures()
        for number in range(1000):
            figures.emit("ended", {"reason": f"reason {number}", "user": f"user {number}", "target": f"target {number}"})
        found = read(figures)
        reasons = {key[1][1]: value for key, value in found.items() if key[0] == "hoopx_sessions_ended_total"}
        self.assertEqual(len(reasons), VALUES + 1)
        self.assertEqual(reasons[OTHER], 1000 - VALUES)
        labels = {name for key in found for name, _ in key[1:]}
        self.assertEqual(labels, {"reason", "verdict", "side", "witness", "version", "le"})

    def test_own(self):
        """Two gateways in one process count for themselves."""
        one, other = self.figures(), self.figures()
        one.emit("admitted", {})
        self.assertEqual(read(one)["hoopx_sessions_admitted_total",], 1)
        self.assertEqual(read(other)["hoopx_sessions_admitted_total",], 0)


class StoreTests(Base):
    """What recordings say of themselves."""

    def test_unsealed(self):
        rig = self.rig(refuseBelow=1000, free=10**9)
        before = rig.store.figures()
        self.assertEqual((before["open"], before["unsealed"], before["age"]), (0, 0, 0))
        recording = self.open(rig)
        self.assertEqual(rig.store.figures()["open"], 1)
        self.assertEqual(rig.store.figures()["unsealed"], 0)
        recording.append(0, CLIENT, PASSED, b"x" * 70 * KIB)
        rig.advance(3)
        found = rig.store.figures()
        self.assertGreater(found["unsealed"], 70 * KIB)
        self.assertEqual((found["age"], found["refuseBelow"], found["held"], found["free"]), (3.0, 1000, True, 10**9))
        rig.advance(10)
        self.assertEqual((rig.store.figures()["unsealed"], rig.store.figures()["age"]), (0, 0))

    def test_sampled(self):
        """Of ordinary frames one a second; slow ones all."""
        rig = self.rig()
        seen = []
        rig.store.took = seen.append
        recording = self.open(rig)
        for _ in range(50):
            recording.append(0, CLIENT, PASSED, b"x")
        self.assertEqual(len(seen), 1)
        rig.advance(1)
        for _ in range(50):
            recording.append(0, TARGET, MADE, b"x")
        self.assertEqual(len(seen), 2)

        def slow():
            rig.ns += 50_000_000

        rig.files.took = slow
        recording.append(0, CLIENT, PASSED, b"x")
        self.assertEqual(seen[2:], [50_000_000])
