# -*- test-case-name: tests.test_reactor -*-
"""
The epoll reactor for a gateway: C{twistd --reactor hoopx}.

It differs from Twisted's own in what a relayed message costs, not in what it means:

  - a TCP transport sends at once when nothing is queued before it (L{Eager}), so that a message that goes through costs one
    C{recv}, one C{send} and its share of an C{epoll_wait}; what the socket does not take goes Twisted's way;
  - a readable transport is served without a logging context of its own; an exception in it is logged with its prefix all the
    same, and disconnects it alone;
  - a turn of the main loop looks at the timers only when there is one to look at;
  - timers go by a clock that nobody can set. Twisted's go by the wall clock: set forward by a day they would all be due at once (sessions
    at their maximum duration, logins too late), set back they would stand still for a day.

UNIX sockets keep Twisted's transports: descriptors travel with bytes that still wait to be sent.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
from select import EPOLLIN
from typing import Any, Sequence

from twisted.internet import tcp
from twisted.internet._newtls import startTLS
from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST, installReactor
from twisted.logger import Logger
from twisted.python import log

READ_LEAST = 16 * 1024
"""What one C{recv} asks for: more than nearly every message, and a third of a microsecond cheaper to allocate than 64 KiB."""

READ_MOST = 256 * 1024
"""What it asks for, after two steps of four, while reads come back full (bulk)."""

EVENTS = 256
"""How many events one C{epoll_wait} brings at most: a turn stays short, and the kernel goes round among the ready ones."""

BACKLOG_DEFAULT = 50
"""What Twisted's endpoints ask for when nobody said anything..."""

BACKLOG = 1024
"""...and what is listened with then: a gateway's clients come in bursts, and a full queue costs them a second."""

SWEEP = 50
"""So many cancelled timers and more are swept by L{EPollReactor.runUntilCurrent}."""

LONGEST = 86400
"""Longer waits than a day are left to L{EPollReactor.timeout}, which knows the kernel's limit."""


def send(self: Any, data: bytes) -> None:
    """
    C{write} of an eager transport, below TLS. L{Eager.write} says the same once more: a call less for every message.

    An error is not looked at: the bytes are queued, and the reactor meets the error in C{doWrite}, in a turn of its own, so that
    C{connectionLost} never runs inside C{write}.
    """
    if _mustQueue(self, data):
        FileDescriptor.write(self, data)
        return
    try:
        sent = self.socket.send(data)
    except OSError:
        sent = 0
    if sent != len(data):
        _queue(self, data, sent)


def _mustQueue(self: Any, data: bytes) -> bool:
    return (
        self._tempDataBuffer
        or self.dataBuffer
        or not self.connected
        or self.disconnecting
        or self._writeDisconnecting
        or data.__class__ is not bytes
        or not data
        # A pull producer is asked for more when the reactor has emptied the queue: there must be one.
        or not (self.streamingProducer or self.producer is None)
    )


def _queue(self: Any, data: bytes, sent: int) -> None:
    """The queue is empty: what is left of C{data} is all of it, and is not copied."""
    self.dataBuffer = data
    self.offset = sent
    self._maybePauseProducer()
    self.startWriting()


def sendSequence(self: Any, iovec: Sequence[bytes]) -> None:
    """C{writeSequence} of an eager transport, below TLS."""
    send(self, b"".join(iovec))


class _Below(FileDescriptor):
    """What C{startTLS} sends its records through."""

    write = send
    writeSequence = sendSequence


class Eager:
    """
    Mixed in before L{tcp.Server} or L{tcp.Client}: sends at once when nothing is queued, reads more at a time in bulk.

    @ivar readSize: how many bytes the next C{recv} asks for.
    """

    readSize = READ_LEAST

    def write(self, data: bytes) -> None:
        if (
            self._tempDataBuffer
            or self.dataBuffer
            or self.TLS
            or not self.connected
            or self.disconnecting
            or self._writeDisconnecting
            or data.__class__ is not bytes
            or not data
            or not (self.streamingProducer or self.producer is None)
        ):
            tcp.Connection.write(self, data)
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0
        if sent != len(data):
            _queue(self, data, sent)

    def writeSequence(self, iovec: Sequence[bytes]) -> None:
        if self.TLS:
            tcp.Connection.writeSequence(self, iovec)
        else:
            send(self, b"".join(iovec))

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        startTLS(self, ctx, normal, _Below)

    def _isSendBufferFull(self) -> bool:
        # What was sent of dataBuffer does not wait any more.
        return len(self.dataBuffer) - self.offset + self._tempDataLen > self.bufferSize

    def doRead(self) -> Exception | None:
        size = self.readSize
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        got = len(data)
        if got == size:
            if size < READ_MOST:
                self.readSize = size * 4
        elif size != READ_LEAST and got * 8 < size:
            self.readSize = READ_LEAST
        self.protocol.dataReceived(data)
        return None


class EagerServer(Eager, tcp.Server):
    """An accepted TCP connection."""

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        _noDelay(sock)
        super().__init__(sock, *args)


class EagerClient(Eager, tcp.Client):
    """A TCP connection that was opened."""

    def createInternetSocket(self) -> socket.socket:
        sock = super().createInternetSocket()
        _noDelay(sock)
        return sock


class EagerPort(tcp.Port):
    """Accepts L{EagerServer}s."""

    transport = EagerServer


class EagerConnector(tcp.Connector):
    """Opens L{EagerClient}s."""

    def _makeTransport(self) -> EagerClient:
        return EagerClient(self.host, self.port, self.bindAddress, self, self.reactor)


def _noDelay(sock: socket.socket) -> None:
    # A message that was written at once shall not wait in the kernel for the acknowledgement of the one before.
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        pass


class HoopxReactor(EPollReactor):
    """L{EPollReactor} with eager TCP transports and a lean loop."""

    _log = Logger()
    seconds = staticmethod(time.monotonic)

    def listenTCP(self, port: Any, factory: Any, backlog: int = BACKLOG_DEFAULT, interface: str = "") -> EagerPort:
        listening = EagerPort(port, factory, BACKLOG if backlog == BACKLOG_DEFAULT else backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> EagerConnector:
        connector = EagerConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return super().adoptStreamPort(fileDescriptor, addressFamily, factory)
        listening = EagerPort._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        listening.startListening()
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        return EagerServer._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)

    def doPoll(self, timeout: float | None) -> None:
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, EVENTS)
        except OSError as problem:
            if problem.errno == errno.EINTR:
                return
            raise
        selectables = self._selectables
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is None:
                # Disconnected by one that came before in this turn.
                continue
            if event == EPOLLIN and isinstance(selectable, Eager):
                try:
                    why = selectable.doRead()
                except BaseException:
                    why = sys.exc_info()[1]
                    log.callWithLogger(selectable, log.err)
                if why is not None:
                    log.callWithLogger(selectable, self._disconnectSelectable, selectable, why, True)
            else:
                log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)

    doIteration = doPoll

    def mainLoop(self) -> None:
        while self._started:
            try:
                self._turns()
            except BaseException:
                self._log.failure("Unexpected error in main loop")
        self._log.info("Main loop terminated.")

    def _turns(self) -> None:
        """Turn after turn: what L{EPollReactor} does in one, without looking twice for what is seldom there."""
        poll = self.doIteration
        while self._started:
            if self.threadCallQueue or self._newTimedCalls or self._justStopped or self._cancellations > SWEEP:
                self.runUntilCurrent()
                timeout = self.timeout()
            elif self._pendingTimedCalls:
                timeout = self._pendingTimedCalls[0].time - self.seconds()
                if not 0 < timeout < LONGEST:
                    self.runUntilCurrent()
                    timeout = self.timeout()
            else:
                timeout = None
            poll(timeout if self.running else 0)


def install() -> HoopxReactor:
    """Make it this process's reactor. @raise error.ReactorAlreadyInstalledError: there is one."""
    reactor = HoopxReactor()
    installReactor(reactor)
    return reactor


__all__ = ["Eager", "EagerClient", "EagerServer", "HoopxReactor", "install"]
