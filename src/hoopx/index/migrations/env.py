"""
alembic's entry: runs the migrations on the connection it is given by L{hoopx.index.store}.
"""

from alembic import context

from hoopx.index.tables import metadata


def run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=context.config.attributes["table"],
        render_as_batch=True,  # SQLite can not ALTER most things
    )
    context.run_migrations()


if not __package__:  # alembic loads this as a loose file; an import as part of hoopx does nothing
    run()
