from __future__ import annotations

import os
import stat
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.index.store import INDEX, NoIndex, openForReading, openForWriting
from hoopx.index.tables import metadata
from hoopx.index.traces import Traces
from hoopx.index.writer import IndexWriter
from hoopx.state.engine import close
from hoopx.state.schema import configuration, revision
from tests.index.older import migrated, older


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "index.sqlite"

    def set(self, version: str) -> None:
        engine = openForWriting(self.path)
        with engine.execution_options(write=True).begin() as connection:
            connection.execute(text(f"UPDATE {INDEX.table} SET version_num = '{version}'"))
        close(engine)

    def test_head(self) -> None:
        self.assertEqual(ScriptDirectory.from_config(configuration(INDEX)).get_heads(), [INDEX.head])

    def test_sameAsTables(self) -> None:
        """What the migrations make is what the code believes in; the words are the database's own."""
        engine = openForWriting(self.path)
        self.addCleanup(close, engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"version_table": INDEX.table, "include_name": lambda name, kind, _: not str(name).startswith(("words", "covering"))}
            )
            self.assertEqual(compare_metadata(context, metadata), [])
            self.assertEqual(revision(connection, INDEX), INDEX.head)

    def test_kindsOfOlder(self) -> None:
        """The words of all kinds stand together in an older one; and no trace stays of what is erased afterwards."""
        session = older(URL.create("sqlite", database=str(self.path)))
        self.assertRaises(NoIndex, openForReading, self.path)
        engine = openForWriting(self.path)
        self.addCleanup(close, engine)
        migrated(self, engine)
        self.assertTrue(IndexWriter(engine, lambda session, number: (), {}).erase(session))
        self.assertTrue(Traces(engine).remove())
        self.assertNotIn(b"zanzibar", b"".join(path.read_bytes() for path in self.path.parent.glob("index.sqlite*")))

    def test_private(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        close(openForWriting(self.path))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_none(self) -> None:
        error = self.assertRaises(NoIndex, openForReading, self.path)
        self.assertIn("hoopx reindex", str(error))
        self.assertFalse(self.path.exists())

    def test_empty(self) -> None:
        self.path.parent.mkdir()
        self.path.touch()
        self.assertRaises(NoIndex, openForReading, self.path)

    def test_newer(self) -> None:
        self.set("9999")
        for open_ in (openForWriting, openForReading):
            error = self.assertRaises(ConfigurationError, open_, self.path)
            for word in ("9999", "newer", "index.sqlite", "hoopx reindex"):
                self.assertIn(word, str(error))
            self.assertEqual(error.key, "index.url")

    def test_older(self) -> None:
        self.set("0000")
        self.assertIn("hoopx reindex", str(self.assertRaises(NoIndex, openForReading, self.path)))

    def test_notADatabase(self) -> None:
        self.path.parent.mkdir()
        self.path.write_bytes(b"precious" * 1000)
        for open_ in (openForWriting, openForReading):
            self.assertIn("hoopx reindex", str(self.assertRaises(ConfigurationError, open_, self.path)))
        self.assertEqual(self.path.read_bytes(), b"precious" * 1000)

    def test_notAFile(self) -> None:
        self.path.mkdir(parents=True)
        self.assertRaises(ConfigurationError, openForWriting, self.path)
