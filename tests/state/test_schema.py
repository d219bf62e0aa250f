from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.state.engine import connect
from hoopx.state.rows import auditHash
from hoopx.state.schema import HEAD, configuration, revision, upgrade
from hoopx.state.store import Store
from hoopx.state.tables import metadata


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.engine = connect(self.data / "state.sqlite")
        self.addCleanup(self.engine.dispose)
        self.writing = self.engine.execution_options(write=True)

    def test_head(self) -> None:
        self.assertEqual(ScriptDirectory.from_config(configuration()).get_heads(), [HEAD])

    def test_fromEmpty(self) -> None:
        with self.writing.begin() as connection:
            self.assertIdentical(revision(connection), None)
            upgrade(connection, "state.sqlite")
            self.assertEqual(revision(connection), HEAD)

    def test_sameAsTables(self) -> None:
        """What the migrations make is what the code believes in."""
        with self.writing.begin() as connection:
            upgrade(connection, "state.sqlite")
        with self.engine.connect() as connection:
            self.assertEqual(compare_metadata(MigrationContext.configure(connection), metadata), [])

    def test_everyMigrationFromItsPredecessor(self) -> None:
        from alembic import command

        config = configuration()
        revisions = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
        for number in revisions:
            with self.writing.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, number)
        with self.engine.connect() as connection:
            self.assertEqual(revision(connection), HEAD)

    def test_hashesOfOldRows(self) -> None:
        """An audit that was there before its rows had hashes; afterwards it only grows, as before."""
        from alembic import command

        config = configuration()
        with self.writing.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            for number in range(1, 2500):
                connection.exec_driver_sql(f"INSERT INTO audit (at, actor, action, subject, details) VALUES ({number}.5, 'a', 'b', 'c', '{{\"d\": [1]}}')")
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        rows = store.auditAfter(0, 10_000)
        self.assertEqual([row["hash"] for row in rows], [auditHash(row) for row in rows])
        self.assertEqual(len({row["hash"] for row in rows}), 2499)
        with store.writing() as connection:
            self.assertRaises(IntegrityError, connection.execute, text("UPDATE audit SET hash = ''"))

    def test_again(self) -> None:
        for _ in range(2):
            Store.open("sqlite:", self.data).close()

    def test_interrupted(self) -> None:
        """A migration that does not end leaves nothing: the next start begins it anew."""
        with self.assertRaises(ZeroDivisionError):
            with self.writing.begin() as connection:
                upgrade(connection, "state.sqlite")
                raise ZeroDivisionError
        with self.engine.connect() as connection:
            self.assertEqual(inspect(connection).get_table_names(), [])
        Store.open("sqlite:", self.data).close()

    def test_newer(self) -> None:
        Store.open("sqlite:", self.data).close()
        with self.writing.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        error = self.assertRaises(ConfigurationError, Store.open, "sqlite:", self.data)
        self.assertIn("9999", str(error))
        self.assertIn("newer", str(error))
        self.assertIn("state.sqlite", str(error))
