# -*- test-case-name: tests.witness.test_service -*-
"""
The witness on the network: a small HTTP service.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger

from hoopx.witness.exchange import MAX_REQUEST
from hoopx.witness.witness import Answer, Witness

MAX_CONNECTIONS: Final = 200
"""Connections at once; a ledger needs one."""

IDLE: Final = 60.0
"""Seconds without a byte until a connection is closed."""
LIFE: Final = 120.0
"""Seconds until it is closed in any case: who sends a byte now and then would keep a place for days, and all places keep everybody out.
A ledger that asks again makes another."""

log = Logger()


def alarm(kind: str, fields: dict[str, Any]) -> None:
    """Tell the operator of the witness what a ledger has tried."""
    if kind == "fork":
        text = "ALARM: the ledger {origin} has forked: its {size} leaves with the root {root} do not fit the {known} that were cosigned"
        log.critical(text, **fields)
    elif kind == "rollback":
        log.error("ALARM: the ledger {origin} shows {size} leaves after {known} that were cosigned: late, or rolled back", **fields)
    else:
        log.critical("ALARM: what is known of the ledger {origin} can not be read: {why}", **fields)


def makeResource(witness: Witness, name: str, vkey: str, threads: Any) -> Any:
    """
    @param threads: L{hoopx.recording.threads.Threads}: the disk is waited for there.
    @return: an L{twisted.web.resource.IResource}: C{add-checkpoint}, and the witness's name and key at the root.
    """
    from klein import Klein  # imports the reactor

    app = Klein()

    def say(request: Any, answer: Answer) -> bytes:
        request.setResponseCode(answer.status)
        request.setHeader(b"content-type", answer.type.encode())
        request.setHeader(b"content-length", b"%d" % len(answer.body))
        return answer.body

    @app.route("/add-checkpoint", methods=["POST"])
    async def add(request: Any) -> bytes:
        body = request.content.read(MAX_REQUEST + 1)
        try:
            answer = await threads.call(witness.add, body)
        except Exception:
            log.failure("a checkpoint could not be witnessed")
            answer = Answer(500, b"the witness has a fault: its log says more\n")
        return say(request, answer)

    @app.route("/", methods=["GET"])
    def about(request: Any) -> bytes:
        return say(request, Answer(200, f"{name}\n{vkey}\n".encode()))

    return app.resource()


def makeSite(resource: Any, reactor: Any) -> Any:
    """@return: a factory whose requests and connections are bounded."""
    from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
    from twisted.web.server import Request, Site

    class Bounded(Request):
        """twisted.web takes bodies of any length."""

        _taken = 0

        def handleContentChunk(self, data: bytes) -> None:
            self._taken += len(data)
            if self._taken > MAX_REQUEST:
                self.channel.transport.abortConnection()  # type: ignore[union-attr]
            else:
                super().handleContentChunk(data)

    class WitnessSite(Site):
        displayTracebacks = False
        noisy = False

        def log(self, request: Any) -> None:
            """What matters is told by the alarm."""

    class Mortal(ProtocolWrapper):
        _end: Any = None

        def connectionMade(self) -> None:
            self._end = reactor.callLater(LIFE, self.abortConnection)
            super().connectionMade()

        def connectionLost(self, reason: Any = connectionDone) -> None:
            if self._end is not None and self._end.active():
                self._end.cancel()
            super().connectionLost(reason)

    class Limited(WrappingFactory):
        protocol = Mortal
        noisy = False

        def buildProtocol(self, addr: Any) -> Any:
            return super().buildProtocol(addr) if len(self.protocols) < MAX_CONNECTIONS else None

    return Limited(WitnessSite(resource, requestFactory=Bounded, timeout=IDLE, reactor=reactor))


class WitnessService(Service):
    """
    @param endpoint: L{twisted.internet.interfaces.IStreamServerEndpoint}
    @param factory: of L{makeSite}.
    @ivar listening: a Deferred that fires with the port.
    """

    def __init__(self, endpoint: Any, factory: Any) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._port: Any = None
        self.listening: Deferred[Any] = Deferred()

    def startService(self) -> None:
        super().startService()

        def listens(port: Any) -> None:
            self._port = port
            self.listening.callback(port)

        self._endpoint.listen(self._factory).addCallbacks(listens, self.listening.errback)

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        port, self._port = self._port, None
        return maybeDeferred(lambda: port and port.stopListening())
