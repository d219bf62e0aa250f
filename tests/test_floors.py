"""
The house rules that a machine can see: imports only go down, nobody takes the reactor, modules stay small and name their tests.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    0: "interfaces relay values errors plugin",
    1: "framing frames heading preamble reading telling masking policy protocols export ulid",
    2: "identity secrets approval storage ledger witness curator state index retention metrics recording tls site",
    3: "mitm door halves lobby admission session lane leg aside computing offers throttle timers broker alarming",
    4: "registry config service wiring gateway tap reactor allocator cli demo api plugins",
}
ROOMS = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}

ADAPTORS = {"hoopx.protocols.ssh.factory", "hoopx.protocols.ssh.channels"}
"""Protocols that bring their own transport have an adaptor on the core's floor."""

PROGRAMS = {"hoopx.curator.__main__", "hoopx.curator.indexer", "hoopx.curator.making"}
"""A process of its own is put together from what is installed, and has a reactor."""

SANS_IO = ("twisted.internet", "socket", "ssl", "select", "selectors", "asyncio", "threading", "subprocess", "multiprocessing")
"""What a module of floors 0 and 1 may not import."""

LINES = 400
"""No module is longer."""


class Import(NamedTuple):
    module: str
    function: str | None    # the outermost function it stands in
    line: int


def importsOf(source: str) -> list[Import]:
    """Every import of a module, C{from a import b} as C{a.b}, wherever it stands."""
    found = []

    def walk(node: ast.AST, function: str | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(alias.name, function, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = "." * child.level + (child.module or "")
                found.extend(Import(f"{base}.{alias.name}", function, child.lineno) for alias in child.names)
            inner = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else None
            walk(child, function or inner)

    walk(ast.parse(source), None)
    return found


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Is the dotted name one of the packages, or inside one?"""
    return any(name == package or name.startswith(package + ".") for package in packages)


def floorOf(module: str) -> int:
    """
    The floor of one of hoopx's modules.

    @raise KeyError: no such room.
    """
    if module == "hoopx":
        return 0
    if module in ADAPTORS:
        return 3
    if module in PROGRAMS:
        return 4
    if module.startswith("twisted.plugins."):
        return 4
    return ROOMS[module.split(".")[1]]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module that hoopx installs: dotted name and file."""
    for folder, prefix in (("src", ""), ("plugins", "hoopx.plugins."), ("twisted/plugins", "twisted.plugins.")):
        base = ROOT / folder
        for path in sorted(base.rglob("*.py")):
            name = prefix + ".".join(path.relative_to(base).with_suffix("").parts)
            yield re.sub(r"\.?__init__$", "", name), path


def upward(module: str, source: str) -> list[str]:
    """Imports that go up, or that the module's floor may not make."""
    floor = floorOf(module)
    complaints = []
    for name, _function, line in importsOf(source):
        if name.startswith("."):
            complaints.append(f"{module}:{line}: relative import")
        elif floor <= 1 and within(name, SANS_IO):
            complaints.append(f"{module}:{line}: floor {floor} imports {name}")
        elif within(name, ("hoopx",)) and name.count(".") and name != "hoopx.__version__" and floorOf(name) > floor:
            complaints.append(f"{module}:{line}: floor {floor} imports {name} of floor {floorOf(name)}")
    return complaints


def takesReactor(module: str, source: str) -> list[str]:
    """Imports of the reactor anywhere but in C{hoopx.tap.makeService} and in functions of C{hoopx.cli} and of other programs."""
    return [
        f"{module}:{line}: imports the reactor"
        for name, function, line in importsOf(source)
        if within(name, ("twisted.internet.reactor",))
        and not (module == "hoopx.tap" and function == "makeService")
        and not (within(module, ("hoopx.cli", *PROGRAMS)) and function)
    ]


class WalkTests(SynchronousTestCase):
    """The walker itself sees what it has to see."""

    def test_nested(self) -> None:
        source = "import a.b, c\ndef f():\n    def g():\n        from d import e\nif x:\n    from . import h\n"
        self.assertEqual(
            importsOf(source),
            [Import("a.b", None, 1), Import("c", None, 1), Import("d.e", "f", 4), Import("..h", None, 6)],
        )

    def test_upward(self) -> None:
        self.assertEqual(len(upward("hoopx.policy.access", "from hoopx.state import store")), 1)
        self.assertEqual(len(upward("hoopx.protocols.raw.view", "def f():\n from twisted.internet.defer import Deferred")), 1)
        self.assertEqual(len(upward("hoopx.door", "from .values import CLIENT")), 1)
        self.assertEqual(upward("hoopx.door", "from hoopx import __version__\nfrom hoopx.values import CLIENT"), [])

    def test_unknownRoom(self) -> None:
        self.assertRaises(KeyError, floorOf, "hoopx.helpers")
        self.assertRaises(KeyError, upward, "hoopx.door", "import hoopx.helpers")

    def test_reactor(self) -> None:
        take = "from twisted.internet import reactor"
        self.assertEqual(len(takesReactor("hoopx.tap", take)), 1)
        self.assertEqual(len(takesReactor("hoopx.cli.main", take)), 1)
        self.assertEqual(len(takesReactor("hoopx.service", f"def f():\n {take}")), 1)
        self.assertEqual(takesReactor("hoopx.tap", f"def makeService(options):\n {take}"), [])


class FloorTests(SynchronousTestCase):
    """The house as it stands."""

    def complaints(self, check) -> None:
        found = [complaint for module, path in modules() for complaint in check(module, path.read_text())]
        if found:
            self.fail("\n".join(found))

    def test_rooms(self) -> None:
        """Every module stands in a known room, and the walk meets the drop-ins."""
        names = [module for module, _path in modules()]
        for module in names:
            floorOf(module)
        self.assertIn("hoopx.plugins.hoopx_raw", names)
        self.assertIn("twisted.plugins.hoopx_service", names)
        self.assertGreater(len(names), 30)

    def test_upward(self) -> None:
        self.complaints(upward)

    def test_reactor(self) -> None:
        self.complaints(takesReactor)

    def test_length(self) -> None:
        self.complaints(lambda module, source: [module] if source.count("\n") > LINES else [])

    def test_named(self) -> None:
        """Each module with code names its test module on its first line, and that exists."""

        def check(module: str, source: str) -> list[str]:
            if module in ("hoopx.interfaces", "hoopx.relay") or "plugins." in module or ".migrations." in module:
                return []   # declarations; migrations are tested as a whole
            if not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.parse(source).body):
                return []
            match = re.match(r"# -\*- test-case-name: (tests[\w.]*) -\*-\n", source)
            if match is None:
                return [f"{module}: names no tests"]
            path = ROOT.joinpath(*match[1].split("."))
            known = path.with_suffix(".py").exists() or path.joinpath("__init__.py").exists()
            return [] if known else [f"{module}: no {match[1]}"]

        self.complaints(check)

    def loaded(self, rooms: list[tuple[str, Path]]) -> list[str]:
        """What a fresh interpreter has loaded after importing the modules, drop-ins by their files."""
        code = (
            "import importlib, json, runpy, sys\n"
            "for name, path in json.loads(sys.argv[1]):\n"
            "    runpy.run_path(path) if 'plugins.' in name else importlib.import_module(name)\n"
            "print(json.dumps(list(sys.modules)))"
        )
        rooms = [(module, str(path)) for module, path in rooms if module != "hoopx.plugins"]
        command = [sys.executable, "-c", code, json.dumps(rooms)]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_noReactorInstalled(self) -> None:
        """Looking for plugins, or importing anything but the reactor's own installer, chooses no reactor."""
        rooms = [(m, path) for m, path in modules() if not m.startswith("hoopx.state.migrations") and m != "hoopx.reactor"]
        self.assertNotIn("twisted.internet.reactor", self.loaded(rooms))

    def test_sansIO(self) -> None:
        """Floors 0 and 1 load no event loop, through nobody."""
        loaded = self.loaded([(module, path) for module, path in modules() if floorOf(module) <= 1])
        self.assertEqual([name for name in loaded if within(name, ("twisted.internet.base", "twisted.internet.defer"))], [])
