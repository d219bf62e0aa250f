# -*- test-case-name: tests.test_service -*-
"""
C{twistd hoopx}.
"""

from __future__ import annotations

import os
import signal
import sys
from errno import EACCES, EPERM, EROFS
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger
from twisted.python import usage

from hoopx.errors import told


class Options(usage.Options):
    """Options of C{twistd hoopx}."""

    synopsis = "[--config FILE]"
    optParameters = [["config", "c", None, "The configuration file. [default: $HOOPX_CONFIG, else hoopx.toml]"]]


def makeService(options: Any) -> Any:
    """
    Make the gateway's service for C{twistd}.

    @raise SystemExit: the configuration is wrong; every error is printed.
    """
    if "twisted.internet.reactor" not in sys.modules and sys.platform == "linux":
        from hoopx.reactor import install

        install()
    from twisted.internet import reactor

    from hoopx.allocator import settle
    from hoopx.config.limits import raiseDescriptors
    from hoopx.config.loader import load
    from hoopx.config.unsupported import unreadable
    from hoopx.errors import HoopxError
    from hoopx.service import makeProxyService
    from hoopx.wiring import checkSupported

    path = options["config"] or os.environ.get("HOOPX_CONFIG") or "hoopx.toml"
    try:
        settings = load(path)
        checkSupported(settings)
    except HoopxError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    for problem in unreadable(settings):
        # Not an end: a file that sessions need is read when they begin, and may be there by then.
        print(f"hoopx: {problem}", file=sys.stderr)
    trouble = raiseDescriptors(settings.gateway.maxSessions)
    if trouble:
        print(f"hoopx: {trouble}", file=sys.stderr)
    settle()
    service = makeProxyService(reactor, settings)
    Foreground(reactor, service).setServiceParent(service)
    return service


class Foreground(Service):
    """
    What only the program around a gateway does: it ends when the gateway can not start, and reloads on SIGHUP.

    @param reactor: to be stopped.
    @param service: the L{hoopx.service.ProxyService}.
    """

    log = Logger()

    def __init__(self, reactor: Any, service: Any) -> None:
        self._reactor = reactor
        self._gateway = service

    def startService(self) -> None:
        super().startService()
        self._gateway.ready.addErrback(self._failed)
        signal.signal(signal.SIGHUP, self._hangUp)

    def _failed(self, failure: Any) -> None:
        print(f"hoopx: {told(failure.value)}", file=sys.stderr)
        if isinstance(failure.value, OSError) and failure.value.errno in (EACCES, EPERM, EROFS):
            print("       The gateway's user must be able to write to the data directory: see [gateway] data.", file=sys.stderr)
        self._reactor.callWhenRunning(self._reactor.stop)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)

    def _hangUp(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        def done(said: list[str]) -> None:
            for line in said:
                self.log.info("reload: {line}", line=line)

        def failed(failure: Any) -> None:
            self.log.error("reload: nothing has changed: {why}", why=failure.getErrorMessage())

        self._gateway.gateway.reload().addCallbacks(done, failed)
