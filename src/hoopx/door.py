# -*- test-case-name: tests.test_door -*-
"""
One accepted connection: the only holder of the client's transport, and of the target's.

Before the session is live, units go one by one to the conversation's handlers, and wait in a queue while something is being found
out. Afterwards C{dataReceived} of both transports is rebound to the shortest path there is: codec, handler or lane.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.admission import Admission
from hoopx.aside import Aside
from hoopx.errors import HoopxError, ProtocolViolation, Refusal, TargetFailed, refusalOf
from hoopx.interfaces import IDoor
from hoopx.leg import Leg
from hoopx.throttle import Throttle
from hoopx.values import CLIENT, TARGET, Certificate

EARLY_LIMIT: Final = 64 * 1024
"""Bytes a client may send ahead of its admission: some drivers send their first query at once."""
LINGER: Final = 30.0
"""Seconds a peer has to take in what was said to it before its connection is cut."""


@implementer(IDoor, IProtocol, IHalfCloseableProtocol)
class Door:
    """
    See L{IDoor}.

    @param mitm: the L{hoopx.mitm.Mitm} that accepted: broker, listener settings, offers.
    """

    __slots__ = (
        "_asides", "_clientLost", "_deadline", "_early", "_earlyBytes", "_gated", "_live", "_offered", "_throttle", "admission", "address",
        "certificate", "closing", "conversation", "dataReceived", "leg", "loopback", "mitm", "secure", "session", "transport",
    )  # fmt: skip

    log = Logger()

    def __init__(self, mitm: Any, conversation: Any) -> None:
        self.mitm = mitm
        self.conversation = conversation
        self.transport: Any = None
        self.leg: Leg | None = None
        self.session: Any = None
        self.admission: Admission | None = None
        self.address = ""
        self.certificate: Certificate | None = None
        self.secure = False
        self.loopback = False
        self.closing = False
        self.dataReceived: Callable[[bytes], None] = self._clientLogin
        self._early: deque = deque()
        self._earlyBytes = 0
        self._gated = False
        self._live = False
        self._clientLost = False
        self._deadline: Any = None
        self._offered: list = []
        self._asides = 0
        self._throttle = Throttle()

    @property
    def requireTLS(self) -> bool:
        wanted = self.mitm.listener.requireTLS
        return not self.loopback if wanted is None else wanted

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
        if not self._clientLost:
            self.transport.write(data)

    def ask(self, data: bytes) -> None:
        if self._live or self.leg is None:
            raise RuntimeError("target logins are over, or have not begun")
        self.leg.transport.write(data)

    def admit(self, claim: Any) -> None:
        if self.admission is not None:
            raise ProtocolViolation("a second login on one connection")
        self._gated = True
        self.admission = Admission(self, claim)
        self.admission.run().addErrback(self.failed)

    def live(self) -> None:
        self._cancelDeadline()
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
        self._gated = False
        self.dataReceived = self._clientLive
        try:
            while self._early:
                kind, raw = self._early.popleft()
                self._handle(self.conversation.clientHandlers.get(kind), raw)
        except Exception:
            self.failed(Failure())

    def startTLS(self, side: int, received: bytes = b"", alpn: list[bytes] | None = None) -> Deferred:
        if side == TARGET:
            return self.leg.startTLS(self.mitm.broker.tls, self.session.target, self.conversation.targetCodec, alpn)  # type: ignore[union-attr]
        if self.conversation.clientCodec.buffered or self._early:
            raise ProtocolViolation("unencrypted data follows a request for encryption")
        self.transport, done = self.mitm.broker.tls.serve(self.transport, self, received, alpn)
        return done.addCallback(self._secured)

    def _secured(self, der: bytes | None) -> bytes | None:
        self.secure = True
        if der is not None:
            self.certificate = Certificate(der)
        return der

    def offer(self, key: Any, answer: Callable) -> None:
        self.mitm.offers.add(key, answer)
        self._offered.append(key)

    def call(self, key: Any, *arguments: Any) -> bool:
        return self.mitm.offers.call(self.address, key, *arguments)

    def aside(self, conversation: Any) -> None:
        Aside(self.mitm.broker, self.session.target, conversation).begin()

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
        peer = transport.getPeer()
        self.address = f"{getattr(peer, 'host', 'unix')}:{getattr(peer, 'port', 0)}"
        self.loopback = self.mitm.isLoopback(peer) and self.mitm.isLoopback(transport.getHost())
        self._deadline = self.mitm.broker.clock.callLater(self.mitm.broker.limits.loginTimeout, self._tooLate)
        try:
            self.conversation.begin(self)
        except Exception:
            self.failed(Failure())

    def _clientLogin(self, data: bytes) -> None:
        if self.closing:
            return
        try:
            for unit in self.conversation.clientCodec.feed(data):
                self._early.append(unit)
                self._earlyBytes += len(unit[1])
            if self._earlyBytes > EARLY_LIMIT:
                raise ProtocolViolation(f"more than {EARLY_LIMIT} bytes before the login is over")
            self._pump()
        except Exception:
            self.failed(Failure())

    def _pump(self) -> None:
        while self._early and not self._gated and not self.closing:
            kind, raw = self._early.popleft()
            self._earlyBytes -= len(raw)
            handler = self.conversation.clientHandlers.get(kind)
            if handler is None:
                raise ProtocolViolation(f"{kind!r} is not expected during the login")
            handler(raw)

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
        if self._live and getattr(self.conversation, "halfClose", False) and self.session.ending is None:
            self._residue(self.conversation.clientCodec, CLIENT)
            self.leg.transport.loseWriteConnection()  # type: ignore[union-attr]
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None: ...

    def connectionLost(self, reason: Failure) -> None:
        self._clientLost = True
        if not self.closing or self.leg is None or self.leg.lost:
            self._cancelDeadline()
        self.mitm.admitted(self)
        if self.session is not None:
            self._residue(self.conversation.clientCodec, CLIENT)
            self.session.end("client-left")
        else:
            self.finish("client-left")

    def targetData(self, data: bytes) -> None:
        if not self._live:
            self._targetLogin(data)
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

    def _targetLogin(self, data: bytes) -> None:
        if self.closing:
            return
        conversation = self.conversation
        try:
            for kind, raw in conversation.targetCodec.feed(data):
                handler = conversation.targetHandlers.get(kind)
                if handler is not None:
                    handler(raw)
                elif self._live:
                    conversation.lane.forward(TARGET, raw)
                else:
                    raise ProtocolViolation(f"{kind!r} is not expected during the target's login")
                if self.closing:
                    return
        except ProtocolViolation as violation:
            if self._live:
                self.failed(Failure())
            else:
                self._targetFailed(f"does not keep to its protocol: {violation}", "Is this the right port in hoopx.toml?")
        except Exception:
            self.failed(Failure())

    def targetHalfClosed(self) -> None:
        if self._live and getattr(self.conversation, "halfClose", False) and self.session.ending is None:
            self._residue(self.conversation.targetCodec, TARGET)
            self.transport.loseWriteConnection()
        else:
            self.leg.transport.loseConnection()  # type: ignore[union-attr]

    def targetLost(self, reason: Failure) -> None:
        if self.closing:
            if self._clientLost:
                self._cancelDeadline()
            return
        if self._live:
            self._residue(self.conversation.targetCodec, TARGET)
            self.session.end(self.session.leaving)
        else:
            self._targetFailed("closed the connection during the login", "Its log says why.")

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

    def _tooLate(self) -> None:
        self._deadline = None
        if self.session is not None:
            self._targetFailed("did not answer in time", "Is it up, and can it be reached from the gateway?")
        else:
            self.failed(Failure(Refusal("login-timeout", "the login took too long", "Try again; the gateway's operator sees why.")))

    def _targetFailed(self, what: str, hint: str) -> None:
        self.failed(Failure(TargetFailed(f'target "{self.session.target.name}" {what}', hint)))

    def failed(self, failure: Failure) -> None:
        """Whatever went wrong: a live session knows; before that, the client is told and the connection closed."""
        if self._live:
            self.session.failed(failure)
            return
        if self.closing:
            return
        refusal = refusalOf(failure.value)
        if refusal.code == "internal-error":
            self.log.failure("a fault in the gateway refuses a connection", failure=failure)
        self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        if self.session is not None and refusal.session is None:
            refusal.session = self.session.id
        try:
            if not self._clientLost:
                self.conversation.refused(refusal)
        except Exception:
            self.log.failure("a refusal could not be told")
        if self.session is not None:
            self.session.refused(refusal)
        else:
            self.finish(refusal.code)

    def finish(self, reason: str) -> None:
        """Close both connections once everything said is sent."""
        if self.closing:
            return
        self.closing = True
        self._cancelDeadline()
        for key in self._offered:
            self.mitm.offers.remove(key)
        self._throttle.end()
        if self.leg is not None:
            self.leg.close()
        if not self._clientLost:
            if reason in ("client-left", "cancel"):
                self.transport.loseConnection()
            else:
                # Closing with bytes unread would reset the connection, and take along what was just said: our direction ends first.
                self.transport.resumeProducing()
                self.transport.loseWriteConnection()
        if not self._clientLost or (self.leg is not None and not self.leg.lost):
            self._deadline = self.mitm.broker.clock.callLater(LINGER, self.abort)
        self._early.clear()

    def abort(self) -> None:
        """Cut both connections."""
        self._deadline = None
        self.closing = True
        if not self._clientLost:
            self.transport.abortConnection()
        if self.leg is not None:
            self.leg.abort()

    def _cancelDeadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
