"""
kill -9 at any moment: what a client has received is in the recording, the recording says that it was recovered, the next start works.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import LONG, require
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import PASSWORDS, debian
from tests.peers.harness.tap import Passage, Tap
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import TERMINATE, ServerError, Wire, keyOf
from tests.peers.harness.workload import Workload

ROUNDS = 200 if LONG else 10
CLIENTS = 3
EARLY = 0.2
"""How often the kill comes at any moment from the first connection on: mostly into logins. The other times it waits for bytes."""
LATEST = 0.3
"""Seconds it waits besides, at the most."""
BYTES = (3.0, 6.5)
"""Powers of ten between which it is drawn how many bytes clients have received: a moment of the load, whatever the machine's."""


class Load:
    """Clients of several kinds that go on until their connections are gone."""

    def __init__(self, port: int, token: str, seed: int) -> None:
        self._stopped = False
        self._token, self._port = token, port
        self._threads = [threading.Thread(target=self._work, args=(seed * 100 + n,), daemon=True) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        self._bench = subprocess.Popen(
            [require("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "app", "-n", "-c", "2", "-T", "600", "-M", "prepared", "shop"],
            env={"PGPASSWORD": token, "PGSSLMODE": "disable"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _work(self, seed: int) -> None:
        for more in itertools.count():
            if self._stopped:
                return
            try:
                with Wire(self._port) as connection:
                    connection.login("app", self._token, "shop")
                    work = Workload(connection, seed + 1000 * more)
                    work.run(40)
                    work.leave()
            except (OSError, EOFError, ServerError):
                return

    def stop(self) -> None:
        self._stopped = True
        for thread in self._threads:
            thread.join(PATIENCE)
        self._bench.terminate()  # where the gateway lives on, it would go on
        self._bench.wait(PATIENCE)


def fill() -> None:
    """The tables of pgbench, without which it ends at once."""
    argv = [require("pgbench"), "-h", "127.0.0.1", "-p", str(debian().port), "-U", "app", "-i", "-q", "shop"]
    subprocess.run(argv, env={"PGPASSWORD": PASSWORDS["app"]}, check=True, capture_output=True, timeout=2 * PATIENCE)


class KillTests(SynchronousTestCase):
    def setUp(self) -> None:
        fill()
        self.far = Tap(debian().port)
        self.addCleanup(self.far.stop)

    def gateway(self, durability: str) -> Gateway:
        gateway = Gateway(
            [target("shop", debian(), account("app"), port=self.far.port, tls=False)],
            more=f'[recording]\ndurability = "{durability}"\nsegment = {{ size = "128KiB", age = "1s" }}\n',
            name="kill",
        ).start()
        self.addCleanup(gateway.stop)
        return gateway

    def rounds(self, count: int, durability: str, seed: int) -> None:
        random = Random(seed)
        gateway = self.gateway(durability)
        token = gateway.token()
        for number in range(count):
            self.round(gateway, token, random, number)
            if random.random() < 0.3:
                self.killAtStart(gateway, random)
                gateway.start()

    def moment(self, near: Tap, random: Random) -> bool:
        """Wait for the moment to kill. @return: whether a client has received something by then."""
        until(lambda: near.passages, "the first connection")
        working = random.random() >= EARLY
        if working:
            wanted = 10 ** random.uniform(*BYTES)
            until(lambda: sum(len(one.received) for one in list(near.passages)) > wanted, f"{wanted:.0f} bytes")
        time.sleep(random.uniform(0, LATEST))
        return working

    def round(self, gateway: Gateway, token: str, random: Random, number: int) -> int:
        """One kill under load. @return: how many recordings were compared."""
        seen = {one["session"] for one in gateway.sessions()}
        near = Tap(gateway.port)
        self.far.passages.clear()
        load = Load(near.port, token, number)
        working = self.moment(near, random)
        assert gateway.process is not None
        gateway.process.kill()
        passages = [passage for passage in list(near.passages) if self.ended(passage)]
        self.assertTrue(passages or not working, "nothing to compare")
        load.stop()
        near.stop()
        gateway.start()
        sessions = {one["client"]: one for one in gateway.sessions() if one["session"] not in seen}
        behind = {keyOf(bytes(one.received))[0]: one for one in self.far.passages if self.ended(one)}
        for passage in passages:
            session = sessions[passage.address]
            if session["state"] != "recovered":
                self.assertEqual((session["state"], session["reason"]), ("complete", "client-left"))
                self.assertTrue(passage.sent.endswith(TERMINATE), "it looks complete and is not")
            self.holds(gateway, session["session"], passage, behind)
        if passages:
            self.tells(gateway, sessions[passages[-1].address])
        return len(passages)

    def ended(self, passage: Passage) -> bool:
        """@return: whether it became a session; wherever it was, it has ended."""
        self.assertTrue(passage.ended(), "a connection goes on without the gateway")
        return bool(passage.receivedFromOk())

    def holds(self, gateway: Gateway, name: str, passage: Passage, behind: dict[int, Passage]) -> None:
        received, recorded = passage.receivedFromOk(), gateway.export(name, "to", "client")
        self.assertTrue(recorded.startswith(received), f"{name}: the client has {len(received)} bytes, recorded {len(recorded)}")
        process, _ = keyOf(received)
        if not process:
            # Killed between AuthenticationOk and the key. These clients wait for ReadyForQuery before they say anything.
            self.assertEqual(passage.sentAfterLogin(), b"")
        reached = behind[process].sentAfterLogin() if process else b""
        recorded = gateway.export(name, "to", "target")
        self.assertTrue(recorded.startswith(reached), f"{name}: the target has {len(reached)} bytes, recorded {len(recorded)}")
        self.assertTrue(passage.sentAfterLogin().startswith(gateway.export(name, "from", "client")), name)

    def tells(self, gateway: Gateway, session: dict) -> None:
        shown = gateway.show(session["session"])
        if session["state"] == "recovered":
            self.assertIn("recovered", [one.get("event") for one in shown if one["kind"] == "event"])

    def killAtStart(self, gateway: Gateway, random: Random) -> None:
        """Kill it also while it recovers."""
        assert gateway.process is not None
        gateway.process.kill()
        gateway.launch()
        time.sleep(random.uniform(0.0, 1.0))
        gateway.process.kill()

    def test_written(self) -> None:
        self.rounds(ROUNDS * 7 // 10, "written", 1)

    def test_synced(self) -> None:
        self.rounds(ROUNDS * 3 // 10, "synced", 2)
