# -*- test-case-name: tests.index.test_schema -*-
"""
The tables of the index. Times are seconds since the epoch, those of items seconds since their session began.

A change here needs a migration in C{index/migrations/versions}; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()

sessions = Table(
    "sessions",
    metadata,
    Column("session", String(26), primary_key=True),
    # Number of the session: the newer the session, the larger. Its items' ids begin with it (L{itemId}).
    Column("number", BigInteger, nullable=False, unique=True),
    Column("node", Text, nullable=False),
    Column("user", Text),
    Column("kind", Text),
    Column("actor", Text),
    Column("target", Text),
    Column("account", Text),
    Column("database", Text),
    Column("protocol", Text),
    Column("client", Text),
    Column("started", Float),
    Column("ended", Float),  # null: it lived when it was last looked at
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("bytes_from_client", BigInteger, nullable=False),
    Column("bytes_from_target", BigInteger, nullable=False),
    Column("commands", BigInteger, nullable=False),  # how many there were, every single one counted
    Column("verdicts", Integer, nullable=False),  # commands that were judged other than allowed
    Column("alarms", Integer, nullable=False),
    Column("segments", Integer, nullable=False),  # that have been read; the number of the one that comes next
    Column("items", Integer, nullable=False),
    Column("characters", BigInteger, nullable=False),  # of the items together
    Column("variants", Integer, nullable=False),  # items that differ from others in their parameters alone
    Column("partial", Boolean, nullable=False),  # a part could not be read
    # Those that have ended, in their order, and the few that have not.
    Index("sessions_settled", "session", sqlite_where=text("ended IS NOT NULL"), postgresql_where=text("ended IS NOT NULL")),
    Index("sessions_live", "session", sqlite_where=text("ended IS NULL"), postgresql_where=text("ended IS NULL")),
    Index("sessions_state", "state", "session"),
    Index("sessions_user", "user", "session"),
    Index("sessions_target", "target", "session"),
)

labels = Table(
    "labels",
    metadata,
    Column("session", String(26), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("labels_value", "name", "value", "session"),
)

items = Table(
    "items",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("session", BigInteger, nullable=False),  # its number
    Column("hash", BigInteger, nullable=False),  # of kind, text and parameters: the same one is counted, not repeated
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("at", Float, nullable=False),  # the first time
    Column("last", Float, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # of the frame in which it stands the first time
    Index("items_hash", "session", "hash", unique=True),
    # Most things are commands: whoever looks for others need not look through those.
    Index("items_kind", "kind", "id", sqlite_where=text("kind <> 'command'"), postgresql_where=text("kind <> 'command'")),
)

days = Table(
    "days",
    metadata,
    Column("node", Text, primary_key=True),
    Column("day", String(10), primary_key=True),  # YYYY/MM/DD
    Column("changed", BigInteger, nullable=False),  # st_mtime_ns when it was looked at; 0: it may change without a trace
    Column("names", BigInteger, nullable=False),  # sum of the CRC-32 of each name that was there
    Column("newest", String(26), nullable=False),
)

ITEM_BITS: Final = 17
"""An item's id is its session's number and, in so many bits, its own: in the order of ids the newest session is the last one."""
CLOCK_BITS: Final = 42
"""Of a session's number: milliseconds since the epoch (until 2109). Four more tell sessions of one millisecond apart."""
TWINS: Final = 4


def itemId(number: int, item: int) -> int:
    """The id of one item of a session."""
    return number << ITEM_BITS | item
