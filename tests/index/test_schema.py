from __future__ import annotations

import os
import stat
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, insert, text
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.frames import ulid
from hoopx.index.entries import KINDS
from hoopx.index.rows import blank, firstNumber
from hoopx.index.search import search
from hoopx.index.store import INDEX, PRAGMAS, NoIndex, openForReading, openForWriting
from hoopx.index.tables import itemId, items, metadata, sessions
from hoopx.index.traces import Traces
from hoopx.index.writer import IndexWriter
from hoopx.state.engine import close, connect
from hoopx.state.schema import Schema, configuration, revision, upgrade


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
        """An index in which the words of all kinds stand together: each is found among its kind afterwards, and no trace stays of what is erased."""
        old = Schema("0002", INDEX.versions, INDEX.table, INDEX.name, INDEX.key, INDEX.advice)
        engine = connect(URL.create("sqlite", database=str(self.path)), PRAGMAS)
        said = [(1, "command"), (2, "output"), (3, "event"), (4, "result"), (5, "command"), (6, "file")]
        with engine.execution_options(write=True).begin() as connection:
            upgrade(connection, "it", old)
            session = ulid(1_700_000_000.0)
            row = {**blank(session), "number": firstNumber(session)}
            connection.execute(insert(sessions).values(**row))
            for number, kind in said:
                thing = {
                    "id": itemId(row["number"], number), "session": row["number"], "hash": number, "kind": kind, "text": f"said in {kind} zanzibar",
                    "parameters": "", "at": 1.0, "last": 1.0, "count": 1, "sequence": 1,
                }  # fmt: skip
                connection.execute(insert(items).values(**thing))
                connection.execute(text("INSERT INTO words (rowid, text, parameters) VALUES (:id, :text, '')"), thing)
        close(engine)
        self.assertRaises(NoIndex, openForReading, self.path)
        engine = openForWriting(self.path)
        self.addCleanup(close, engine)
        for kind in KINDS:
            expected = [f"said in {each} zanzibar" for _, each in said[::-1] if each == kind]
            self.assertEqual([one["text"] for one in search(engine, "said in", kinds=(kind,))], expected)
        self.assertEqual(len(search(engine, "said")), 6)
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
