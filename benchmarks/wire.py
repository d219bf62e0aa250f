"""
A PostgreSQL client of a few lines, for thousands of sessions in one process: it logs in and waits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
import struct
from base64 import b64decode, b64encode


class Refused(Exception):
    """The server's ErrorResponse."""


class Connection:
    """
    A session that has logged in: cleartext (hoopx), SCRAM (PostgreSQL, pgbouncer), or nothing at all.

    @ivar socket: ready for queries.
    """

    def __init__(self, port: int, user: str, password: str, database: str, tls: bool = False) -> None:
        self._buffer = b""
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket.sendall(struct.pack(">II", 8, 80877103))
            if self.socket.recv(1) != b"S":
                raise Refused("no TLS")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        body = struct.pack(">I", 0x30000) + b"".join(
            word.encode() + b"\0" for word in ("user", user, "database", database, "application_name", "bench")
        )
        self.socket.sendall(struct.pack(">I", len(body) + 5) + body + b"\0")
        self._login(password)

    def _message(self) -> tuple[bytes, bytes]:
        while len(self._buffer) < 5 or len(self._buffer) < 1 + struct.unpack_from(">I", self._buffer, 1)[0]:
            data = self.socket.recv(65536)
            if not data:
                raise Refused("the connection was closed")
            self._buffer += data
        size = 1 + struct.unpack_from(">I", self._buffer, 1)[0]
        kind, body, self._buffer = self._buffer[:1], self._buffer[5:size], self._buffer[size:]
        if kind == b"E":
            raise Refused(body.replace(b"\0", b" ").decode(errors="replace"))
        return kind, body

    def _say(self, body: bytes) -> None:
        self.socket.sendall(b"p" + struct.pack(">I", len(body) + 4) + body)

    def _login(self, password: str) -> None:
        while True:
            kind, body = self._message()
            if kind == b"Z":
                return
            if kind != b"R":
                continue
            code = struct.unpack_from(">I", body)[0]
            if code == 3:
                self._say(password.encode() + b"\0")
            elif code == 10:
                nonce = b64encode(os.urandom(18))
                first = b"n=,r=" + nonce
                self._say(b"SCRAM-SHA-256\0" + struct.pack(">I", len(first) + 3) + b"n,," + first)
            elif code == 11:
                self._say(_proof(password.encode(), first, body[4:]))

    def query(self, text: str) -> None:
        """Ask, and wait for the answer's end."""
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack(">I", len(body) + 4) + body)
        while self._message()[0] != b"Z":
            pass

    def close(self) -> None:
        try:
            self.socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self.socket.close()


def _proof(password: bytes, first: bytes, challenge: bytes) -> bytes:
    """The client's last message of SCRAM-SHA-256 (RFC 5802)."""
    parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", password, b64decode(parts[b"s"]), int(parts[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = b"c=biws,r=" + parts[b"r"]
    signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((first, challenge, final)), "sha256")
    return final + b",p=" + b64encode(bytes(a ^ b for a, b in zip(key, signature)))
