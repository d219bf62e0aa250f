"""
What is shipped: the tree, the sdist, the wheel, and what installing and removing it does to a machine.
"""

from __future__ import annotations

import configparser
import re
import tarfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging import ROOT, built, clean, environment, run


def packagesOnDisk() -> list[str]:
    """Dotted names of all folders below C{src/hoopx} that hold modules, and the two folders of drop-ins."""
    folders = {path.parent for path in (ROOT / "src").rglob("*.py")}
    return sorted([".".join(folder.relative_to(ROOT / "src").parts) for folder in folders] + ["hoopx.plugins", "twisted.plugins"])


class TreeTests(SynchronousTestCase):
    """The checkout."""

    def setUp(self) -> None:
        self.settings = configparser.ConfigParser()
        self.settings.read(ROOT / "setup.cfg")

    def test_packages(self) -> None:
        """The list by hand is the tree."""
        listed = self.settings["options"]["packages"].split()
        self.assertEqual(sorted(listed), packagesOnDisk())

    def test_packagesHaveInit(self) -> None:
        missing = [name for name in packagesOnDisk()[:-1] if name != "hoopx.plugins"
                   and not ROOT.joinpath("src", *name.split("."), "__init__.py").exists()]
        self.assertEqual(missing, [])

    def test_noTwistedInit(self) -> None:
        """Such a file would overwrite Twisted's own, and uninstalling hoopx would remove it."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])
        self.assertFalse((ROOT / "src/twisted").exists())
        self.assertFalse((ROOT / "src/hoopx/plugins").exists())

    def test_dropins(self) -> None:
        """Drop-ins bear the distribution's name: two of one name overwrite each other."""
        for folder in ("plugins", "twisted/plugins"):
            names = [path.name for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
            self.assertEqual([name for name in names if not name.startswith("hoopx_")], [])

    def test_noPlaces(self) -> None:
        """Nothing in the tree knows the machine it was written on."""
        places = re.compile("|".join(["/wo" + "rk/", "/opt" + "/hx", "/ro" + "ot/", "/tmp/" + "team", "/home/[a-z]+/" + "src"]))
        found = []
        for part in ("src", "plugins", "twisted", "tests", "docs", "benchmarks", "deploy", "newsfragments", ".ci"):
            files = [path for path in (ROOT / part).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
            found += [path for path in files if path.name != "dropin.cache" and places.search(path.read_text(errors="replace"))]
        found += [path for path in ROOT.glob("*.*") if path.is_file() and places.search(path.read_text(errors="replace"))]
        self.assertEqual([str(path.relative_to(ROOT)) for path in found], [])


class BuiltTests(SynchronousTestCase):
    """The sdist, and the wheel that is built from it."""

    def setUp(self) -> None:
        sdist, wheel = built()
        with tarfile.open(sdist) as archive:
            self.source = {name.partition("/")[2] for name in archive.getnames()}
        with zipfile.ZipFile(wheel) as archive:
            self.wheel = set(archive.namelist())

    def test_wheelHoldsTheTree(self) -> None:
        """Every module and drop-in, and nothing of Twisted's."""
        expected = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/hoopx").rglob("*.py")}
        expected |= {f"hoopx/plugins/{path.name}" for path in (ROOT / "plugins").glob("*.py")}
        expected |= {f"twisted/plugins/{path.name}" for path in (ROOT / "twisted/plugins").glob("*.py")}
        expected.add("hoopx/py.typed")
        self.assertEqual({name for name in self.wheel if ".dist-info/" not in name}, expected)
        for name in ("twisted/__init__.py", "twisted/plugins/__init__.py"):
            self.assertNotIn(name, self.wheel)
        for name in ("hoopx/plugins/hoopx_postgres.py", "twisted/plugins/hoopx_service.py", "hoopx/state/migrations/env.py"):
            self.assertIn(name, self.wheel)

    def test_sdistHoldsTestsAndDocs(self) -> None:
        wanted = {"tests/test_packaging.py", "docs/index.rst", "tox.ini", "LICENSE", ".ci/run"}
        wanted |= {f"docs/howto/listings/{name}/setup.cfg" for name in ("redislike", "redismasked")}
        self.assertEqual(wanted - self.source, set())
        unwanted = [name for name in self.source if name.endswith((".pyc", "dropin.cache")) or "__pycache__" in name]
        self.assertEqual(unwanted, [])


class InstalledTests(SynchronousTestCase):
    """What a machine has after C{pip install}, and after C{pip uninstall}."""

    timeout = 300

    def test_installAndRemove(self) -> None:
        commands = environment("plain", built()[1])
        self.assertRegex(run(commands / "twistd", "--help", env=clean()), r"\n +hoopx +A recording gateway")
        self.assertRegex(run(commands / "twistd", "--help-reactors", env=clean()), r"\n\s+hoopx\s")
        self.assertIn("demo", run(commands / "hoopx", "--help", env=clean()))
        listing = "from hoopx.registry import protocols; print(*sorted(recorder.name for recorder in protocols().values()))"
        self.assertEqual(run(commands / "python", "-c", listing, env=clean()).split()[-2:], ["postgres", "raw"])
        stores = (
            "import pathlib, sys; from hoopx.state.store import Store; from hoopx.index.store import INDEX, openForWriting; "
            "from hoopx.state.schema import revision; place = pathlib.Path(sys.argv[1]); Store.open('sqlite:', place).close(); "
            "engine = openForWriting(place / 'index.sqlite'); print(revision(engine.connect(), INDEX) == INDEX.head)"
        )
        self.assertEqual(run(commands / "python", "-c", stores, self.mktemp(), env=clean()).split(), ["True"])
        run(commands / "pip", "check", env=clean())

        run(commands / "pip", "uninstall", "--quiet", "--yes", "hoopx", env=clean())
        helped = run(commands / "twistd", "--help", env=clean())
        self.assertIn("procmon", helped)
        self.assertNotIn("recording gateway", helped)
        left = [path for path in Path(commands).parent.rglob("*") if path.is_file() and "hoopx" in path.name]
        self.assertEqual([path.name for path in left if path.suffix != ".pyc"], [])
