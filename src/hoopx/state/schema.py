# -*- test-case-name: tests.state.test_schema -*-
"""
Brings a store to this version's schema.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, Final

from attrs import frozen
from sqlalchemy import Connection, inspect, text

from hoopx.errors import ConfigurationError
from hoopx.state.engine import oneByOne

# Alembic keeps the migration that runs in a global: two gateways in one process take turns.
_ONE: Final = Lock()

# Two gateways that start together must not both migrate one server.
MIGRATING: Final = 0x686F6F7078

LONGEST: Final = 3600
"""Seconds, at a server, for one statement of a migration, and for a migration of somebody else: a large store takes its time, and nobody
waits to log in yet."""

# Of what is the same for every store: alembic's entry.
_ROOM: Final = Path(__file__).parent / "migrations"


@frozen
class Schema:
    """
    @ivar head: the newest migration; said here as well, so that an up-to-date store costs no import of alembic. A test compares.
    @ivar versions: the folder of its migrations.
    @ivar table: where a store says which it has; a server may hold both stores in one database.
    @ivar name: for errors: C{"the state store"}; C{key} of the configuration and C{advice} what to do, too.
    """

    head: str
    versions: Path
    table: str
    name: str
    key: str
    advice: str


STATE: Final = Schema(
    "0002", _ROOM / "versions", "alembic_version", "the state store", "state.url",
    "run the version that wrote it, or restore a backup that is older",
)  # fmt: skip
HEAD: Final = STATE.head


def revision(connection: Connection, schema: Schema = STATE) -> str | None:
    """@return: the schema the store has, or C{None} for an empty one."""
    if not inspect(connection).has_table(schema.table):
        return None
    return connection.execute(text(f"SELECT version_num FROM {schema.table}")).scalar()


def configuration(schema: Schema = STATE) -> Any:
    """@return: an C{alembic.config.Config} that knows where the migrations are."""
    from alembic.config import Config

    config = Config()
    for name, where in (("script_location", _ROOM), ("version_locations", schema.versions)):
        config.set_main_option(name, str(where).replace("%", "%%"))
    for name in ("path_separator", "version_path_separator"):  # before alembic 1.16 it had the second name
        config.set_main_option(name, "os")
    config.attributes["table"] = schema.table
    return config


def upgrade(connection: Connection, where: str, schema: Schema = STATE) -> None:
    """
    Migrate, if there is anything to migrate. Belongs into a write transaction, so that two processes that start together
    do not both do it.

    @param where: the store's name, for the error.
    @raise ConfigurationError: the store was written by a newer version.
    """
    if connection.dialect.name == "postgresql":
        for limit in ("lock_timeout", "statement_timeout"):
            connection.execute(text(f"SET LOCAL {limit} = '{LONGEST}s'"))
    oneByOne(connection, MIGRATING)
    found = revision(connection, schema)
    if found == schema.head:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = configuration(schema)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise newer(found, where, schema)
    config.attributes["connection"] = connection
    with _ONE:
        command.upgrade(config, schema.head)


def newer(found: str, where: str, schema: Schema) -> ConfigurationError:
    """The error for a store that a newer version has written."""
    return ConfigurationError(
        f"{schema.name} has schema {found}, which is newer than this version of hoopx knows ({schema.head}): {schema.advice}",
        path=where,
        key=schema.key,
    )
