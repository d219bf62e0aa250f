"""
What a real gateway and its curator leave verifies, while they work and afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from urllib.request import urlopen

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import require
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import freePort
from tests.peers.harness.postgres import embedded
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import PATIENCE, until

WORK = "select repeat('x', 1000) from generate_series(1, 300)"


class VerifyTests(SynchronousTestCase):
    def start(self, more: str = "") -> None:
        recording = f'[recording]\nsegment = {{ size = "16KiB", age = "1s" }}\n{more}\n'
        more = f'{recording}[metrics]\nendpoint = "tcp:{freePort()}:interface=127.0.0.1"\n'
        self.gateway = Gateway([target("shop", embedded(), account("app"))], more=more, name="verify").start()
        self.addCleanup(self.gateway.stop)

    def psql(self) -> subprocess.Popen[bytes]:
        environment = {"PGPASSWORD": self.gateway.token(), "PGSSLMODE": "disable", "PGHOST": "127.0.0.1"}
        command = [require("psql"), "-X", "-q", "-p", str(self.gateway.port), "-U", "app", "-d", "shop", "-c", WORK, "-c", WORK]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def verify(self, *arguments: str, status: int = 0) -> list[dict]:
        return list(json.loads(self.gateway.hoopx("verify", "--json", *arguments, status=status)))

    def over(self) -> set[str]:
        """@return: sessions whose end is in the signed ledger, and all their segments with it; nobody's as long as there is none."""
        said = self.gateway.call("ledger", "show", "--entries", good=(0, 1))
        leaves = [json.loads(line.partition("\t")[2]) for line in said.splitlines()]
        return {leaf["session"] for leaf in leaves if leaf["type"] == "done"}

    def settled(self, *arguments: str) -> list[dict]:
        """
        For a moment nobody but the auditor can check an encrypted segment: until the ledger has its leaf.

        @return: what is said when all sessions are over, and that is in the ledger.
        """

        def look() -> list[dict] | None:
            over = self.over()
            found = list(json.loads(self.gateway.call("verify", "--json", *arguments, good=(0, 1))))
            self.assertFalse({line["state"] for line in found} & {"TAMPERED", "missing"}, found)
            done = {line["session"] for line in found[:-1]} <= over and not found[-1]["pending"] and found[-1]["size"]
            return self.verify(*arguments) if done else None

        found = until(look, "all sessions to be complete, and the ledger to be signed")
        assert found is not None
        self.assertEqual({line["state"] for line in found[:-1]}, {"complete"})
        return found

    def test_encrypted(self) -> None:
        """Nobody but the auditor reads them, and everybody sees that they are whole; figures say what the curator did."""
        identity = pyrage.x25519.Identity.generate()
        keyfile = folder("auditor") / "key"
        keyfile.write_text(f"{identity}\n")
        self.start(f'encrypt_to = ["{identity.to_public()}"]')
        self.assertEqual(self.psql().wait(PATIENCE), 0)
        for arguments in [(), ("--identity", str(keyfile))]:
            (line, _) = self.settled(*arguments)
            self.assertEqual(line["key"] is not None, True)
        self.assertTrue(line["until"])
        port = re.search(r"endpoint = \"tcp:([0-9]+):interface=127.0.0.1\"\n$", self.gateway.path.read_text())
        assert port is not None

        def figures() -> str | None:
            """When the curator has told how it is since."""
            with urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=PATIENCE) as answer:
                text = answer.read().decode()
            size = self.verify()[-1]["size"]
            return text if size > 2 and f"hoopx_ledger_leaves {size}.0\n" in text else None

        text = until(figures, "the figures to tell of the ledger")
        assert text is not None
        self.assertIn("hoopx_curator_up 1.0\n", text)
        self.assertIn('hoopx_sessions_ended_total{reason="client-left"} 1.0\n', text)
        with urlopen(f"http://127.0.0.1:{port[1]}/readyz", timeout=PATIENCE) as answer:
            self.assertEqual(answer.read(), b"ready\n")

    def test_atWork(self) -> None:
        """Sessions come, are sealed, packed, told to the ledger and end: at no moment is there an alarm."""
        self.start()
        running = [self.psql() for _ in range(4)]
        rounds = 0
        while any(each.poll() is None for each in running) or rounds < 4:
            for number, each in enumerate(running):
                if each.poll() is not None and rounds < 4:
                    running[number] = self.psql()
            found = self.verify()
            self.assertEqual(found[-1]["state"], "consistent", found[-1])
            rounds += 1
        self.assertEqual({each.returncode for each in running}, {0})

        found = self.settled()
        self.assertEqual({line["logged"] for line in found[:-1]}, {True})

        session = found[0]["session"]
        bundle = self.gateway.folder / "proof.zip"
        self.gateway.hoopx("sessions", "export", session, "--proof", "-o", str(bundle))
        vkey = self.gateway.hoopx("ledger", "show", "--vkey").strip()
        self.assertEqual([line["state"] for line in self.verify("--ledger-key", vkey, str(bundle))], ["complete", "consistent"])

        (path,) = [place for place, _, _ in os.walk(self.gateway.data) if os.path.basename(place) == session]
        os.rename(path, self.gateway.folder / "away")
        gone = [line for line in self.verify(status=1) if line["problem"]]
        self.assertEqual([(line["session"], line["state"]) for line in gone], [(session, "missing")])
