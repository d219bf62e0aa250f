"""
alembic's entry, the same for every store: runs the migrations that L{hoopx.state.schema} names on the connection that it gives.
"""

from alembic import context


def run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        version_table=context.config.attributes["table"],
        render_as_batch=True,  # SQLite can not ALTER most things
    )
    context.run_migrations()


if not __package__:  # alembic loads this as a loose file; an import as part of hoopx does nothing
    run()
