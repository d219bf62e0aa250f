"""
The gateway with a recorder that drops everything, to find out what recording costs: the same service, another C{recordings}.
It can be had by programming alone; no configuration does it.

    python benchmarks/unrecorded.py --config hoopx.toml
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hoopx.interfaces import IRecording, IRecordings


@implementer(IRecording)
class Dropped:
    """Records nothing; keeps what others ask for."""

    sequence = 0

    def __init__(self) -> None:
        self.session = os.urandom(13).hex().upper()
        self.lastActivity = time.monotonic_ns()

    def append(self, channel: int, side: int, origin: int, payload: bytes) -> None:
        return None

    def note(self, kind: str, channel: int = 0, **fields: object) -> None:
        return None

    def totals(self) -> dict:
        return {}

    def close(self, reason: str) -> Deferred:
        return succeed(None)


@implementer(IRecordings)
class Dropping:
    def open(self, head: dict) -> Deferred:
        return succeed(Dropped())

    def obstacle(self) -> None:
        return None


def main(path: str, **parts: Any) -> None:
    """@param parts: what is not to be as usual: see L{hoopx.service.ProxyService}."""
    from hoopx.reactor import install

    reactor = install()
    from hoopx.config.loader import load
    from hoopx.service import makeProxyService

    service = makeProxyService(reactor, load(path), **parts)
    reactor.callWhenRunning(service.startService)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--config") + 1], recordings=Dropping())
