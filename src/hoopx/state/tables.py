# -*- test-case-name: tests.state.test_schema -*-
"""
The tables of the state store. Times are seconds since the epoch.

A change here needs a migration in C{state/migrations/versions}; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 in hex: the token itself is nowhere
    Column("user", String(256), nullable=False),
    Column("groups", JSON, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(256)),
    Column("targets", JSON(none_as_null=True)),  # null: not restricted
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("revoked", Float),
    Column("note", Text, nullable=False),
    Index("tokens_user", "user"),
)

# Revocations in the order of their commits: what a gateway asks for once a second. (Ordering by time would miss one that was
# stamped before another and committed after it.)
revocations = Table(
    "revocations",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("credential", String(256), nullable=False),
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("details", JSON, nullable=False),
    Column("hash", String(64), nullable=False, server_default=""),  # L{hoopx.state.rows.auditHash}: what the ledger holds of it
    Index("audit_at", "at"),
    sqlite_autoincrement=True,
)

# Words of the auditors' own for sessions.
tags = Table(
    "tags",
    metadata,
    Column("session", String(26), primary_key=True),
    Column("tag", String(64), primary_key=True),
    Column("by", String(256), nullable=False),
    Column("at", Float, nullable=False),
    Index("tags_tag", "tag"),
)

# Who has looked at a session, and who has confirmed that. Only grows.
reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("session", String(26), nullable=False),
    Column("by", String(256), nullable=False),
    Column("what", String(16), nullable=False),  # reviewed, signed-off
    Column("note", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("reviews_session", "session"),
    sqlite_autoincrement=True,
)

# What must not be erased: a session, or all that a filter names.
holds = Table(
    "holds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("session", String(26)),
    Column("filter", JSON(none_as_null=True)),
    Column("reason", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Column("at", Float, nullable=False),
    Column("lifted", Float),
    Column("lifted_by", String(256)),
    Index("holds_session", "session"),
    sqlite_autoincrement=True,
)
