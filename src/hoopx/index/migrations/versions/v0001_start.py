"""
Sessions, their labels, what was said in them, and how far the directories of recordings are known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "sessions",
        sa.Column("session", sa.String(26), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("node", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("user", "kind", "actor", "target", "account", "database", "protocol", "client")),
        sa.Column("started", sa.Float),
        sa.Column("ended", sa.Float),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("bytes_from_client", "bytes_from_target", "commands", "characters")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("verdicts", "alarms", "segments", "items", "variants")),
        sa.Column("partial", sa.Boolean, nullable=False),
    )
    op.create_index("sessions_ended", "sessions", ["ended"])
    op.create_index("sessions_user", "sessions", ["user", "session"])
    op.create_index("sessions_target", "sessions", ["target", "session"])
    op.create_table(
        "labels",
        sa.Column("session", sa.String(26), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("labels_name", "labels", ["name", "session"])
    op.create_table(
        "items",
        sa.Column("id", whole, primary_key=True, autoincrement=False),
        sa.Column("session", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "text", "parameters")),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("at", "last")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("count", "sequence")),
    )
    op.create_index("items_hash", "items", ["session", "hash"], unique=True)
    op.create_table(
        "days",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("names", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.String(26), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        # Its text is the items' own; prefixes of two to four letters are looked up instead of put together.
        op.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, parameters, content='items', content_rowid='id', "
            "tokenize=\"unicode61 remove_diacritics 2\", prefix='2 3 4')"
        )
    else:
        # Filled by the writer, with words cut as the search cuts them (hoopx.index.query).
        op.execute("CREATE TABLE words (id BIGINT PRIMARY KEY, vector TSVECTOR NOT NULL)")
        op.execute("CREATE INDEX words_vector ON words USING gin (vector)")
