# -*- test-case-name: tests.witness.test_client -*-
"""
Why a checkpoint is not cosigned.
"""

from __future__ import annotations

from hoopx.errors import HoopxError


class WitnessRefused(HoopxError):
    """
    The witness knows this ledger otherwise: an alarm. Trying again does not help.

    @ivar kind: C{"rollback"}: it has seen more leaves than there are; C{"fork"}: it has seen others.
    @ivar url: of the witness.
    """

    def __init__(self, kind: str, url: str, message: str) -> None:
        super().__init__(f"the witness {url} refuses the ledger's checkpoint: {message}")
        self.kind = kind
        self.url = url


class WitnessUnavailable(HoopxError):
    """
    It could not be asked, or does not answer as a witness does: to be tried again later.

    @ivar status: HTTP status, or C{None}. 403 and 404: it does not know the ledger, or not this key.
    """

    def __init__(self, url: str, message: str, status: int | None = None) -> None:
        super().__init__(f"the witness {url} {message}")
        self.url = url
        self.status = status


class WitnessDamaged(HoopxError):
    """What a witness has kept can not be read. It cosigns nothing for that ledger until a person has looked."""
