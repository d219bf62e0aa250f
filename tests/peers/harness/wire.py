# -*- test-case-name: tests.peers.test_harness -*-
"""
A PostgreSQL client that is nothing but a socket: it can do what drivers never do.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import pack, unpack_from
from types import TracebackType

from tests.peers.harness.waiting import PATIENCE

VERSION = 0x30000
SYNC = b"S\0\0\0\4"
FLUSH = b"H\0\0\0\4"
TERMINATE = b"X\0\0\0\4"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + pack(">I", len(body) + 4) + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def parse(name: str, text: str, *types: int) -> bytes:
    return message(b"P", name.encode() + b"\0" + text.encode() + b"\0" + pack(f">H{len(types)}I", len(types), *types))


def bind(portal: str, statement: str, *values: bytes | None, formats: tuple[int, ...] = (), results: tuple[int, ...] = ()) -> bytes:
    body = portal.encode() + b"\0" + statement.encode() + b"\0"
    body += pack(f">H{len(formats)}H", len(formats), *formats) + pack(">H", len(values))
    for value in values:
        body += pack(">i", -1) if value is None else pack(">I", len(value)) + value
    return message(b"B", body + pack(f">H{len(results)}H", len(results), *results))


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode() + name.encode() + b"\0")


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0" + pack(">I", rows))


def close(kind: str, name: str) -> bytes:
    return message(b"C", kind.encode() + name.encode() + b"\0")


def call(function: int, *values: bytes) -> bytes:
    """FunctionCall with binary arguments and result."""
    body = pack(">IHHH", function, 1, 1, len(values))
    for value in values:
        body += pack(">I", len(value)) + value
    return message(b"F", body + pack(">H", 1))


def startup(parameters: dict[str, str], version: int = VERSION) -> bytes:
    body = pack(">I", version) + b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in parameters.items()) + b"\0"
    return pack(">I", len(body) + 4) + body


def split(data: bytes, position: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """@return: (type, whole message) of whole messages; what is torn off at the end is left out."""
    while position + 5 <= len(data):
        end = position + 1 + unpack_from(">I", data, position + 1)[0]
        if end > len(data):
            return
        yield data[position : position + 1], data[position:end]
        position = end


def fields(raw: bytes) -> dict[str, str]:
    """@return: the fields of an ErrorResponse or NoticeResponse by their letters."""
    parts = raw[5:].split(b"\0")
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}


def keyOf(received: bytes) -> tuple[int, bytes]:
    """@return: process id and secret that a connection was told."""
    for kind, raw in split(received):
        if kind == b"K":
            return unpack_from(">I", raw, 5)[0], raw[9:]
    return 0, b""


class ServerError(Exception):
    """An ErrorResponse. @ivar fields: by their letters."""

    def __init__(self, raw: bytes) -> None:
        self.fields = fields(raw)
        self.code = self.fields.get("C", "")
        super().__init__(f"{self.code} {self.fields.get('M', '')}")


class Wire:
    """
    One connection.

    @ivar address: our own, as C{"host:port"}.
    @ivar key: process id and secret for a cancel request.
    @ivar parameters: what ParameterStatus said.
    @param receive: size of the socket's receive buffer, before connecting; C{None} for the system's.
    """

    def __init__(self, port: int, timeout: float = PATIENCE, receive: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.key = (0, b"")
        self.parameters: dict[str, str] = {}
        self._buffer = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[bytes, bytes]:
        """@return: type and whole of the next message; C{(b"", b"")} at the end of the connection."""
        buffer = self._buffer
        while True:
            if len(buffer) >= 5:
                end = 1 + unpack_from(">I", buffer, 1)[0]
                if len(buffer) >= end:
                    raw = bytes(buffer[:end])
                    del buffer[:end]
                    return raw[:1], raw
            data = self.socket.recv(1 << 18)
            if not data:
                return b"", b""
            buffer += data

    def login(self, user: str, password: str, database: str, **parameters: str) -> Wire:
        """@raise ServerError: refused."""
        self.send(startup({"user": user, "database": database, **parameters}))
        while True:
            kind, raw = self.receive()
            if kind == b"R" and unpack_from(">I", raw, 5)[0] == 3:
                self.send(message(b"p", password.encode() + b"\0"))
            elif kind == b"E":
                raise ServerError(raw)
            elif kind == b"K":
                self.key = unpack_from(">I", raw, 5)[0], raw[9:]
            elif kind == b"S":
                name, value = raw[5:-1].split(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif kind == b"Z":
                return self
            elif kind == b"":
                raise EOFError("the connection was closed during the login")

    def untilReady(self) -> list[tuple[bytes, bytes]]:
        """@return: messages up to ReadyForQuery, or to the end of the connection."""
        found = []
        while not found or found[-1][0] not in (b"Z", b""):
            found.append(self.receive())
        return found

    def ask(self, text: str) -> list[tuple[bytes, bytes]]:
        """Send a simple query and read its whole answer. @raise ServerError: it holds an error."""
        self.send(query(text))
        found = self.untilReady()
        for kind, raw in found:
            if kind == b"E":
                raise ServerError(raw)
        return found

    def value(self, text: str) -> str:
        """@return: the first column of the first row."""
        raw = next(raw for kind, raw in self.ask(text) if kind == b"D")
        size = unpack_from(">i", raw, 7)[0]
        return raw[11 : 11 + size].decode()

    def drain(self) -> int:
        """Read to the end of the answer without keeping it. @return: how many bytes."""
        total = len(self._buffer)
        rest = bytes(self._buffer)
        self._buffer.clear()
        view = bytearray(1 << 18)
        # ReadyForQuery is six bytes; nothing follows it until we ask again.
        while not rest.endswith((b"Z\0\0\0\5I", b"Z\0\0\0\5T", b"Z\0\0\0\5E")):
            count = self.socket.recv_into(view)
            if not count:
                raise EOFError(f"the connection was closed after {total} bytes of the answer")
            total += count
            rest = (rest + view[:count])[-6:]
        return total


def cancel(port: int, key: tuple[int, bytes]) -> None:
    """Send a CancelRequest and wait until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(pack(">III", 12 + len(key[1]), 80877102, key[0]) + key[1])
        while connection.recv(100):
            pass
