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
    Index("audit_at", "at"),
    sqlite_autoincrement=True,
)
