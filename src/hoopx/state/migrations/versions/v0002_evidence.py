"""
Tags, reviews and holds; of every row of the audit the hash that stands in the ledger.
"""

import sqlalchemy as sa
from alembic import op

from hoopx.state.migrations.growing import grow, mayChange
from hoopx.state.rows import auditHash

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("session", sa.String(26), primary_key=True),
        sa.Column("tag", sa.String(64), primary_key=True),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("tags_tag", "tags", ["tag"])
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("session", sa.String(26), nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("reviews_session", "reviews", ["session"])
    grow("reviews")
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("session", sa.String(26)),
        sa.Column("filter", sa.JSON),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.String(256), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("lifted", sa.Float),
        sa.Column("lifted_by", sa.String(256)),
        sqlite_autoincrement=True,
    )
    op.create_index("holds_session", "holds", ["session"])
    op.add_column("audit", sa.Column("hash", sa.String(64), nullable=False, server_default=""))
    _hashes()


def _hashes() -> None:
    audit = sa.table("audit", *(sa.column(name) for name in ("id", "at", "actor", "action", "subject", "hash")), sa.column("details", sa.JSON))
    connection = op.get_bind()
    mayChange("audit")
    last = 0
    while True:
        rows = connection.execute(sa.select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(1000)).mappings().all()
        if not rows:
            break
        last = rows[-1]["id"]
        for row in rows:
            connection.execute(sa.update(audit).where(audit.c.id == row["id"]).values(hash=auditHash(row)))
    grow("audit")
