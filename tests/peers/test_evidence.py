"""
Where evidence goes: to another folder, to an S3 server that comes and goes, encrypted to the auditors, before witnesses.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import pyrage

from hoopx.ledger.note import NoteError, openNote
from hoopx.witness.client import witnessKey
from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.s3server import ACCESS, LOCKED, SECRET
from tests.peers.harness.seaweedfs import seaweedfs
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import Wire
from tests.peers.test_curator import RECORDING, CuratorBase

HOOPX = "from hoopx.cli.main import main; main()"


class EvidenceBase(CuratorBase):
    def made(self, more: str) -> Gateway:
        gateway = Gateway([target("shop", debian(), account("app"), tls=False)], more=RECORDING + more, name="evidence")
        self.addCleanup(gateway.stop)
        return gateway

    def sessions(self, gateway: Gateway, count: int) -> list[str]:
        token = gateway.token()
        for number in range(count):
            with Wire(gateway.port) as connection:
                connection.login("app", token, "shop")
                connection.value(f"select 'number {number}'")
        return [one["session"] for one in gateway.sessions()]

    def witnessed(self, gateway: Gateway, least: int) -> None:
        """
        Wait until witnesses have signed all that is in the ledger by now: to ask is an act that comes into it, too.

        @param least: leaves.
        """
        size = max(least, self.status(gateway)["ledger"]["size"])
        until(lambda: (self.status(gateway)["ledger"]["published"] or 0) >= size, f"the witness's signature for {size} leaves")

    def index(self, gateway: Gateway) -> bytes:
        """@return: all that is in the index's files. The log comes first: what goes from there into the file meanwhile is found there."""
        found = b""
        for path in sorted(gateway.data.glob("index.sqlite*"), reverse=True):
            try:
                found += path.read_bytes()
            except FileNotFoundError:  # a log that has just gone
                pass
        return found


class FolderTests(EvidenceBase):
    def test_encryptedElsewhere(self) -> None:
        """Encrypted to an auditor, copied to another folder, the local copy gone: only the auditor reads it, everybody sees where it is."""
        elsewhere = folder("elsewhere")
        identity = pyrage.x25519.Identity.generate()
        gateway = self.made(f'store = "file:{elsewhere}"\nencrypt_to = ["{identity.to_public()}"]\nlocal_keep = "1s"\n').start()
        (name,) = self.sessions(gateway, 1)
        until(lambda: self.status(gateway)["store"]["stored"] == 1, "the segment to be stored")
        (stored,) = list(elsewhere.rglob("*.hxr"))
        data = stored.read_bytes()
        self.assertTrue(data.startswith(b"age-encryption.org/v1"))
        self.assertNotIn(b"number 0", data)
        self.assertTrue(pyrage.decrypt(data, [identity])[:4] == b"\x28\xb5\x2f\xfd")
        self.assertEqual(stored.relative_to(elsewhere).parts[-2:], (name, "000000.hxr"))

        def objects() -> list[str]:
            return [leaf["object"] for leaf in self.leaves(gateway) if leaf["type"] == "sealed"]

        # It is stored when its leaf is durable; the checkpoint that has the leaf comes after that.
        self.assertEqual(until(objects, "a checkpoint that has the segment"), [sha256(data).hexdigest()])
        for path in gateway.data.rglob("*"):
            if path.is_file() and path.name != "reserve":
                try:
                    held = path.read_bytes()
                except FileNotFoundError:  # the local copy goes at any moment
                    continue
                self.assertNotIn(b"number 0", held, str(path))


class WitnessTests(EvidenceBase):
    def test_witnessed(self) -> None:
        """A real witness signs the checkpoints; a ledger that was rolled back is refused, with an alarm."""
        port, data = freePort(), folder("witness")

        def hoopx(*arguments: str) -> list[str]:
            return [sys.executable, "-c", HOOPX, "witness", "--data", str(data), "--name", "w.example.com", *arguments]

        import subprocess

        vkey = subprocess.run(hoopx("--vkey"), capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.strip()
        witness = f'\n[[recording.witnesses]]\nurl = "http://127.0.0.1:{port}/"\nkey = "{vkey}"\n'
        gateway = self.made(f"witness_quorum = 1\n{witness}").start()
        ledger = gateway.hoopx("ledger", "show", "--vkey").strip()
        process = Process(hoopx("--listen", f"tcp:{port}:interface=127.0.0.1", "--ledger", ledger), data / "log", environment=dict(os.environ))
        self.addCleanup(process.stop)
        process.ready(lambda: answers(port), "the witness")
        self.sessions(gateway, 2)

        self.witnessed(gateway, 6)

        def signed() -> int:
            # A checkpoint of newer leaves lies there without a signature for a moment.
            try:
                return len(openNote((gateway.data / "ledger" / "checkpoint").read_bytes(), [witnessKey(vkey)])[1])
            except NoteError:
                return 0

        self.assertEqual(until(signed, "the witness's signature in the ledger"), 1)
        gateway.stop()
        # The thief of the key rolls the ledger back and goes on.
        import shutil

        shutil.rmtree(gateway.data / "ledger")
        (gateway.data / "curator.sqlite").unlink()
        shutil.rmtree(gateway.data / "recordings")
        gateway.start()
        self.sessions(gateway, 1)
        until(lambda: "refuses the ledger" in gateway.log(), "the alarm")
        until(lambda: self.status(gateway)["ledger"]["witnesses"][0]["problem"], "the status to say so")


class S3Tests(EvidenceBase):
    def test_comesAndGoes(self) -> None:
        """The server is away while sessions are recorded: nobody waits, and all of it arrives when it is back."""
        requireModule("boto3")
        server = seaweedfs()
        secrets = folder("s3")
        for name, secret in (("access", ACCESS), ("secret", SECRET)):
            (secrets / name).write_text(secret)
            (secrets / name).chmod(0o600)
        prefix = f"evidence-{os.getpid()}"
        gateway = self.made(
            f'store = "s3:{LOCKED}/{prefix}"\n[recording.s3]\nendpoint = "http://127.0.0.1:{server.port}"\nregion = "us-east-1"\n'
            f'access_key = {{ file = "{secrets / "access"}" }}\nsecret_key = {{ file = "{secrets / "wrong"}" }}\n'
        )
        (secrets / "wrong").write_text("not the secret")
        (secrets / "wrong").chmod(0o600)
        gateway.start()
        self.sessions(gateway, 2)
        until(lambda: "refuses" in gateway.log(), "the alarm about credentials")
        until(lambda: self.status(gateway)["backlog"]["segments"] == 2, "the backlog to be seen")
        (secrets / "wrong").write_text(SECRET)
        # Nobody tells it: what has been refused is fetched again.
        until(lambda: (self.status(gateway).get("store") or {}).get("stored") == 2, "back-fill", 2 * PATIENCE)
        objects = server.client().list_objects_v2(Bucket=LOCKED, Prefix=prefix + "/").get("Contents", [])
        names = sorted(one["Key"] for one in objects if "/ledger/" not in one["Key"])
        self.assertEqual(len(names), 2)
        for key in names:
            parts = key.split("/")
            local = gateway.data / "recordings" / Path(*parts[2:])
            body = server.client().get_object(Bucket=LOCKED, Key=key)["Body"].read()
            self.assertEqual(body, local.read_bytes())
        self.assertNotIn(SECRET, gateway.log())
        self.assertNotIn(SECRET, json.dumps(self.status(gateway)))


class RetentionTests(EvidenceBase):
    def test_erased(self) -> None:
        """What is over is erased, what is held stays until it is released; the ledger misses nothing."""
        gateway = self.made('[[retention]]\nkeep = "1s"\n').start()
        first, second = self.sessions(gateway, 2)
        self.settled(gateway, 2)
        gateway.hoopx("retention", "hold", second, "--reason", "a lawsuit")

        def run(*arguments: str) -> dict[str, str]:
            return {line["session"]: line["done"] for line in json.loads(gateway.hoopx("retention", "run", "--json", *arguments))}

        until(lambda: run("--dry-run") == {first: "would be erased", second: "held"}, "the time to be over")
        self.assertEqual(run(), {first: "erased", second: "held"})
        self.assertEqual([one["session"] for one in gateway.sessions()], [second])
        until(lambda: "hold-set" in [leaf["type"] for leaf in self.leaves(gateway)], "the hold in the ledger")
        gateway.hoopx("retention", "release", "1")
        self.assertEqual(run(), {second: "erased"})

        def types() -> bool:
            found = [leaf["type"] for leaf in self.leaves(gateway) if leaf.get("session") == second]
            return {"opened", "done", "hold-set", "hold-lifted", "erased"} <= set(found)

        until(types, "the leaves")
        self.assertEqual(list(gateway.data.joinpath("recordings").rglob("*.hxr")), [])

        def traces() -> list[bytes]:
            index = self.index(gateway)
            return [word for word in (b"select 'number", first.encode(), second.encode()) if word in index]

        until(lambda: not traces(), "all of it to be gone from the index's files")

    def test_tracesAfterAKill(self) -> None:
        """The curator is killed after the sessions were erased, and before the index's files were rid of them: the next one does it."""
        gateway = self.made('[[retention]]\nkeep = "1s"\n').start()
        several = self.sessions(gateway, 4)
        self.settled(gateway, 4)
        until(lambda: b"select 'number 3'" in self.index(gateway), "what was said to be in the files")

        def run(*arguments: str) -> list[str]:
            return [line["done"] for line in json.loads(gateway.call("retention", "run", "--json", *arguments))]

        until(lambda: run("--dry-run") == ["would be erased"] * 4, "the time to be over")
        curator = self.curating(gateway)
        # From here on it is not to rest for as long as hoopx.curator.cleaning.QUIET: then nothing would be left to do.
        self.assertEqual(run(), ["erased"] * 4)
        os.kill(curator, signal.SIGKILL)
        left = self.index(gateway)
        self.assertTrue(any(session.encode() in left for session in several), "nothing was left to do")
        until(lambda: self.curatorOf(gateway) not in (None, curator) and self.status(gateway)["state"] == "ready", "the next one")

        def gone() -> bool:
            left = self.index(gateway)
            return not any(word in left for word in [b"select 'number", *(session.encode() for session in several)])

        until(gone, "the sessions, and what was said, to be gone from the files")
        until(lambda: len([leaf for leaf in self.leaves(gateway) if leaf["type"] == "audit"]) > 3, "the audit in the ledger")
