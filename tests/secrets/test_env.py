"""
Secrets in the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import TargetFailed
from hoopx.interfaces import ICredentialSource
from hoopx.secrets.env import EnvironmentSource
from hoopx.values import Identity, Reference, Target


class EnvironmentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.environ = {"A": "secret", "EMPTY": "", "OTHER": "x", "ODD": os.fsdecode(b"\xff\xfe")}
        self.taken: dict = {}

    def source(self, *names: str) -> EnvironmentSource:
        return EnvironmentSource(names, self.environ, self.taken)

    def fetch(self, source: EnvironmentSource, name: str):
        return source.fetch(Reference("env", name), Identity("local", "a", "a"), Target("t", "postgres", "tcp:a:1"))

    def test_interface(self) -> None:
        verifyObject(ICredentialSource, self.source())

    def test_takenOut(self) -> None:
        """What is referred to is gone from the environment at once; the rest stays."""
        source = self.source("A", "MISSING")
        self.assertEqual(sorted(self.environ), ["EMPTY", "ODD", "OTHER"])
        self.assertEqual(self.successResultOf(self.fetch(source, "A")), b"secret")
        self.assertEqual(self.successResultOf(self.fetch(source, "A")), b"secret")

    def test_another(self) -> None:
        """A second gateway in this process, or the same after a reload, finds what the first has taken."""
        self.source("A")
        self.assertEqual(self.successResultOf(self.fetch(self.source("A"), "A")), b"secret")

    def test_later(self) -> None:
        """A reference that came with a reload."""
        source = self.source()
        self.assertEqual(self.successResultOf(self.fetch(source, "ODD")), b"\xff\xfe")
        self.assertNotIn("ODD", self.environ)

    def test_missing(self) -> None:
        for name in ("MISSING", "EMPTY"):
            failed = self.failureResultOf(self.fetch(self.source(), name), TargetFailed)
            self.assertIn(f"the secret env:{name} can not be had: the variable is not set", failed.value.message)

    def test_children(self) -> None:
        """The process's own environment: a child does not get what was taken."""
        os.environ["HOOPX_TEST_SECRET"] = "x"
        source = EnvironmentSource(["HOOPX_TEST_SECRET"], taken=self.taken)
        code = "import os; print('HOOPX_TEST_SECRET' in os.environ)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout, b"False\n")
        self.assertEqual(self.successResultOf(self.fetch(source, "HOOPX_TEST_SECRET")), b"x")
