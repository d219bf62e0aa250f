"""
node-postgres through the gateway.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, nodePostgres, require
from tests.peers.harness.routes import Directly, Through
from tests.peers.harness.waiting import PATIENCE

PROGRAM = Path(__file__).with_name("programs") / "peer.js"
CHECKS = [
    "types", "prepared", "binary", "queued", "errors", "transaction", "notifications", "large", "many", "timeout", "encrypted", "pool",
]  # fmt: skip


class NodeTests(Through):
    def test_all(self) -> None:
        modules, route = nodePostgres(), self.route()
        tls = "1" if route.gateway is not None or route.server.authority is not None else "0"
        environment = route.environment(NODE_PATH=str(modules), PEER_TLS=tls)
        # node-postgres reads it in its own way.
        del environment["PGSSLMODE"]
        done = subprocess.run([require("node"), str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=5 * PATIENCE)
        self.assertEqual([line[6:] for line in done.stdout.splitlines()], CHECKS, done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)


class NodeThroughTests(NodeTests, SynchronousTestCase):
    pass


if DIRECT:

    class NodeDirectTests(Directly, NodeTests, SynchronousTestCase):
        pass
