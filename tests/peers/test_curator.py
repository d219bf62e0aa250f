"""
The curator beside a real gateway: what is recorded is packed, indexed and in the ledger; killed, either of them, nothing is lost, nothing
is there twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import EVENT, segmentName, unpack
from hoopx.ledger.keys import publicKey
from hoopx.ledger.leaf import parse
from hoopx.ledger.reader import LedgerReader
from hoopx.reading import readSession
from hoopx.recording import catalogue
from hoopx.recording.stored import ZSTD_MAGIC, openSegment
from hoopx.recording.verify import verifySession
from tests.peers.harness.finding import LONG
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import answers
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import child
from tests.peers.harness.tap import Tap
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import ServerError, Wire
from tests.peers.test_kill import Load, fill

ROUNDS = 500 if LONG else 3
LATEST = 1.0
"""Seconds of load before the kill, at the most; and as long as it takes until somebody is served, but for every tenth."""
PATIENT: dict[str, Any] = {
    "gateway": 'login_timeout = "120s"', "program": [sys.executable, str(Path(__file__).with_name("programs") / "patient.py")],
}  # fmt: skip
"""Of a gateway whose sessions wait as long as a slow machine needs to start the curator again."""
RECORDING = '[recording]\nsegment = { size = "64KiB", age = "1s" }\n'


class CuratorBase(SynchronousTestCase):
    def gateway(self, more: str = "", name: str = "curator", **options: Any) -> Gateway:
        gateway = Gateway([target("shop", debian(), account("app"), tls=False)], more=RECORDING + more, name=name, **options).start()
        self.addCleanup(gateway.stop)
        return gateway

    def status(self, gateway: Gateway) -> dict:
        def look() -> dict | None:
            # 1: nothing new can be recorded, as while the curator starts again.
            said = gateway.call("status", "--json", good=(0, 1))
            if not said:  # no answer in time
                return None
            found: dict = json.loads(said)["curator"]
            # It is ready a moment before it is asked for the first time.
            return found if found["state"] != "ready" or "ledger" in found else None

        found = until(look, "the curator to be asked how it is")
        assert found is not None
        return found

    def settled(self, gateway: Gateway, sessions: int = 0) -> list[dict]:
        """Wait until every session that is over has its last leaf, as long as something goes on. @return: all leaves."""
        state: dict[str, Any] = {}
        moved = [time.monotonic()]

        def look() -> list[dict] | None:
            # To ask is an act of which the ledger hears, too: what it holds of the sessions is signed once it has as many as it had then.
            status = self.status(gateway)
            seen = {"state": status["state"], "starts": status.get("starts"), "waiting": status.get("waiting")}
            if status["state"] == "ready" and not status.get("waiting"):
                size = status["ledger"]["size"]
                until(lambda: self.checkpoint(gateway)[0] >= size, "everything in the ledger to be signed")
                found = self.leaves(gateway)
                over = {leaf["session"] for leaf in found if leaf["type"] in ("done", "recovered")}
                wanted = {one["session"] for one in gateway.sessions() if one["state"] in ("complete", "recovered")}
                if wanted <= over and len(wanted) >= sessions:
                    return found
                seen |= {"over": len(over), "sessions": len(wanted), "without": sorted(wanted - over)[:5]}
            if seen != state:
                state.clear()
                state.update(seen)
                moved[0] = time.monotonic()
            elif time.monotonic() - moved[0] > PATIENCE:
                raise AssertionError(f"nothing more comes into the ledger: {state}")
            return None

        found = until(look, "everything to be in the ledger", 20 * PATIENCE)
        assert found is not None
        return found

    def leaves(self, gateway: Gateway) -> list[dict]:
        """All leaves of the last checkpoint, whose tree is made again and compared; none while there is no checkpoint."""
        if not (gateway.data / "ledger" / "checkpoint").exists():
            return []
        reader = LedgerReader(str(gateway.data / "ledger"))
        found: list[dict] = []
        problems = reader.audit(reader.checkpoint([reader.first()]), lambda index, line: found.append(parse(line)))
        self.assertEqual(problems, [])
        return found

    def checkpoint(self, gateway: Gateway) -> tuple[int, str]:
        """@return: size and root of the checkpoint that lies there now."""
        try:
            lines = (gateway.data / "ledger" / "checkpoint").read_text().split("\n")
        except FileNotFoundError:
            return 0, ""
        return int(lines[1]), lines[2]

    def consistent(self, gateway: Gateway, leaves: list[dict]) -> None:
        """Every recording verifies; each segment has one leaf, and is packed."""
        public = publicKey(str(gateway.data))
        sealed = [(leaf["session"], leaf["segment"]) for leaf in leaves if leaf["type"] == "sealed"]
        self.assertEqual(len(sealed), len(set(sealed)), "a segment has two leaves")
        opened = [leaf["session"] for leaf in leaves if leaf["type"] == "opened"]
        self.assertEqual(len(opened), len(set(opened)), "a session has two OPEN leaves")
        for path in catalogue.paths(str(gateway.data)):
            session = os.path.basename(path)
            verdict = verifySession(path, public)
            self.assertEqual([str(problem) for problem in verdict.problems], [], session)
            self.assertIn(verdict.state, ("complete", "recovered", "never connected"))
            if any(frame.kind == EVENT and unpack(frame.payload)["event"] == "connect" for frame in readSession(path, openSegment)):
                # One that was refused, for the ledger was away, has never come so far.
                self.assertTrue(session in opened, f"{session} has reached its target and has no OPEN leaf")
            numbers = sorted(name for name in os.listdir(path) if name.endswith(".hxr"))
            self.assertEqual(numbers, [segmentName(number) for number in range(len(numbers))])
            self.assertEqual(sorted(number for name, number in sealed if name == session), list(range(len(numbers))))
            for name in numbers:
                with open(os.path.join(path, name), "rb") as file:
                    self.assertTrue(file.read(4) == ZSTD_MAGIC, f"{session}/{name} is not packed")

    def curatorOf(self, gateway: Gateway) -> int | None:
        """@return: the curator's process id."""
        assert gateway.process is not None
        return child(gateway.process.pid, b"hoopx.curator")

    def curating(self, gateway: Gateway) -> int:
        """@return: the same, when there is one."""
        found = until(lambda: self.curatorOf(gateway), "the curator")
        assert found is not None
        return found


class LifeTests(CuratorBase):
    def test_session(self) -> None:
        """From the opening to the last leaf, while it lives and when it is over."""
        gateway = self.gateway()
        token = gateway.token()
        with Wire(gateway.port) as connection:
            connection.login("app", token, "shop")
            self.assertEqual(connection.value("select 'found by the index'"), "found by the index")
            (session,) = gateway.sessions()
            name = session["session"]
            until(lambda: ("opened", name) in {(leaf["type"], leaf.get("session")) for leaf in self.leaves(gateway)}, "OPEN")
            connection.value(f"select length('{'x' * 100_000}')")
            until(lambda: any(leaf["type"] == "sealed" for leaf in self.leaves(gateway)), "a sealed segment while it lives")
        leaves = self.settled(gateway, 1)
        types = [leaf["type"] for leaf in leaves if leaf.get("session") == name]
        self.assertEqual((types[0], types[-1]), ("opened", "done"))
        self.consistent(gateway, leaves)
        shown = gateway.show(name)
        self.assertIn("select 'found by the index'", [each.get("text") for each in shown])
        status = self.status(gateway)
        self.assertEqual((status["state"], status["quarantined"]["count"]), ("ready", 0))
        self.assertTrue((gateway.data / "index.sqlite").exists())

    def test_stopped(self) -> None:
        """After a clean stop every database is one file: what stood in the logs is in it."""
        gateway = self.gateway(name="stopped")
        token = gateway.token()
        with Wire(gateway.port) as connection:
            connection.login("app", token, "shop")
            connection.value("select 'stands in the file'")
        self.settled(gateway, 1)
        names = [path.name for path in gateway.data.glob("*.sqlite-wal")]
        self.assertIn("curator.sqlite-wal", names)
        gateway.stop()
        self.assertEqual([str(path) for path in gateway.data.rglob("*") if path.name.endswith(("-wal", "-shm"))], [])
        self.assertIn(b"stands in the file", (gateway.data / "index.sqlite").read_bytes())

    def test_nothingSecret(self) -> None:
        """The curator's environment and arguments hold nothing but where Python's modules are."""
        gateway = self.gateway()
        curator = self.curating(gateway)
        environment = Path(f"/proc/{curator}/environ").read_bytes().split(b"\0")
        self.assertEqual([each.partition(b"=")[0] for each in environment if each], [b"PYTHONPATH"])

    def test_curatorStands(self) -> None:
        """While it does not answer, a new session is refused after a while; the live one goes on; then all is made up for."""
        gateway = self.gateway()
        token = gateway.token()
        live = Wire(gateway.port)
        live.login("app", token, "shop")
        curator = self.curating(gateway)
        os.kill(curator, signal.SIGSTOP)
        try:
            with Wire(gateway.port) as refused:
                began = time.monotonic()
                with self.assertRaises(ServerError) as caught:
                    refused.login("app", token, "shop")
                self.assertIn("57P03", str(caught.exception))
                self.assertGreater(time.monotonic() - began, 4.0)
            self.assertEqual(live.value("select 42"), "42")
        finally:
            os.kill(curator, signal.SIGCONT)

        def served() -> bool:
            try:
                with Wire(gateway.port) as again:
                    again.login("app", token, "shop")
            except ServerError:
                return False
            return True

        until(served, "it to answer again")
        live.__exit__(None, None, None)
        self.consistent(gateway, self.settled(gateway, 2))
        self.assertIn("no leaf in the ledger", gateway.log())

    def test_outlives(self) -> None:
        """One that was stopped does not end with its gateway: the next one waits for it, says for whom, and goes on when it is gone."""
        gateway = self.gateway(name="outlives")
        curator = self.curating(gateway)
        assert gateway.process is not None
        os.kill(curator, signal.SIGSTOP)
        try:
            gateway.process.kill()
            process = gateway.launch()
            until(lambda: f"is written by process {curator}, which was stopped (SIGSTOP)" in gateway.log(), "who is waited for")
        finally:
            os.kill(curator, signal.SIGCONT)
        process.ready(lambda: answers(gateway.port), "the next gateway")

    def test_curatorKilled(self) -> None:
        """A session that begins while it is started again waits for it."""
        gateway = self.gateway(**PATIENT)
        token = gateway.token()
        live = Wire(gateway.port)
        live.login("app", token, "shop")
        for _ in range(3):
            os.kill(self.curating(gateway), signal.SIGKILL)
            with Wire(gateway.port) as connection:
                connection.login("app", token, "shop")
                self.assertEqual(connection.value("select 1"), "1")
            self.assertEqual(live.value("select 42"), "42")
        live.__exit__(None, None, None)
        self.assertGreaterEqual(self.status(gateway)["starts"], 4)
        self.consistent(gateway, self.settled(gateway, 4))


class KillTests(CuratorBase):
    def test_killed(self) -> None:
        """Either of them at random moments, again and again: every checkpoint that was ever there is a prefix of the last ledger."""
        random = Random(7)
        fill()
        gateway = self.gateway(name="curator-kill", **PATIENT)
        token = gateway.token()
        checkpoints: list[tuple[int, str]] = []
        compared = 0
        for number in range(ROUNDS):
            compared += self.round(gateway, token, random, number)
            checkpoints.append(self.checkpoint(gateway))
        leaves = self.settled(gateway)
        self.consistent(gateway, leaves)
        self.grown(gateway, checkpoints)
        self.assertGreater(compared, ROUNDS // 2)

    def round(self, gateway: Gateway, token: str, random: Random, number: int) -> int:
        seen = {one["session"] for one in gateway.sessions()}
        near = Tap(gateway.port)
        load = Load(near.port, token, number)
        both = random.random() < 0.5
        time.sleep(random.uniform(0.05, LATEST))
        if number % 10:
            until(lambda: any(passage.receivedFromOk() for passage in list(near.passages)), "somebody to be served")
        curator = self.curatorOf(gateway)
        if curator is not None:
            os.kill(curator, signal.SIGKILL)
        if both:
            time.sleep(random.uniform(0.0, 0.3))
            assert gateway.process is not None
            gateway.process.kill()
        else:
            time.sleep(random.uniform(0.0, 0.5))
        passages = [passage for passage in list(near.passages) if passage.receivedFromOk()]
        if not both:
            load.stop()
            near.stop()
            return 0
        passages = [passage for passage in passages if passage.ended()]
        load.stop()
        near.stop()
        gateway.start()
        sessions = {one["client"]: one for one in gateway.sessions() if one["session"] not in seen}
        for passage in passages:
            name = sessions[passage.address]["session"]
            recorded = gateway.export(name, "to", "client")
            self.assertTrue(recorded.startswith(passage.receivedFromOk()), f"{name}: the client has more than is recorded")
        return len(passages)

    def grown(self, gateway: Gateway, checkpoints: list[tuple[int, str]]) -> None:
        from base64 import b64encode

        gateway.stop()
        from hoopx.ledger.keys import keyring
        from hoopx.ledger.log import Ledger
        from hoopx.recording.files import Files

        keys = keyring(str(gateway.data / "keys"), Files())
        ledger = Ledger.open(str(gateway.data / "ledger"), keys)
        self.addCleanup(ledger.close)
        for size, root in checkpoints:
            if size:
                self.assertEqual(b64encode(ledger.root(size)).decode(), root)
