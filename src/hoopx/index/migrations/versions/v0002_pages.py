"""
Deep pages of filtered lists, and searches for the rarer kinds of things.

On SQLite a list is read in its order from one index that has all it is filtered by. PostgreSQL's indexes take only 2,700 bytes of a row,
and it is quick enough without.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rare = sa.text("kind <> 'command'")
    op.create_index("items_kind", "items", ["kind", "id"], sqlite_where=rare, postgresql_where=rare)
    if op.get_bind().dialect.name == "sqlite":
        op.execute('CREATE INDEX covering_sessions ON sessions (session, "user", target, protocol, state) WHERE ended IS NOT NULL')
        op.execute("CREATE INDEX covering_labels ON labels (session, name, value)")
