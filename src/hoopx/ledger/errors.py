# -*- test-case-name: tests.ledger.test_log -*-
"""
What can be wrong with a ledger.
"""

from __future__ import annotations

from hoopx.errors import HoopxError


class LedgerError(HoopxError):
    """Root of the ledger's own exceptions."""


class LedgerDamaged(LedgerError):
    """What is on the disk is not what was written there. Nothing is changed; a person has to look."""


class LedgerFailed(LedgerError):
    """
    The disk did not take it. Nothing was returned, so nothing is promised: the leaves may be there after the next opening.
    """


class WrongKey(LedgerError):
    """The key given is not the one that signs this ledger now."""
