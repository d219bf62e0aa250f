# -*- test-case-name: tests.test_packaging -*-
"""
A wheel of this checkout, built once per test run from the sdist, and virtual environments to try it in.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PARTS = (
    "src", "plugins", "twisted", "tests", "docs", "newsfragments", "benchmarks", "deploy", ".ci", "setup.cfg", "pyproject.toml",
    "MANIFEST.in", "tox.ini", "LICENSE", "README.rst", "NEWS.rst", "CONTRIBUTING.rst", "SECURITY.rst",
)
"""What a clean clone holds; a used tree holds more, which must not get into the build."""


def run(*command: str | Path, **options) -> str:
    """
    @return: standard output.
    @raise AssertionError: with all that was said, when the command fails.
    """
    done = subprocess.run([str(word) for word in command], stdout=-1, stderr=-2, stdin=-3, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def clean(**more: str) -> dict[str, str]:
    """An environment in which an interpreter sees its own site-packages alone."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, **more}


@functools.cache
def scratch() -> Path:
    """A folder for the whole test run."""
    folder = Path(tempfile.mkdtemp(prefix="hoopx-packaging-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def copyOf(folder: Path, to: Path) -> Path:
    """The folder without what tools and people leave in it: caches, builds, links."""
    left = shutil.ignore_patterns("__pycache__", "*.egg-info", "dropin.cache", "_build", "build")

    def ignore(where: str, names: list[str]) -> set[str]:
        return set(left(where, names)) | {name for name in names if os.path.islink(os.path.join(where, name))}

    return Path(shutil.copytree(folder, to, ignore=ignore))


@functools.cache
def built() -> tuple[Path, Path]:
    """The sdist of this checkout, and the wheel built from it."""
    tree = scratch() / "tree"
    tree.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            copyOf(ROOT / part, tree / part)
        elif (ROOT / part).exists():
            shutil.copy2(ROOT / part, tree / part)
    run(sys.executable, "-m", "build", "--outdir", scratch() / "dist", tree, env=clean())
    (sdist,) = scratch().glob("dist/*.tar.gz")
    (wheel,) = scratch().glob("dist/*.whl")
    return sdist, wheel


def environment(name: str, *packages: str | Path) -> Path:
    """
    A fresh virtual environment with the packages.

    @return: its C{bin}.
    """
    folder = scratch() / name
    run(sys.executable, "-m", "venv", folder, env=clean())
    run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages, env=clean())
    return folder / "bin"
