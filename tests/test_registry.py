"""
Plugins found, refused and told apart.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx import registry
from hoopx.config import parse, unsupported
from hoopx.errors import ConfigurationError
from hoopx.interfaces import ICredentialSource, IProtocolRecorder

GOOD = "from hoopx.plugin import ProtocolRecorder\nrecorder = ProtocolRecorder({!r}, 's', conversation={!r}, view='')\n"


class InstalledTests(SynchronousTestCase):
    def test_protocols(self) -> None:
        found = registry.protocols()
        self.assertTrue({"postgres", "raw"} <= set(found))
        for name, recorder in found.items():
            verifyObject(IProtocolRecorder, recorder)
            self.assertEqual(recorder.name, name)

    def test_sources(self) -> None:
        found = registry.credentialSources()
        self.assertTrue({"file", "env"} <= set(found))
        for source in found.values():
            verifyObject(ICredentialSource, source)

    def test_nothingFails(self) -> None:
        self.assertEqual(registry.failures(), [])
        self.assertGreaterEqual(registry.warm(), 2)

    def test_identity(self) -> None:
        """Of what is installed: the distribution, its version, and a hash of the source."""
        import hoopx

        found = {
            name: registry.identity(recorder) for name, recorder in registry.protocols().items() if name in ("postgres", "raw")
        }
        for identity in found.values():
            self.assertEqual((identity.distribution, identity.version), ("hoopx", hoopx.__version__))
            self.assertRegex(identity.sha256, "^[0-9a-f]{64}$")
        self.assertNotEqual(found["postgres"].sha256, found["raw"].sha256)

    def test_noReactor(self) -> None:
        """Looking for plugins installs no reactor."""
        code = (
            "import sys, tests\nfrom hoopx import registry\n"
            "registry.protocols(), registry.credentialSources(), registry.failures()\n"
            "assert 'twisted.internet.reactor' not in sys.modules\n"
        )
        environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        self.assertEqual(done.stderr, "")


class StrangersTests(SynchronousTestCase):
    """A folder of drop-ins of our own."""

    number = 0

    def package(self, **dropins: str):
        StrangersTests.number += 1
        name = f"hoopx_test_plugins{StrangersTests.number}"
        folder = Path(self.mktemp()).absolute()
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("")
        for dropin, source in dropins.items():
            (folder / name / f"{dropin}.py").write_text(source)
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        importlib.invalidate_caches()
        self.folder = folder / name
        return importlib.import_module(name)

    def test_found(self) -> None:
        package = self.package(acme_a=GOOD.format("a", "x"), acme_b=GOOD.format("b", "x"))
        self.assertEqual(list(registry.protocols(package)), ["a", "b"])

    def test_twoOfOneName(self) -> None:
        package = self.package(acme_a=GOOD.format("same", "one.Thing"), acme_b=GOOD.format("same", "other.Thing"))
        error = self.assertRaises(ConfigurationError, registry.protocols, package)
        self.assertIn('two plugins are called "same"', error.message)
        for whence in ("one.Thing", "other.Thing"):
            self.assertIn(whence, error.message)

    def test_failures(self) -> None:
        """A drop-in that can not be imported is told with its reason; the others work."""
        package = self.package(acme_a=GOOD.format("a", "x"), acme_bad="import acme_that_is_not_there\n")
        self.assertEqual(list(registry.protocols(package)), ["a"])
        self.flushLoggedErrors()
        ((module, reason),) = registry.failures(package)
        self.assertEqual(module, f"{package.__name__}.acme_bad")
        self.assertEqual(reason, "ModuleNotFoundError: No module named 'acme_that_is_not_there'")

    def test_missingIsExplained(self) -> None:
        """A gateway that misses a protocol says which drop-in might have been it."""
        self.patch(registry, "failures", lambda: [("hoopx.plugins.acme", "ModuleNotFoundError: no acme")])
        (error,) = unsupported(parse("[[listeners]]\nprotocol='zzz'\nendpoint='tcp:1'\n", "/x"))
        self.assertIn('protocol "zzz" is not installed; there are: ', error.message)
        self.assertIn("; hoopx.plugins.acme can not be loaded: ModuleNotFoundError: no acme", error.message)

    def test_notWhole(self) -> None:
        """A provider without the interface's attributes is refused by name, before a client finds out."""
        source = (
            "from zope.interface import implementer\nfrom twisted.plugin import IPlugin\n"
            "from hoopx.interfaces import IProtocolRecorder\n"
            "@implementer(IPlugin, IProtocolRecorder)\nclass Half:\n    name = 'half'\nrecorder = Half()\n"
        )
        package = self.package(acme_half=source)
        error = self.assertRaises(ConfigurationError, registry.protocols, package)
        self.assertIn("acme_half is not whole", error.message)

    def test_optionsThatFail(self) -> None:
        source = GOOD.format("a", "x").replace("view=''", "view='', targetOptions='acme_nowhere.Options'")
        package = self.package(acme_a=source)
        error = self.assertRaises(ConfigurationError, registry.protocols, package)
        self.assertIn("can not be loaded", error.message)

    def test_identityFollowsTheSource(self) -> None:
        """Another byte in the drop-in or in the package that it names is another hash."""
        package = self.package(acme_a="", acme_b="")
        name = f"{package.__name__}.acme_code"
        (self.folder / "acme_code.py").write_text("class Conversation:\n    pass\n")
        (self.folder / "acme_a.py").write_text(GOOD.format("a", f"{name}.Conversation"))
        importlib.invalidate_caches()
        recorder = registry.protocols(package)["a"]
        seen = set()
        for file in ("acme_a.py", "acme_code.py"):
            registry._digest.cache_clear()
            seen.add(registry.identity(recorder, package).sha256)
            with open(self.folder / file, "a") as source:
                source.write("# more\n")
        registry._digest.cache_clear()
        identity = registry.identity(recorder, package)
        seen.add(identity.sha256)
        self.assertEqual(len(seen), 3)
        self.assertEqual((identity.distribution, identity.version), ("", ""))

    def test_identityOfWhatIsBroken(self) -> None:
        """What is installed and not used keeps nobody from starting, whatever it names."""
        package = self.package(acme_a=GOOD.format("a", "acme_nowhere.deep.Conversation"))
        self.assertRegex(registry.identity(registry.protocols(package)["a"], package).sha256, "^[0-9a-f]{64}$")

    def test_sinks(self) -> None:
        self.assertEqual(registry.eventSinks(self.package()), [])
        self.assertEqual(registry.storageBackends(self.package()), {})
