"""
The gateway without a curator, to find out what that costs: the same service records as always, but there is no ledger, and nobody
compresses, indexes or stores what is sealed. It can be had by programming alone; no configuration does it.

    python benchmarks/uncurated.py --config hoopx.toml
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, succeed
from unrecorded import main


class Absent:
    """In the place of L{hoopx.curator.process.Curator}: everything has been seen to at once."""

    def recover(self, progress: Any = None) -> Deferred:
        return succeed([])

    def opened(self, recording: Any) -> Deferred:
        return succeed(0)

    def audit(self, audit: str, row: int = 0) -> Deferred:
        return succeed(0)

    def hold(self, session: str, on: bool, audit: str, row: int) -> Deferred:
        return succeed(0)

    def expired(self, after: str) -> Deferred:
        return succeed([])

    def sealed(self, session: str, path: str, segment: int) -> None:
        return None

    def recordingEnded(self, session: str, path: str) -> None:
        return None

    def status(self) -> dict:
        return {"state": "absent", "audit": 0}


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--config") + 1], curator=Absent())
