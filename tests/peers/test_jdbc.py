"""
PostgreSQL's JDBC driver through the gateway.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, jdbcDriver, require
from tests.peers.harness.processes import folder
from tests.peers.harness.routes import Directly, Through

SOURCE = Path(__file__).with_name("programs") / "Peer.java"
CHECKS = ["types", "batch", "batchError", "copy", "cancel", "notifications", "largeObject", "metadata", "savepoints", "modes"]


@functools.cache
def classes() -> str:
    """@return: the class path of the compiled program."""
    driver = jdbcDriver()
    made = folder("jdbc")
    done = subprocess.run(
        [require("javac"), "-cp", driver, "-d", str(made), str(SOURCE)], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return f"{made}:{driver}"


class JdbcTests(Through):
    def holds(self, mode: str) -> None:
        route = self.route()
        url = f"jdbc:postgresql://{route.host}:{route.port}/{route.database}?sslmode={mode}"
        argv = [require("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", classes(), "Peer", url, route.user]
        done = subprocess.run(argv, input=route.password, capture_output=True, text=True, timeout=600)
        self.assertEqual([line[6:] for line in done.stdout.splitlines()], CHECKS, done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_plain(self) -> None:
        self.holds("disable")

    def test_encrypted(self) -> None:
        if self.route().gateway is not None or self.route().server.authority is not None:
            self.holds("require")


class JdbcThroughTests(JdbcTests, SynchronousTestCase):
    pass


if DIRECT:

    class JdbcDirectTests(Directly, JdbcTests, SynchronousTestCase):
        pass
