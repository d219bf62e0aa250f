"""
A key that is kept elsewhere, changed: with the real command line, a real gateway and a real witness.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hoopx.ledger.keys import encodeKey
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import NoteError, openNote
from hoopx.ledger.reader import LedgerReader
from hoopx.state.store import Store
from hoopx.witness.client import witnessKey
from tests.ledger.rig import key
from tests.peers.harness.gateway import Gateway
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import Wire
from tests.peers.test_evidence import HOOPX, EvidenceBase


class RotationTests(EvidenceBase):
    def setUp(self) -> None:
        self.secrets = folder("keys")
        for number in (1, 2, 3):
            path = self.secrets / f"{number}.pem"
            path.write_bytes(encodeKey(key(number)))
            path.chmod(0o600)
        self.pem = self.secrets / "signing.pem"
        self.use(1)

    def use(self, number: int) -> None:
        """What signing_key names is this key from now on."""
        fresh = self.secrets / "fresh"
        fresh.write_bytes((self.secrets / f"{number}.pem").read_bytes())
        fresh.chmod(0o600)
        fresh.rename(self.pem)

    def witness(self, data: Path, port: int, ledgers: str) -> Process:
        (data / "ledgers").write_text(ledgers)
        argv = [sys.executable, "-c", HOOPX, "witness", "--data", str(data), "--ledgers", str(data / "ledgers")]
        process = Process([*argv, "--listen", f"tcp:{port}:interface=127.0.0.1"], data / "log", environment=dict(os.environ))
        self.addCleanup(process.stop)
        process.ready(lambda: answers(port), "the witness")
        return process

    def refused(self, gateway: Gateway) -> str:
        """@return: what it said when it did not start."""
        process = gateway.launch()
        until(lambda: not process.running(), "the gateway to give up")
        return gateway.log()

    def verified(self, gateway: Gateway, *arguments: str) -> tuple[int, dict]:
        run = subprocess.run(
            [sys.executable, "-c", HOOPX, "verify", "--json", *arguments], env=gateway.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        return run.returncode, json.loads(run.stdout)[-1]

    def finished(self, gateway: Gateway, witness: str) -> bool:
        """
        All sessions are over, all that was done is in the ledger, and the witness has signed it: nothing is left for the gateway's end, which
        waits for a witness, but not for long. Only the files are looked at, for each question to the gateway would be one more leaf.
        """
        place = gateway.data / "ledger" / "checkpoint"
        note = place.read_bytes()
        try:
            openNote(note, [witnessKey(witness)])
        except NoteError:
            return False
        leaves = self.leaves(gateway)
        store = Store.open("sqlite:", gateway.data)
        try:
            acts = {row["hash"] for row in store.auditRows(10_000)}
        finally:
            store.close()
        kinds = [leaf["type"] for leaf in leaves]
        over = kinds.count("opened") == kinds.count("done") + kinds.count("recovered")
        reader = LedgerReader(str(place.parent))
        reader.checkpoint([reader.first()])
        rest = reader.pending()  # of this checkpoint
        return over and acts <= {leaf.get("audit") for leaf in leaves} and not rest and place.read_bytes() == note

    def test_rotated(self) -> None:
        port, cosigned = freePort(), folder("witness")
        argv = [sys.executable, "-c", HOOPX, "witness", "--data", str(cosigned), "--name", "w.example.com", "--vkey"]
        vkey = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.strip()
        gateway = self.made(
            f'signing_key = {{ file = "{self.pem}" }}\nwitness_quorum = 1\n'
            f'\n[[recording.witnesses]]\nurl = "http://127.0.0.1:{port}/"\nkey = "{vkey}"\n'
        ).start()
        first = gateway.hoopx("ledger", "keys")
        witness = self.witness(cosigned, port, first)

        self.sessions(gateway, 1)
        self.witnessed(gateway, 3)
        with Wire(gateway.port) as connection:
            connection.login("app", gateway.token(), "shop")
            connection.value("select 'cut short'")
            assert gateway.process is not None
            os.kill(gateway.process.pid, 9)
        gateway.stop()
        gateway.start()  # the old key signs for what was recovered
        gateway.stop()

        # The new key too early: nobody has signed it yet.
        self.use(2)
        self.assertIn("for which no key of this ledger has signed", self.refused(gateway))
        self.use(1)
        last = gateway.hoopx("ledger", "rotate", "--new-key", str(self.secrets / "2.pem")).strip()
        # The old one too late.
        self.assertIn("was replaced by a rotation: give the new one", self.refused(gateway))
        self.use(2)
        gateway.start()
        self.assertEqual(gateway.hoopx("ledger", "keys").split(), [first.strip(), last])
        self.sessions(gateway, 1)
        # The witness knows the old key alone: it does not sign what that has not signed.
        until(lambda: "403" in json.dumps(self.status(gateway)["ledger"]["witnesses"]), "the witness to refuse")
        witness.stop()
        self.witness(cosigned, port, gateway.hoopx("ledger", "keys"))
        self.witnessed(gateway, 3)
        with Wire(gateway.port) as connection:  # one that goes on is no shortcoming
            connection.login("app", gateway.token(), "shop")
            connection.value("select 'still here'")
            memory = str(self.secrets / "seen")
            status, register = self.verified(gateway, "--witness-key", vkey, "--ledger-key", last, "--strict", "--remember", memory)
            self.assertEqual((status, register["state"], register["short"]), (0, "consistent", None))
        until(lambda: self.finished(gateway, vkey), "the witness to sign all that there will be")
        gateway.stop()

        for arguments in ([], ["--ledger-key", first.strip()], ["--ledger-key", last]):
            status, register = self.verified(gateway, "--witness-key", vkey, "--remember", memory, *arguments)
            self.assertEqual((status, register["problem"]), (0, None), arguments)
            self.assertEqual(register["witnesses"]["w.example.com"]["size"], register["size"])
        self.assertIn("recovered", [one["state"] for one in gateway.sessions()])
        secrets = [encodeKey(key(number)).splitlines()[1] for number in (1, 2)]
        for path in gateway.data.rglob("*"):
            if path.is_file() and path.name != "reserve":
                data = path.read_bytes()
                self.assertFalse(any(secret in data for secret in secrets), str(path))

    def test_killed(self) -> None:
        """Killed while it rotates, at several moments: one of the two keys works, and the command can be given again."""
        gateway = self.made(f'signing_key = {{ file = "{self.pem}" }}\n').start()
        self.sessions(gateway, 1)
        gateway.stop()
        rotate = [sys.executable, "-c", HOOPX, "ledger", "rotate", "--new-key", str(self.secrets / "2.pem")]
        directory = str(gateway.data / "ledger")
        for moment in ("write", "fdatasync", "rename", "fsync"):
            # Killed by itself, in the first such call on the ledger.
            script = (
                "import os, signal\nfrom hoopx.recording.files import Files\n"
                f"setattr(Files, {moment!r}, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))\n" + HOOPX
            )
            run = subprocess.run([sys.executable, "-c", script, *rotate[3:]], env=gateway.environment, capture_output=True, timeout=PATIENCE)
            self.assertEqual(run.returncode, -9, run.stderr)
            works = []
            for number in (1, 2):
                try:
                    Ledger.open(directory, key(number)).close()
                    works.append(number)
                except Exception as error:
                    self.assertIn("is signed by the key", str(error))
            self.assertEqual(len(works), 1, moment)
        last = gateway.hoopx("ledger", "rotate", "--new-key", str(self.secrets / "2.pem")).strip()
        self.use(2)
        gateway.start()
        self.sessions(gateway, 1)
        gateway.stop()
        reader = LedgerReader(directory)
        self.assertEqual(reader.audit(reader.checkpoint()), [])
        self.assertEqual(self.verified(gateway, "--ledger-key", last)[0], 0)
