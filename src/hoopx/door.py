# -*- test-case-name: tests.test_door -*-
"""
One accepted connection: the only holder of the client's transport, and of the target's.

Until the session is live everything goes through the L{hoopx.lobby}. Afterwards C{dataReceived} of both transports is rebound to
the shortest path there is: codec, handler or lane.
"""

from __future__ import annotations

from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.aside import Aside
from hoopx.errors import HoopxError, ProtocolViolation
from hoopx.interfaces import IDoor
from hoopx.leg import Leg
from hoopx.lobby import Lobby
from hoopx.throttle import Throttle
from hoopx.values import CLIENT, TARGET, Certificate, Credential

LINGER: Final = 30.0
"""Seconds a peer has to take in what was said to it before its connection is cut."""

ASIDES: Final = 4
"""Extra connections to a session's target at once. Each is there for a moment: a client that sends CancelRequests in a stream would
else take up what the target has for everybody."""


@implementer(IDoor, IProtocol, IHalfCloseableProtocol)
class Door:
    """
    See L{IDoor}.

    @param mitm: the L{hoopx.mitm.Mitm} that accepted: broker, listener settings, offers.
    """

    __slots__ = (
        "_asides", "_halfClosed", "_linger", "_live", "_lobby", "_offered", "_throttle", "address", "certificate", "clientLost", "closing",
        "conversation", "dataReceived", "leg", "loopback", "mitm", "secure", "session", "transport",
    )  # fmt: skip

    log = Logger()

    def __init__(self, mitm: Any, conversation: Any) -> None:
        self.mitm = mitm
        self.conversation = conversation
        self.transport: Any = None
        self.leg: Leg | None = None
        self.session: Any = None
        self.address = ""
        self.certificate: Certificate | None = None
        self.secure = False
        self.loopback = False
        self.closing = False
        self.clientLost = False
        self._lobby: Lobby | None = Lobby(self)
        self.dataReceived: Callable[[bytes], None] = self._lobby.clientData
        self._live = False
        self._linger: Any = None
        self._offered: list = []
        self._asides = 0
        self._halfClosed = False
        self._throttle = Throttle()

    @property
    def requireTLS(self) -> bool:
        listener = self.mitm.listener
        return listener.tls or (not self.loopback if listener.requireTLS is None else listener.requireTLS)

    @property
    def startsTLS(self) -> bool:
        return self.mitm.listener.tls

    @property
    def pinned(self) -> str | None:
        return self.mitm.listener.target

    @property
    def listener(self) -> Any:
        return self.mitm.identity

    def reply(self, data: bytes) -> None:
        if self._live:
            raise RuntimeError("the session is live: bytes leave through its lane")
        if not self.clientLost:
            self.transport.write(data)

    def ask(self, data: bytes) -> None:
        if self._live or self.leg is None:
            raise RuntimeError("target logins are over, or have not begun")
        self.leg.transport.write(data)

    def admit(self, claim: Any) -> None:
        if self._lobby is None:
            raise ProtocolViolation("a second login on one connection")
        self._lobby.admit(claim)

    @property
    def relaying(self) -> bool:
        """C{True} once the session is live."""
        return self._live

    def live(self) -> None:
        if self.closing:
            raise HoopxError("the connection is closed already")
        self._lobby.leave()  # type: ignore[union-attr]
        self._live = True
        self.session.live()
        self.mitm.admitted(self)
        self.leg.dataReceived = self.targetData  # type: ignore[union-attr]
        self._throttle.begin(self.transport, self.leg.transport)  # type: ignore[union-attr]
        self.mitm.broker.clock.callLater(0, self._openGate)

    def _openGate(self) -> None:
        """What the client sent ahead comes first, then bytes take the short way."""
        if self.closing:
            return
        lobby, self._lobby = self._lobby, None
        self.dataReceived = self._clientLive
        early = lobby.waiting  # type: ignore[union-attr]
        try:
            while early:
                kind, raw = early.popleft()
                self._handle(self.conversation.clientHandlers.get(kind), raw)
        except Exception:
            self.failed(Failure())
            return
        if self._halfClosed:
            self.readConnectionLost()

    def startTLS(
        self, side: int, received: bytes = b"", alpn: list[bytes] | None = None, credential: Credential | None = None
    ) -> Deferred:
        if self._lobby is None:
            raise RuntimeError("the session is live: it goes on as it is")
        return self._lobby.startTargetTLS(alpn, credential) if side == TARGET else self._lobby.startTLS(received, alpn)

    def compute(self, function: Callable[..., Any], *arguments: Any) -> Deferred:
        if self._lobby is None:
            raise RuntimeError("the session is live: nothing is waited for")
        return self._lobby.compute(function, *arguments)

    def offer(self, key: Any, answer: Callable) -> None:
        self.mitm.offers.add(key, answer)
        self._offered.append(key)

    def call(self, key: Any, *arguments: Any) -> bool:
        return self.mitm.offers.call(self.address, key, *arguments)

    def aside(self, conversation: Any) -> None:
        if self._asides < ASIDES:
            self._asides += 1
            Aside(self.mitm.broker, self.session.target, conversation, self._asideOver).begin()

    def _asideOver(self) -> None:
        self._asides -= 1

    def close(self, reason: str) -> None:
        if self.session is not None and self.session.ending is None:
            self.session.end(reason)
        else:
            self.finish(reason)

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport
        try:
            transport.setTcpNoDelay(True)
        except AttributeError:
            pass  # a Unix socket, or TLS below us
        self._lobby.enter()  # type: ignore[union-attr]

    def _clientLive(self, data: bytes) -> None:
        session = self.session
        if session.ending is not None:
            return
        conversation = self.conversation
        lane = conversation.lane
        try:
            handlers = conversation.clientHandlers
            for kind, raw in conversation.clientCodec.feed(data):
                if kind not in handlers and not lane.held:
                    lane.forward(CLIENT, raw)
                else:
                    self._handle(handlers.get(kind), raw)
        except Exception:
            session.failed(Failure())

    def _handle(self, handler: Callable[[bytes], None] | None, raw: bytes) -> None:
        lane = self.conversation.lane
        if lane.held:
            lane.later(handler, raw)
        elif handler is None:
            lane.forward(CLIENT, raw)
        else:
            handler(raw)

    def readConnectionLost(self) -> None:
        """The client has closed its direction. Only protocols that know half-closing go on."""
        if self.closing or not getattr(self.conversation, "halfClose", False) or (self.session and self.session.ending is not None):
            self.transport.loseConnection()
        elif self._lobby is not None:
            self._halfClosed = True  # it has said all it has to say, and that goes to the target when there is one
        else:
            self._residue(self.conversation.clientCodec, CLIENT)
            self.conversation.lane.after(self.leg.transport.loseWriteConnection)  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None: ...

    def connectionLost(self, reason: Failure) -> None:
        self.clientLost = True
        if not self.closing or self.leg is None or self.leg.lost:
            self._waitNoMore()
        self.mitm.admitted(self)
        if self.session is not None:
            self._residue(self.conversation.clientCodec, CLIENT)
            self.session.end("client-left")
        else:
            self.finish("client-left")

    def targetData(self, data: bytes) -> None:
        if not self._live:
            self._lobby.targetData(data)  # type: ignore[union-attr]
            return
        session = self.session
        if session.ending is not None:
            return
        conversation = self.conversation
        lane = conversation.lane
        try:
            handlers = conversation.targetHandlers
            lane.units = units = conversation.targetCodec.feed(data)
            for kind, raw in units:
                if kind in handlers:
                    handlers[kind](raw)
                else:
                    lane.forward(TARGET, raw)
            lane.units = None
        except Exception:
            if lane.units:
                lane.missed = raw
            session.failed(Failure())

    def targetHalfClosed(self) -> None:
        if self._live and getattr(self.conversation, "halfClose", False) and self.session.ending is None:
            self._residue(self.conversation.targetCodec, TARGET)
            self.conversation.lane.after(self.transport.loseWriteConnection)
        else:
            self.leg.transport.loseConnection()  # type: ignore[union-attr]

    def targetLost(self, reason: Failure) -> None:
        if self.closing:
            if self.clientLost:
                self._waitNoMore()
            return
        if self._live:
            self._residue(self.conversation.targetCodec, TARGET)
            self.session.end(self.session.leaving)
        else:
            self._lobby.targetLost(reason)  # type: ignore[union-attr]

    def _residue(self, codec: Any, side: int) -> None:
        """Bytes that never became a unit were attempted."""
        rest = codec.residue() if self._live else b""
        if rest and self.session.ending is None:
            try:
                self.conversation.lane.attempt(side, rest)
            except HoopxError:
                self.session.failed(Failure())

    def outs(self) -> tuple:
        return (None, self.leg.transport.write, self.transport.write)  # type: ignore[union-attr]

    def pauseClient(self, reason: str) -> None:
        self._throttle.pause(CLIENT, reason)

    def resumeClient(self, reason: str) -> None:
        self._throttle.resume(CLIENT, reason)

    def pauseBoth(self, reason: str) -> None:
        self._throttle.both(self._throttle.pause, reason)

    def resumeBoth(self, reason: str) -> None:
        self._throttle.both(self._throttle.resume, reason)

    def failed(self, failure: Failure) -> None:
        """Whatever went wrong: a live session knows; before that, the client is told and the connection closed."""
        if self._live:
            self.session.failed(failure)
        else:
            self._lobby.failed(failure)  # type: ignore[union-attr]

    def finish(self, reason: str, silent: bool = False) -> None:
        """
        Close both connections once everything said is sent.

        @param silent: nothing was said to the client.
        """
        if self.closing:
            return
        self.closing = True
        self._waitNoMore()
        for key in self._offered:
            self.mitm.offers.remove(key)
        self._throttle.end()
        if self.leg is not None:
            self.leg.close()
        if not self.clientLost:
            if silent or reason in ("client-left", "cancel"):
                self.transport.loseConnection()
            else:
                # Closing with bytes unread would reset the connection, and take along what was just said: our direction ends first.
                self.transport.resumeProducing()
                self.transport.loseWriteConnection()
        if not self.clientLost or (self.leg is not None and not self.leg.lost):
            self._linger = self.mitm.broker.clock.callLater(LINGER, self.abort)
        if self._lobby is not None:
            self._lobby.close()

    def abort(self) -> None:
        """Cut both connections."""
        self._waitNoMore()
        self.closing = True
        if not self.clientLost:
            self.transport.abortConnection()
        if self.leg is not None:
            self.leg.abort()

    def _waitNoMore(self) -> None:
        """Neither for the login nor for the last words to be taken in."""
        if self._lobby is not None:
            self._lobby.leave()
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._linger = None
