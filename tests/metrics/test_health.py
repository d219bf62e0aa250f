"""Ready or not, and why."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.metrics.health import unready

UP = {"disk": None, "draining": False, "listeners": [{"address": "127.0.0.1:1"}], "curator": {"state": "ready"}}


class HealthTests(SynchronousTestCase):
    def test_ready(self) -> None:
        self.assertEqual(unready(UP), [])
        self.assertEqual(unready({}), [])
        self.assertEqual(unready({**UP, "curator": None}), [])
        self.assertEqual(unready({**UP, "curator": {"state": "ready", "ledger": {"trouble": None}}}), [])

    def test_reasons(self) -> None:
        for change, said in (
            ({"disk": "the disk is read-only"}, "sessions can not be recorded: the disk is read-only"),
            ({"state": "the state store can not be asked"}, "identities can not be checked: the state store can not be asked"),
            ({"audit": "the audit can not be written: disk full"}, "what is done is not audited: the audit can not be written: disk full"),
            ({"draining": True}, "the gateway is stopping"),
            ({"listeners": []}, "not every listener is up"),
            ({"listeners": [{"address": None}]}, "not every listener is up"),
            ({"curator": {"state": "down"}}, "sessions can not be recorded: the curator is down"),
            ({"curator": {"state": "silent"}}, "sessions can not be recorded: the curator is silent"),
            ({"curator": {}}, "sessions can not be recorded: the curator is not there"),
            (
                {"curator": {"state": "ready", "ledger": {"trouble": "No space left on device"}}},
                "sessions can not be recorded: the ledger can not be written: No space left on device",
            ),
        ):
            self.assertEqual(unready({**UP, **change}), [said])
