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
    """
    The key given is not the one that signs this ledger now.

    @param wanted: public half of the one that does.
    @param given: of the one that was given, C{None} when there is none at all.
    @param former: the one that was given has signed this ledger before.
    """

    def __init__(self, wanted: bytes, given: bytes | None, former: bool = False, directory: str = "the ledger") -> None:
        self.wanted = wanted
        self.given = given
        begin = f"{directory} is signed by the key {wanted.hex()}, and "
        if given is None:
            super().__init__(
                begin + "there is no key here: if it is kept elsewhere, signing_key in [recording] has to say where; if it is lost, "
                "begin a new ledger with hoopx ledger renew"
            )
        elif former:
            super().__init__(
                begin + f"the key given, {given.hex()}, was replaced by a rotation: give the new one (signing_key in [recording], or "
                "none at all if it is kept in data/keys)"
            )
        else:
            super().__init__(
                begin + f"the key given is {given.hex()}, for which no key of this ledger has signed: give the key that signs it "
                "(signing_key in [recording]), and bring in a new one with hoopx ledger rotate --new-key"
            )
