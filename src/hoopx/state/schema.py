# -*- test-case-name: tests.state.test_schema -*-
"""
Brings the state store to this version's schema.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from hoopx.errors import ConfigurationError

# The newest migration; said here as well, so that an up-to-date store costs no import of alembic. A test compares.
HEAD: Final = "0001"

# Alembic keeps the migration that runs in a global: two gateways in one process take turns.
_ONE: Final = Lock()

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """@return: the schema the store has, or C{None} for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def configuration() -> Any:
    """@return: an C{alembic.config.Config} that knows where the migrations are."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection, where: str) -> None:
    """
    Migrate, if there is anything to migrate. Belongs into a write transaction, so that two processes that start together
    do not both do it.

    @param where: the store's name, for the error.
    @raise ConfigurationError: the store was written by a newer version.
    """
    found = revision(connection)
    if found == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = configuration()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigurationError(
            f"the state store has schema {found}, which is newer than this version of hoopx knows ({HEAD}): "
            "run the version that wrote it, or restore a backup that is older",
            path=where,
            key="state.url",
        )
    config.attributes["connection"] = connection
    with _ONE:
        command.upgrade(config, HEAD)
