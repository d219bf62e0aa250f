# -*- test-case-name: tests.peers.test_harness -*-
"""
A relay that remembers what went through it, on either side of the gateway.
"""

from __future__ import annotations

import socket
import threading
from struct import unpack_from

from tests.peers.harness import wire
from tests.peers.harness.waiting import PATIENCE


class Passage:
    """
    One connection through a tap.

    @ivar sent: what came from the connecting side, as far as it was read.
    @ivar received: what came back.
    @ivar peer: C{"host:port"} of who has connected.
    @ivar address: C{"host:port"} of our connection onward: how the next one sees the client.
    @ivar reset: the far side has not ended its direction but cut it.
    """

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.sent = bytearray()
        self.received = bytearray()
        self.peer = "{}:{}".format(*near.getpeername())
        self.address = "{}:{}".format(*far.getsockname())
        self.reset = False
        self._near, self._far = near, far
        self._ended = [threading.Event(), threading.Event()]

    def start(self) -> None:
        near, far = self._near, self._far
        for source, sink, kept, ended in (near, far, self.sent, self._ended[0]), (far, near, self.received, self._ended[1]):
            threading.Thread(target=self._relay, args=(source, sink, kept, ended), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, kept: bytearray, ended: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                kept += data
                try:
                    sink.sendall(data)
                except OSError:
                    # Nobody listens any more; what still comes counts all the same.
                    pass
        except OSError:
            self.reset = self.reset or source is self._far
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        ended.set()

    def ended(self, seconds: float = PATIENCE) -> bool:
        """Wait for both directions' end."""
        return all(event.wait(seconds) for event in self._ended)

    def close(self) -> None:
        for one in self._near, self._far:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # What the recording has to hold of it.

    def sentAfterLogin(self) -> bytes:
        """@return: what was sent after the last password or SASL message."""
        size = unpack_from(">I", self.sent, 0)[0] if len(self.sent) >= 4 else 0
        after = None
        for kind, raw in wire.split(bytes(self.sent), size):
            size += len(raw)
            if kind != b"p":
                break
            after = size
        return b"" if after is None else bytes(self.sent[after:])

    def receivedFromOk(self) -> bytes:
        """@return: what came back from AuthenticationOk on, itself included."""
        position = 0
        for kind, raw in wire.split(bytes(self.received)):
            if kind == b"R" and raw[5:9] == b"\0\0\0\0":
                return bytes(self.received[position:])
            position += len(raw)
        return b""


class Tap:
    """
    @ivar port: where to connect.
    @ivar passages: L{Passage}s in the order of their connections.
    @param onward: a port of this machine.
    """

    def __init__(self, onward: int) -> None:
        self.onward = onward
        self.passages: list[Passage] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.onward), PATIENCE)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            try:
                for one in near, far:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                passage = Passage(near, far)
            except OSError:  # gone again already; that is no reason to be deaf to all others
                near.close()
                far.close()
                continue
            # First it is there for who looks, and then for its client, who may look when he has got his answer.
            self.passages.append(passage)
            passage.start()

    def stop(self) -> None:
        # close() alone does not wake a thread in accept().
        try:
            self._listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listening.close()
        for passage in self.passages:
            passage.close()
