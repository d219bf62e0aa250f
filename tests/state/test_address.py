from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.state.address import locate
from hoopx.values import Reference

SECRET = "postgresql://gw:hunter2@db.example/hoopx?sslmode=verify-full"


class LocateTests(SynchronousTestCase):
    def refused(self, url: object, store: str = "state") -> str:
        error = self.assertRaises(ConfigurationError, locate, url, Path("/d"), store)
        self.assertEqual(error.key, f"{store}.url")
        self.assertNotIn("hunter2", str(error))
        return str(error)

    def file(self, content: str) -> Reference:
        path = Path(self.mktemp())
        path.write_text(content)
        return Reference("file", str(path))

    def test_default(self) -> None:
        self.assertEqual(locate("sqlite:", Path("/d")).database, "/d/state.sqlite")
        self.assertEqual(locate("sqlite:", Path("/d"), "index").database, "/d/index.sqlite")

    def test_others(self) -> None:
        for url in ("sqlite:/elsewhere", "mysql:", ""):
            self.assertIn("sqlite:", self.refused(url))
            self.assertIn("index.sqlite", self.refused(url, "index"))

    def test_passwordInTheOpen(self) -> None:
        """It belongs into a file of its own, and is not repeated."""
        for url in (SECRET, SECRET.replace("postgresql", "postgres"), SECRET.replace(":", "+psycopg:", 1)):
            self.assertIn("{ file =", self.refused(url))

    def test_reference(self) -> None:
        for text in (SECRET, SECRET + "\n", SECRET.replace("postgresql", "postgres")):
            url = locate(self.file(text), Path("/d"))
            self.assertEqual((url.drivername, url.host, url.password), ("postgresql+psycopg", "db.example", "hunter2"))
            self.assertEqual(url.query["sslmode"], "verify-full")

    def test_environment(self) -> None:
        """Read once, and gone from the environment; known when it is asked for again."""
        self.patch(os, "environ", os.environ)
        os.environ["HOOPX_TEST_STATE_URL"] = SECRET
        for _ in range(2):
            url = locate(Reference("env", "HOOPX_TEST_STATE_URL"), Path("/d"))
            self.assertEqual(url.password, "hunter2")
            self.assertNotIn("HOOPX_TEST_STATE_URL", os.environ)

    def test_wrongReference(self) -> None:
        self.assertIn("not set", self.refused(Reference("env", "HOOPX_TEST_UNSET")))
        self.assertIn("No such file", self.refused(Reference("file", "/nowhere")))
        self.assertIn("vault", self.refused(Reference("vault", "a#b")))
        for text in ("hunter2", "mysql://gw:hunter2@db/x", "postgresql://gw:hunter2@db", "hunter2://", "postgresql://gw:hunter2@db:port/x"):
            self.refused(self.file(text))
