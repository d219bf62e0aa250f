from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError, OperationalError
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.engine import close, connect


class ConnectTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "data" / "state.sqlite"

    def mode(self, suffix: str = "") -> int:
        return stat.S_IMODE(os.stat(str(self.path) + suffix).st_mode)

    def test_private(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        engine = connect(self.path)
        self.addCleanup(engine.dispose)
        with engine.execution_options(write=True).begin() as connection:
            connection.execute(text("CREATE TABLE t (a)"))
            self.assertEqual((self.mode(), self.mode("-wal"), self.mode("-shm")), (0o600, 0o600, 0o600))
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)

    def test_tightens(self) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.touch()
        self.path.chmod(0o644)
        connect(self.path).dispose()
        self.assertEqual(self.mode(), 0o600)

    def test_twice(self) -> None:
        """
        A file that this process opens a second time stays locked: when another process lets go of it, that one does not believe to be
        the last, and does not remove the log in which what we write stands.
        """
        first = connect(self.path)
        self.addCleanup(first.dispose)
        with first.execution_options(write=True).begin() as connection:
            connection.execute(text("CREATE TABLE t (a)"))
        self.addCleanup(connect(self.path).dispose)
        look = f"import sqlite3; print(sqlite3.connect({str(self.path.absolute())!r}).execute('SELECT count(*) FROM t').fetchone()[0])"
        for number in range(2):
            done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.strip(), str(number))
            with first.execution_options(write=True).begin() as connection:
                connection.execute(text("INSERT INTO t VALUES (1)"))

    def test_nothingSaid(self) -> None:
        """What was to be written stands in no error: it would get into logs and alarms. A server's errors are its own words, too."""
        engine = connect(self.path)
        self.addCleanup(engine.dispose)
        with engine.execution_options(write=True).begin() as connection:
            connection.execute(text("CREATE TABLE t (a TEXT UNIQUE)"))
        with engine.execution_options(write=True).connect() as connection:
            connection.execute(text("INSERT INTO t VALUES (:a)"), {"a": "hunter2"})
            error = self.assertRaises(IntegrityError, connection.execute, text("INSERT INTO t VALUES (:a)"), {"a": "hunter2"})
        self.assertNotIn("hunter2", f"{error} {error!r}")
        server = connect(URL.create("postgresql+psycopg", host="127.0.0.1", port=1))
        self.addCleanup(close, server)
        self.assertTrue(server.hide_parameters)

    def test_noPermission(self) -> None:
        if os.geteuid() == 0:
            self.patch(os, "access", lambda path, how: False)
        self.path.parent.mkdir(parents=True)
        self.path.touch(0o000)
        self.assertRaises(PermissionError, connect, self.path)

    def test_pragmas(self) -> None:
        engine = connect(self.path)
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            values = [
                connection.execute(text("PRAGMA " + name)).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        self.assertEqual(values, ["wal", 2, 1, 5000])

    def test_writersWait(self) -> None:
        """A transaction that will write takes the lock at its beginning; a reader next to it is not disturbed."""
        engine = connect(self.path)
        self.addCleanup(engine.dispose)
        other = connect(self.path)
        self.addCleanup(other.dispose)
        with engine.execution_options(write=True).begin() as connection:
            connection.execute(text("CREATE TABLE t (a)"))
        with engine.execution_options(write=True).begin():
            with other.connect() as reader:
                self.assertEqual(reader.execute(text("SELECT count(*) FROM t")).scalar(), 0)
            with other.connect() as raw:
                raw.exec_driver_sql("PRAGMA busy_timeout = 0")
                raw.rollback()
                self.assertRaises(OperationalError, raw.execution_options(write=True).begin)
