"""
What must not be erased is not: under clocks that are wrong and put right, with the curator's list lost, and with a state store that was
restored from an old copy. A real gateway and its curator, whose wall clock the test sets.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.grid import DAY, Sickness
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import until
from tests.peers.harness.wire import Wire
from tests.peers.test_curator import RECORDING, CuratorBase

YEARS = 3650 * DAY
LASTING = '[identity.tokens]\nmax_age = "20000d"\n'


class RetentionTests(CuratorBase):
    def setUp(self) -> None:
        super().setUp()
        self.sickness = Sickness()
        self.addCleanup(self.sickness.set)

    def made(self, more: str = "") -> Gateway:
        gateway = Gateway(
            [target("shop", debian(), account("app"), tls=False)], more=RECORDING + LASTING + more, name="clock", program=self.sickness.program
        )
        self.addCleanup(gateway.stop)
        return gateway.start()

    def session(self, gateway: Gateway) -> str:
        with Wire(gateway.port) as connection:
            connection.login("app", gateway.token("--ttl", "20000d"), "shop")
            connection.value("select 'one'")
        (newest, *_) = gateway.sessions()
        name: str = newest["session"]
        until(lambda: {"done"} & set(self.types(gateway, name)), "the session to be in the ledger")
        return name

    def types(self, gateway: Gateway, session: str | None) -> list[str]:
        return [leaf["type"] for leaf in self.leaves(gateway) if leaf.get("session") == session]

    def audited(self, gateway: Gateway) -> set[str]:
        """@return: hashes of the rows that are in the ledger."""
        return {leaf["audit"] for leaf in self.leaves(gateway) if leaf["type"].startswith(("audit", "hold"))}

    def run_(self, gateway: Gateway, *arguments: str) -> dict[str, str]:
        return {line["session"]: line["done"] for line in json.loads(gateway.hoopx("retention", "run", "--json", *arguments))}

    def doubt(self, gateway: Gateway) -> str | None:
        found: str | None = self.status(gateway).get("clock")
        return found

    def believed(self, gateway: Gateway) -> None:
        """The clock is: C{hoopx status} tells what it was told a few seconds ago."""
        until(lambda: self.doubt(gateway) is None, "the end of the doubt")

    def lose(self, gateway: Gateway) -> None:
        for path in gateway.data.glob("curator.sqlite*"):
            path.unlink()

    def audit(self, gateway: Gateway) -> list[dict[str, Any]]:
        from hoopx.state.store import Store

        store = Store.open("sqlite:", gateway.data)
        try:
            return store.auditRows(10_000)
        finally:
            store.close()

    def verified(self, gateway: Gateway) -> None:
        gateway.hoopx("verify", "--json")

    def test_forwardAndLost(self) -> None:
        """Set forward by ten years, with leaves from then, and the list is lost: nothing is erased; put right and confirmed, it goes on."""
        gateway = self.made()
        name = self.session(gateway)
        gateway.stop()
        self.sickness.set(shift=YEARS)
        gateway.start()
        until(lambda: self.doubt(gateway), "the doubt")
        later = self.session(gateway)
        gateway.stop()
        self.lose(gateway)
        gateway.start()
        self.assertIn("lost", until(lambda: self.doubt(gateway), "the doubt"))
        gateway.hoopx("retention", "run", status=1)
        self.assertEqual({one["session"] for one in gateway.sessions()}, {name, later})

        def told() -> bool:
            """The alarm did not come before there was anybody to be told."""
            alarms = [row for row in self.audit(gateway) if (row["action"], row["subject"]) == ("alarm", "clock")]
            return any("lost" in row["details"]["why"] for row in alarms)

        until(told, "the alarm in the audit")
        gateway.stop()
        self.sickness.set()
        gateway.start()
        gateway.hoopx("retention", "run", status=1)
        self.assertEqual(self.run_(gateway, "--confirm-clock"), {})
        self.believed(gateway)
        self.assertEqual({one["session"] for one in gateway.sessions()}, {name, later})
        until(lambda: self.types(gateway, None).count("audit") == len(self.audit(gateway)), "the audit to be in the ledger")
        gateway.stop()
        self.verified(gateway)

    def test_rightAgain(self) -> None:
        """A jump while it runs is put right: somebody ends the doubt, though leaves lie in the future, and it stays ended."""
        gateway = self.made()
        self.session(gateway)
        self.assertIsNone(self.doubt(gateway))
        self.sickness.set(shift=YEARS)
        until(lambda: self.doubt(gateway), "the doubt")
        self.session(gateway)
        self.sickness.set()
        gateway.hoopx("retention", "run", status=1)
        self.assertEqual(self.run_(gateway, "--confirm-clock"), {})
        for _ in range(2):
            self.believed(gateway)
            self.assertEqual(self.run_(gateway), {})
            gateway.stop()
            gateway.start()
        (said,) = [row for row in self.audit(gateway) if row["action"] == "retention.clock-confirmed"]
        self.assertIn("forward", said["details"]["doubt"])
        self.assertIn("alarm", {row["action"] for row in self.audit(gateway)})

    def test_behind(self) -> None:
        """A machine that began ten years ago by its clock and is put right: what was just recorded is not erased as ten years old."""
        self.sickness.set(shift=-YEARS)
        gateway = self.made()
        name = self.session(gateway)
        self.sickness.set()
        until(lambda: self.doubt(gateway), "the doubt")
        self.assertEqual(self.run_(gateway, "--confirm-clock"), {})
        self.assertEqual([one["session"] for one in gateway.sessions()], [name])

    def test_oldCopy(self) -> None:
        """A hold by a filter holds although the state store is an old copy that knows nothing of it, and the curator's list is lost."""
        gateway = self.made('[[retention]]\nkeep = "1s"\n')
        before = self.session(gateway)
        gateway.stop()
        copy = folder("copy")
        states = list(gateway.data.glob("state.sqlite*"))
        for path in states:
            shutil.copy(path, copy / path.name)
        gateway.start()
        gateway.hoopx("retention", "hold", "--target", "sh*", "--reason", "case 7")
        until(lambda: "hold-set" in self.types(gateway, before), "the hold in the ledger")
        after = self.session(gateway)
        until(lambda: "hold-set" in self.types(gateway, after), "the hold on what came later")
        for lost in (False, True):
            gateway.stop()
            for path in gateway.data.glob("state.sqlite*"):
                path.unlink()
            for path in states:
                shutil.copy(copy / path.name, Path(gateway.data) / path.name)
            if lost:
                self.lose(gateway)
            gateway.start()
            self.assertEqual(json.loads(gateway.hoopx("retention", "holds", "--json")), [])
            if lost:
                self.run_(gateway, "--confirm-clock")
                # Whose they are is learned anew; until then no rule speaks of them.
                until(lambda: len(self.run_(gateway, "--dry-run")) == 2, "their names to be known again")
            self.assertEqual(self.run_(gateway), {before: "held", after: "held"})
            # What is written to the old copy has numbers that were taken, and reaches the ledger all the same.
            gateway.hoopx("retention", "hold", "--user", f"nobody{lost}", "--reason", "none")
            row = next(row for row in self.audit(gateway) if f"nobody{lost}" in str(row))
            until(lambda row=row: row["hash"] in self.audited(gateway), "the new row in the ledger")
        # Whoever means it sets the same one again, and releases it.
        gateway.hoopx("retention", "hold", "--target", "sh*", "--reason", "case 7 is over")
        gateway.hoopx("retention", "release", "2")
        until(lambda: "hold-lifted" in self.types(gateway, before) and "hold-lifted" in self.types(gateway, after), "to be let go of")
        erased: set[tuple[str, str]] = set()
        until(lambda: erased.update(self.run_(gateway).items()) or len(erased) >= 2, "to be erased")
        self.assertEqual(erased, {(before, "erased"), (after, "erased")})
        gateway.stop()
        *sessions, ledger = json.loads(gateway.hoopx("verify", "--json", status=1))
        self.assertEqual([one["state"] for one in (*sessions, ledger)], ["erased", "erased", "consistent"])
        self.assertIn("rows are missing, which the ledger has", ledger["audit"]["problem"])  # that the copy is an old one is seen
