"""
Words of each kind of thing in an index of their own, so that a search among results need not look through what commands say.

The commands' words stay where they are: what is moved are the others, which are few where databases are recorded.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = ("result", "output", "file", "event")


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("SET LOCAL statement_timeout = 0")  # of millions it takes longer than a statement may
        op.add_column("words", sa.Column("kind", sa.Text, nullable=False, server_default="command"))
        op.execute("UPDATE words SET kind = items.kind FROM items WHERE items.id = words.id AND items.kind <> 'command'")
        for kind in KINDS:
            op.execute(f"CREATE INDEX words_{kind} ON words USING gin (vector) WHERE kind = '{kind}'")
        op.execute("CREATE INDEX words_kind ON words (kind, id) WHERE kind <> 'command'")
        return
    for kind in KINDS:
        op.execute(
            f"CREATE VIRTUAL TABLE words_{kind} USING fts5(text, parameters, content='items', content_rowid='id', "
            "tokenize=\"unicode61 remove_diacritics 2\", prefix='1 2 3 4')"
        )
        op.execute(f"INSERT INTO words_{kind} (rowid, text, parameters) SELECT id, text, parameters FROM items WHERE kind = '{kind}'")
    op.execute(
        "INSERT INTO words (words, rowid, text, parameters) SELECT 'delete', id, text, parameters FROM items WHERE kind <> 'command'"
    )
