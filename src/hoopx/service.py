# -*- test-case-name: tests.test_service -*-
"""
The gateway as a Twisted service, to be embedded anywhere.
"""

from __future__ import annotations

import errno
from typing import Any, Final

from attrs import evolve
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hoopx import wiring
from hoopx.errors import ConfigurationError, told
from hoopx.gateway import Gateway, addressOf
from hoopx.metrics import page

DRAIN: Final = 5.0
"""Seconds that sessions have to end by themselves when the gateway stops; then they are told."""
CLOSE: Final = 20.0
"""Seconds that recordings have to be closed afterwards; what is left is recovered at the next start."""
UNHEARD: Final = {
    errno.EADDRINUSE: ". Another program listens there: stop it, or choose another port",
    errno.EADDRNOTAVAIL: ". This machine does not have that address",
    errno.EACCES: ". Ports below 1024 are for root, or for a unit with AmbientCapabilities=CAP_NET_BIND_SERVICE",
}
"""What to do where nobody can listen."""


class ProxyService(MultiService):
    """
    One gateway.

    @param reactor: time, connections, threads.
    @param settings: L{hoopx.config.settings.Settings}.
    @param parts: replaces parts of the broker (C{policy}, C{approver}, C{recordings}, C{sinks}, ...), for embedders.
    @ivar ready: Deferred[ProxyService]: fires when it accepts connections, fails with what keeps it from doing so.
    @ivar broker: the L{hoopx.broker.Broker} once it is ready.
    @ivar metrics: the port of metrics and health, or C{None}.
    @ivar ports: the listening ports, in the order of the listeners.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: Any, **parts: Any) -> None:
        super().__init__()
        self.reactor = reactor
        self.settings = settings
        self.parts = parts
        self.ready: Deferred = Deferred()
        self.broker: Any = None
        self.ports: list = []
        self.machine: Any = None
        self.metrics: Any = None
        self._starting: Deferred | None = None
        self.gateway = Gateway(self)

    def startService(self) -> None:
        super().startService()
        self._starting = self._start()
        self._starting.addCallbacks(self.ready.callback, self._failed)

    def _failed(self, failure: Any) -> None:
        if not self.ready.callbacks:
            self.log.error("the gateway does not start: {why}", why=failure.getErrorMessage())
            self.ready.addErrback(lambda _: None)
        self.ready.errback(failure)

    @inlineCallbacks
    def _start(self) -> Any:
        wiring.checkSupported(self.settings)
        self.machine = wiring.Machine(self.reactor, self.settings, self.parts)
        try:
            self.broker = yield self.machine.start(self.gateway)
            for listener in self.settings.listeners:
                port = yield self._listen(listener)
                self.ports.append(port)
            if self.settings.metrics is not None:
                yield self._measure(self.settings.metrics.endpoint)
        except BaseException:
            yield self._stopAll()
            raise
        for listener, port in zip(self.settings.listeners, self.ports):
            self.log.info("listening for {protocol} on {address}", protocol=listener.protocol, address=addressOf(port))
        return self

    def apply(self, settings: Any) -> list[str]:
        """Put new settings in force. @return: what changed, in sentences. @raise ConfigurationErrors: nothing has."""
        wiring.checkSupported(settings)
        said = self.machine.apply(settings)
        self.settings = evolve(self.settings, targets=settings.targets, grants=settings.grants)
        return said

    def _listen(self, listener: Any) -> Deferred:
        factory = self.broker.protocols[listener.protocol].serverFactory(self.broker, listener)
        listening = serverFromString(self.reactor, listener.endpoint).listen(factory)
        return listening.addErrback(self._taken, listener.endpoint, "listeners.endpoint")

    def _taken(self, failure: Any, endpoint: str, key: str) -> None:
        why = getattr(failure.value, "socketError", failure.value)
        advice = UNHEARD.get(getattr(why, "errno", None) or 0, "")
        raise ConfigurationError(f"can not listen on {endpoint}: {told(why)}{advice}", self.settings.path, key)

    @inlineCallbacks
    def _measure(self, endpoint: str) -> Any:
        listening = page.listen(self.reactor, endpoint, self.machine.figures(self.gateway))
        self.metrics = yield listening.addErrback(self._taken, endpoint, "metrics.endpoint")
        self.log.info("metrics on {address}", address=addressOf(self.metrics))

    @inlineCallbacks
    def stopService(self) -> Any:
        yield super().stopService()
        if self._starting is not None and not self._starting.called:
            yield self.ready.addErrback(lambda _: None)
        yield self._stopAll()

    @inlineCallbacks
    def _stopAll(self) -> Any:
        ports, self.ports = self.ports, []
        yield gatherResults([_stopped(port) for port in ports])
        if self.broker is not None:
            yield self._drain(self.broker)
        if self.machine is not None:
            machine, self.machine = self.machine, None
            yield machine.stop()
        if self.metrics is not None:  # to the last: an orchestrator asks while sessions drain
            port, self.metrics = self.metrics, None
            yield _stopped(port)

    @inlineCallbacks
    def _drain(self, broker: Any) -> Any:
        broker.draining = True
        until = self.reactor.seconds() + DRAIN
        while broker.sessions and self.reactor.seconds() < until:
            yield deferLater(self.reactor, 0.1)
        closed = broker.endAll("shutdown")
        closed.addTimeout(CLOSE, self.reactor)
        yield closed.addErrback(lambda _: self.log.warn("some recordings could not be closed in time"))


def _stopped(port: Any) -> Deferred:
    stopped = port.stopListening()
    return succeed(None) if stopped is None else stopped


def makeProxyService(reactor: Any, settings: Any, **parts: Any) -> ProxyService:
    """
    Make a gateway. Nothing happens before C{startService}; then wait for C{ready}.

    @param settings: L{hoopx.config.settings.Settings}, as C{hoopx.config.loader.load} gives it.
    @param parts: see L{ProxyService}.
    """
    return ProxyService(reactor, settings, **parts)
