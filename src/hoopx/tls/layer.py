# -*- test-case-name: tests.tls.test_layer -*-
"""
TLS between a transport and a protocol, with the standard library's OpenSSL.

What Twisted's own layer does through cffi and a timer takes about 7 µs for reading a short record and 6 µs for writing one;
here it is 1.5 µs each: every read of the socket is one call of the protocol, and every write leaves at once. Nothing is kept
here, so that the transport's own buffer is the only one, and back-pressure passes through.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import HoopxError

RECORD: Final = 16384
"""The most plaintext one record holds (RFC 8446 §5.1): one read of this size empties it."""
RUN: Final = RECORD
"""Bytes given to OpenSSL in one go. Its buffers keep their largest size for the connection's life: small ones stay small."""
TAKEN: Final = 4 * RECORD
"""The same for what is read in bulk: each time OpenSSL waits for the rest of a record costs an exception, so this is more."""
EARLY_LIMIT: Final = 64 * 1024
"""Plaintext that may wait for the end of the handshake: error texts, first messages."""


class Terms(Protocol):
    """What is agreed with the peer: L{hoopx.tls.contexts} has both sides' terms."""

    def open(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Begin. @raise HoopxError: it can not be begun."""

    def agreed(self, tls: ssl.SSLObject) -> None:
        """The handshake is over. @raise HoopxError: its result will not do."""

    def explain(self, error: Exception, tls: ssl.SSLObject | None) -> HoopxError:
        """Say what went wrong, to the one who has to know."""


@implementer(IProtocol, ITCPTransport)
class Layer:
    """
    One side of one TLS connection; made by L{wrap}. The transport's protocol, and the protocol's transport.

    @ivar certificate: what the peer has proved to be, as DER, or C{None}.
    @ivar alpn: the application protocol that was agreed, or C{None}.
    """

    __slots__ = (
        "_clean", "_done", "_early", "_earlyBytes", "_encrypt", "_incoming", "_onHandshake", "_outgoing", "_over",
        "_protocol", "_read", "_reason", "_send", "_silent", "_terms", "_tls", "alpn", "certificate", "connected",
        "disconnecting", "transport",
    )  # fmt: skip

    def __init__(
        self, transport: Any, protocol: Any, terms: Terms, onHandshake: Callable[[HoopxError | None, bytes | None], None]
    ) -> None:
        self.transport = transport
        self.connected = True
        self.disconnecting = False
        self.certificate: bytes | None = None
        self.alpn: str | None = None
        self._protocol = protocol
        self._terms = terms
        self._onHandshake = onHandshake
        self._early: list[bytes] = []
        self._earlyBytes = 0
        self._done = False  # the handshake
        self._over = False  # nothing more is read
        self._silent = False  # nothing more is written
        self._clean = False  # the peer has said that it says no more
        self._reason: Failure | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._send = transport.write
        self._tls: ssl.SSLObject | None = None

    # The transport's protocol.

    def begin(self, received: bytes) -> None:
        """Start the handshake; C{received} was read from the transport already."""
        try:
            self._tls = self._terms.open(self._incoming, self._outgoing)
        except Exception as error:
            self._failed(self._terms.explain(error, None))
            return
        self._read = self._tls.read
        self._encrypt = self._tls.write
        if received:
            self._incoming.write(received)
        self._shake()

    def makeConnection(self, transport: Any) -> None:
        """The transport is connected already."""

    def connectionMade(self) -> None:
        """Nor is that told to the protocol again."""

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        if not self._done:
            self._incoming.write(data)
            self._shake()
            return
        pieces: list[bytes] = []
        if len(data) <= TAKEN:
            self._incoming.write(data)
            ended = self._take(pieces)
        else:
            ended = False
            with memoryview(data) as view:
                for start in range(0, len(view), TAKEN):
                    self._incoming.write(view[start : start + TAKEN])
                    ended = self._take(pieces)
                    if ended or self._over:
                        break
        if self._outgoing.pending:
            self._send(self._outgoing.read())
        if pieces:
            self._protocol.dataReceived(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended and not self._over:
            self._over = self._clean = True
            self._ended()
        elif self._reason is not None:
            self.transport.loseConnection()

    def _take(self, pieces: list[bytes]) -> bool:
        """Decrypt what has come. @return: C{True} when the peer has said that it says no more (close_notify)."""
        try:
            # What OpenSSL has not taken from us it has not looked at: it reads record by record, and gives all of each.
            while self._incoming.pending:
                piece = self._read(RECORD)
                if not piece:
                    return True
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError as error:
            self._over = self._silent = self.disconnecting = True
            self._reason = Failure(self._terms.explain(error, self._tls))
        return False

    def _shake(self) -> None:
        tls: Any = self._tls
        failure: HoopxError | None = None
        try:
            tls.do_handshake()
            self._terms.agreed(tls)
        except ssl.SSLWantReadError:
            self._flush()
            return
        except HoopxError as error:
            failure = error
        except (ssl.SSLError, ssl.CertificateError, OSError) as error:
            failure = self._terms.explain(error, tls)
        self._flush()
        if failure is not None:
            self._failed(failure)
            return
        self._done = True
        self.certificate = tls.getpeercert(True)
        self.alpn = tls.selected_alpn_protocol()
        leaving, self.disconnecting, self._silent = self.disconnecting, False, False
        early, self._early = self._early, []
        if early:
            self.write(b"".join(early))
        self._onHandshake(None, self.certificate)
        if leaving:
            self.loseConnection()
        elif self._incoming.pending:
            self.dataReceived(b"")

    def _failed(self, error: HoopxError) -> None:
        self._over = self._done = self._silent = self.disconnecting = True
        self._reason = Failure(error)
        self._early.clear()
        self.transport.loseConnection()
        self._onHandshake(error, None)

    def _ended(self) -> None:
        """The peer has said that it says no more (close_notify): so do we."""
        self.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        if not self.connected:
            return
        cut = not self._clean and not self.disconnecting
        self.connected = False
        self._over = self._silent = self.disconnecting = True
        if not self._done:
            self._done = True
            self._early.clear()
            self._onHandshake(self._terms.explain(ConnectionLost(), self._tls), None)
        elif cut and reason.check(ConnectionDone):
            reason = Failure(ConnectionLost("the peer left without ending TLS"))
        self._protocol.connectionLost(self._reason or reason)

    # The protocol's transport.

    def write(self, data: bytes) -> None:
        if not data or self._silent:
            return
        if not self._done:
            self._earlyBytes += len(data)
            if self._earlyBytes > EARLY_LIMIT:
                raise RuntimeError(f"more than {EARLY_LIMIT} bytes to send before the TLS handshake is over")
            self._early.append(data)
        elif len(data) <= RUN:
            self._encrypt(data)
            self._send(self._outgoing.read())
        else:
            records = []
            with memoryview(data) as view:
                for start in range(0, len(view), RUN):
                    self._encrypt(view[start : start + RUN])
                    records.append(self._outgoing.read())
            self._send(b"".join(records))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._send(self._outgoing.read())

    def _notify(self) -> None:
        """Say that we say no more (close_notify)."""
        if self._silent:
            return
        self._silent = True
        try:
            self._tls.unwrap()  # type: ignore[union-attr]
        except ssl.SSLError:
            pass  # it wants to read the peer's answer, which nobody waits for
        self._flush()

    def loseConnection(self) -> None:
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._done:
            self._notify()
        elif self._early:
            self._silent = True
            return  # what waits is sent first
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        self._over = self._silent = self.disconnecting = True
        if self._reason is None:
            self._reason = Failure(ConnectionAborted())
        self.transport.abortConnection()

    def loseWriteConnection(self) -> None:
        """Half-close: TLS has a word for it, and TCP after it."""
        if not self._done:
            self.loseConnection()
        elif not self._silent:
            self._notify()
            self.transport.loseWriteConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    def getPeer(self) -> Any:
        return self.transport.getPeer()

    def getHost(self) -> Any:
        return self.transport.getHost()

    def getTcpNoDelay(self) -> bool:
        return self.transport.getTcpNoDelay()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        return self.transport.getTcpKeepAlive()

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.transport.setTcpKeepAlive(enabled)


@implementer(IHalfCloseableProtocol)
class HalfCloseableLayer(Layer):
    """For a protocol that goes on writing when the peer has ended."""

    __slots__ = ()

    def _ended(self) -> None:
        self._protocol.readConnectionLost()

    def readConnectionLost(self) -> None:
        """The end of TCP. Without the end of TLS before it somebody may have cut the peer's words short."""
        if not self._over:
            self._over = True
            if self._done:
                self._reason = Failure(ConnectionLost("the peer left without ending TLS"))
            self._early.clear()
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        self._protocol.writeConnectionLost()


def wrap(
    transport: Any,
    protocol: Any,
    terms: Terms,
    onHandshake: Callable[[HoopxError | None, bytes | None], None],
    received: bytes = b"",
) -> Layer:
    """
    Speak TLS over a transport from here on: its bytes go through the layer, and what they say to C{protocol.dataReceived}.

    @param transport: connected; it calls C{transport.protocol.dataReceived} and so on.
    @param protocol: looked up at each call, so it may be rebound; its C{makeConnection} is not called again.
    @param terms: one of L{hoopx.tls.contexts}'.
    @param onHandshake: called once: C{(None, certificate)} when the handshake is over and the peer verified (the certificate as
        DER, or C{None} when it has shown none), else C{(reason, None)}; then the connection is closed. May be called before this
        returns. Nothing bounds its time: that is the caller's deadline.
    @param received: TLS bytes that were read from the transport already.
    @return: what to write to from now on.
    """
    kind = HalfCloseableLayer if IHalfCloseableProtocol.providedBy(protocol) else Layer
    layer = kind(transport, protocol, terms, onHandshake)
    transport.protocol = layer
    layer.begin(received)
    return layer
