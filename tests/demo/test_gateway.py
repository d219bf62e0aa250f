"""
Tests for L{hoopx.demo.gateway}.
"""

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.config.loader import load
from hoopx.demo.database import DemoFailed, freePort
from hoopx.demo.gateway import DemoGateway


class GatewayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.gateway = DemoGateway(self.folder)
        self.addCleanup(self.gateway.stop)

    def test_configuration(self) -> None:
        """What is written is a configuration, and the secret is not in it."""
        self.gateway.configure(15432, 5432, "swordfish")
        settings = load(str(self.gateway.configuration))
        self.assertEqual(settings.listeners[0].endpoint, "tcp:15432:interface=127.0.0.1")
        self.assertEqual(settings.targets["shop"].endpoint, "tcp:127.0.0.1:5432")
        self.assertNotIn("swordfish", self.gateway.configuration.read_text())
        self.assertEqual(stat.S_IMODE((self.folder / "secrets/shop-app").stat().st_mode), 0o600)

    def test_startAndStop(self) -> None:
        self.gateway.configure(freePort(), 5432, "swordfish")
        self.gateway.start()
        self.assertEqual(self.gateway.client.status()["listeners"][0]["address"], f"127.0.0.1:{self.gateway.port}")
        self.gateway.watch()
        self.gateway.stop()
        self.assertFalse(self.gateway.client.runs())

    def test_doesNotStart(self) -> None:
        self.gateway.configure(freePort(), 5432, "swordfish")
        self.gateway.configuration.write_text("nonsense = 1\n")
        error = self.assertRaises(DemoFailed, self.gateway.start)
        self.assertIn(str(self.folder / "gateway.log"), error.hint)
        self.assertRaises(DemoFailed, self.gateway.watch)

    def test_command(self) -> None:
        self.gateway.configure(15432, 5432, "swordfish")
        self.assertIn("raw", self.gateway.hoopx("protocols"))
        error = self.assertRaises(DemoFailed, self.gateway.hoopx, "nonsense")
        self.assertIn("nonsense", str(error))
