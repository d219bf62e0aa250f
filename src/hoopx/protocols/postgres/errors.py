# -*- test-case-name: tests.peers.test_refusal -*-
"""
What the gateway itself says to a PostgreSQL client (PostgreSQL documentation, "PostgreSQL Error Codes").
"""

from __future__ import annotations

from typing import Final

from hoopx.errors import Refusal
from hoopx.protocols.postgres.messages import fields
from hoopx.values import Block

REFUSALS: Final = {
    "unauthorized": "28P01",
    "not-found": "3D000",
    "account": "28000",
    "database": "3D000",
    "tls-required": "28000",
    "denied": "42501",
    "unavailable": "08001",
    "unrecordable": "57P03",
    "limit": "53300",
    "invalid": "08P01",
    "login-timeout": "08006",
    "unsupported": "0A000",
}
"""SQLSTATE of each refusal's code; XX000 for what is not named."""

ENDS: Final = {"idle": "57P05", "recording-failed": "58030", "violation": "08P01", "internal-error": "XX000"}
"""SQLSTATE of each end's reason; 57P01 (admin_shutdown) for what is not named."""

CAUSES: Final = {"policy": "42501", "withdrawn": "57014", "error": "XX000"}
"""SQLSTATE of a refused command."""


def refusal(refused: Refusal) -> bytes:
    """A FATAL error: no session."""
    return fields(b"E", "FATAL", REFUSALS.get(refused.code, "XX000"), refused.message, _session(refused.session), refused.hint)


def ended(reason: str, message: str, session: str) -> bytes:
    """A FATAL error: the session is over."""
    return fields(b"E", "FATAL", ENDS.get(reason, "57P01"), f"the gateway ends this session: {message}", _session(session))


def blocked(verdict: Block, session: str) -> bytes:
    """An ERROR: the command is refused, the session goes on."""
    rule = f'Refused by guard "{verdict.guard}". ' if verdict.guard else ""
    return fields(b"E", "ERROR", CAUSES.get(verdict.cause, "42501"), verdict.reason, rule + _session(session), verdict.hint or "")


def notice(text: str, session: str) -> bytes:
    return fields(b"N", "NOTICE", "00000", text, _session(session))


def _session(session: str | None) -> str:
    return f"Session {session}." if session else ""
