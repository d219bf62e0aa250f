"""
The drivers' own test-suites, directly and through the gateway: nothing may fail there that does not fail directly.

    python -m tests.peers.suites [asyncpg] [pg8000] [psycopg2]

The sources come from the package index, once, and stay under C{$HOOPX_CACHE/suites}. Exit status 1: something differs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from attrs import frozen

from tests.peers.harness.finding import CACHE
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import ADMIN, Postgres, debian
from tests.peers.harness.processes import folder

HOME: Final = CACHE / "suites"
LIMIT: Final = 1800
TOOLS: Final = ("pytest", "pytest-timeout", "pytest-mock", "pytest-benchmark", "pytz", "python-dateutil", "docutils", "distro")
BAD: Final = ("failure", "error")


@frozen
class Suite:
    """
    @ivar name: of the driver, and of its source distribution.
    @ivar version: pinned.
    @ivar wheel: what is installed, where it is not the driver by its name.
    @ivar tests: the folder of tests in the source.
    @ivar database: that the tests ask for: the target's name too.
    @ivar more: databases that the tests make and connect to.
    @ivar apart: what can not be compared, with the reason.
    """

    name: str
    version: str
    tests: str
    database: str
    wheel: str = ""
    more: Sequence[str] = ()
    apart: Mapping[str, str] = {}
    arguments: Sequence[str] = ()


RACE: Final = "how far the client gets before the server's error reaches it: a race that is lost directly too at times, and behind pgbouncer"
LOGIN: Final = "logs in as a user of its own making, or asserts the server's way of login: through the gateway that is the gateway's"

SUITES: Final = (
    Suite(
        "pg8000",
        "1.31.6",
        "test",
        "postgres",
        apart=dict.fromkeys(
            [
                "test.dbapi.test_connection.test_password_bytes",
                "test.legacy.test_connection.testBytesPassword",
                "test.legacy.test_connection.test_scram_sha_256",
                "test.native.test_connection.test_bytes_password",
            ],
            LOGIN,
        ),
        arguments=["--ignore-glob=*/auth", "--ignore=test/test_readme.py", "--benchmark-disable"],
    ),
    Suite("psycopg2", "2.9.10", "tests", "psycopg2_test", "psycopg2-binary"),
    Suite(
        "asyncpg",
        "0.30.0",
        "tests",
        "postgres",
        more=["testdb", "asyncpg_intro_test"],
        apart={"tests.test_execute.TestExecuteMany.test_executemany_server_failure_during_writes": RACE},
    ),
)


def prepare(suites: Sequence[Suite]) -> Path:
    """@return: the Python of an environment with the drivers and pytest."""
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
    wanted = [f"{suite.wheel or suite.name}=={suite.version}" for suite in suites]
    subprocess.run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *TOOLS, *wanted], check=True)
    return python


def source(suite: Suite, python: Path) -> Path:
    """@return: the unpacked source, without the package itself, so that the installed one is tested."""
    kept = HOME / "sdist"
    pattern = f"{suite.name}-{suite.version}.tar.gz"
    if not (kept / pattern).exists():
        subprocess.run(
            [str(python), "-m", "pip", "download", "-q", "--no-deps", "--no-binary", suite.name, "-d", str(kept), f"{suite.name}=={suite.version}"],
            check=True,
        )  # fmt: skip
    where = folder(suite.name)
    with tarfile.open(kept / pattern) as archive:
        archive.extractall(where, filter="data")
    tree = where / f"{suite.name}-{suite.version}"
    shutil.rmtree(tree / suite.name, ignore_errors=True)
    shutil.rmtree(tree / "src", ignore_errors=True)
    return tree


def run(suite: Suite, python: Path, tree: Path, port: int, password: str, label: str) -> dict[str, str]:
    """@return: name of each test -> what became of it."""
    report = folder("report") / "report.xml"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "PYTHON"))}
    environment.update(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="postgres", PGPASSWORD=password, PGDATABASE=suite.database,
                       PSYCOPG2_TESTDB=suite.database, PSYCOPG2_TESTDB_HOST="127.0.0.1", TZ="UTC")  # fmt: skip
    log = report.with_name("log")
    with log.open("wb") as output:
        subprocess.run(
            [str(python), "-m", "pytest", "-q", "--timeout=90", "-p", "no:cacheprovider", "--rootdir", str(tree),
             f"--junitxml={report}", *suite.arguments, suite.tests],
            cwd=tree, env=environment, stdout=output, stderr=subprocess.STDOUT, timeout=LIMIT,
        )  # fmt: skip
    if not report.exists():
        raise SystemExit(f"{suite.name} {label} did not run:\n{log.read_text(errors='replace')[-3000:]}")
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in case]
        outcome = next((kind for kind in kinds if kind in BAD), "skipped" if "skipped" in kinds else "passed")
        found[f"{case.get('classname')}.{case.get('name')}"] = outcome
    counts = {kind: list(found.values()).count(kind) for kind in ("passed", "skipped", *BAD)}
    print(f"{suite.name} {suite.version} {label}: {counts}   log: {log}", flush=True)
    return found


def fresh(server: Postgres, suite: Suite) -> None:
    """An empty database for each run."""
    with server.connect(database="shop") as control:
        if suite.database != "postgres":
            control.execute(f'DROP DATABASE IF EXISTS "{suite.database}" WITH (FORCE)')
            control.execute(f'CREATE DATABASE "{suite.database}"')
    with server.connect(database=suite.database) as control:
        if suite.database == "postgres":
            control.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
        control.execute("CREATE EXTENSION IF NOT EXISTS hstore")


def main(names: Sequence[str]) -> int:
    chosen = [suite for suite in SUITES if not names or suite.name in names]
    python = prepare(chosen)
    server = debian()
    databases = sorted({name for suite in chosen for name in (suite.database, *suite.more)})
    superuser = account("postgres", password=ADMIN)
    gateway = Gateway(
        [target(name, server, superuser).replace(f'"{server.database}"', f'"{name}"') for name in databases], name="suites"
    ).start()
    differing = 0
    for suite in chosen:
        tree = source(suite, python)
        fresh(server, suite)
        direct = run(suite, python, tree, server.port, ADMIN, "directly")
        fresh(server, suite)
        through = run(suite, python, tree, gateway.port, gateway.token(), "through the gateway")
        worse = [name for name, outcome in through.items() if outcome in BAD and direct.get(name) not in BAD]
        worse += [name for name in direct if name not in through]
        for name in worse:
            reason = suite.apart.get(name)
            print(f"  {'apart' if reason else 'WORSE'}: {name}{': ' + reason if reason else ''}")
            differing += reason is None
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
