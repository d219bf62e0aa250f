"""
Credential sources from declaration to use.
"""

from __future__ import annotations

from pathlib import Path

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.interfaces import ICredentialSource
from hoopx.registry import credentialSources
from hoopx.secrets import env
from hoopx.secrets.declared import DeclaredSource, startSources
from hoopx.values import Identity, Reference, Target
from tests.secrets.test_broker import FakeSource
from tests.secrets.test_file import Threads

ALICE = Identity("local", "alice", "alice")
ORDERS = Target("orders", "postgres", "tcp:a:1")


class DeclaredTests(SynchronousTestCase):
    def test_interface(self) -> None:
        declared = DeclaredSource("x", "not.loaded.yet")
        verifyObject(ICredentialSource, declared)
        verifyObject(IPlugin, declared)
        self.assertRaises(RuntimeError, declared.fetch, Reference("x", "a"), ALICE, ORDERS)

    def test_installed(self) -> None:
        """The drop-ins that come with hoopx, started and asked."""
        path = Path(self.mktemp()).absolute()
        path.write_bytes(b"from a file\n")
        path.chmod(0o600)
        env.os.environ["HOOPX_TEST_DECLARED"] = "from outside"
        references = [Reference("file", str(path)), Reference("env", "HOOPX_TEST_DECLARED")]
        secrets = startSources(credentialSources(), Threads(), references)
        self.assertNotIn("HOOPX_TEST_DECLARED", env.os.environ)
        found = [self.successResultOf(secrets.fetch(reference, ALICE, ORDERS)) for reference in references]
        self.assertEqual(found, [b"from a file", b"from outside"])
        self.assertEqual(secrets.schemes, ["env", "file"])

    def test_strangers(self) -> None:
        """A plugin that needs nothing is used as it is."""
        source = FakeSource(lambda: None)
        self.assertEqual(startSources({"test": source}, Threads(), [])._sources, {"test": source})
