# -*- test-case-name: tests.peers.test_s3 -*-
"""
A proxy before an HTTP server that does to requests what networks and servers do.
"""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

ANSWER = (
    "HTTP/1.1 {status} Trouble\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
)
BODY = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


class FaultProxy:
    """
    @ivar port: where it listens.
    @ivar requests: how many have come.
    """

    def __init__(self, port: int) -> None:
        self._far = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self._faults: list[Any] = []
        self._always: Any = None
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def next(self, *faults: Any) -> None:
        """
        What happens to the next requests, each one once; then all is well again.

        @param faults: C{(status, code)}: this answer, unseen by the server; C{"cut"}: closed without an answer, unseen by the server;
            C{"lose"}: the server answers, and nobody hears it; C{"stall"}: silence until L{stop}; C{"forge"}: the signature is made
            a wrong one, as with a wrong secret key; C{"pass"}.
        """
        self._faults = list(faults)

    def always(self, fault: Any) -> None:
        """The same for all from now on; C{None} to end it."""
        self._always = fault

    def stop(self) -> None:
        for one in [self._listener, *self._open]:
            # close() alone wakes no thread that waits there.
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """One request a connection: so that each meets its own fate."""
        try:
            head, body = self._request(near)
            with self._lock:
                self.requests += 1
                fault = self._always or (self._faults.pop(0) if self._faults else "pass")
            if isinstance(fault, tuple):
                status, code = fault
                said = BODY.format(code=code, message="a text that repeats the request: AWSAccessKeyId rootuser rootpass-123")
                near.sendall(ANSWER.format(status=status, size=len(said)).encode() + said.encode())
            elif fault == "stall":
                return
            elif fault != "cut":
                head = self._admitted(near, head, body)
                if fault == "forge":
                    head = re.sub(rb"(?i)(signature=)[0-9a-f]{64}", rb"\g<1>" + b"0" * 64, head)
                self._forward(near, head, body, fault == "lose")
        except OSError:
            pass
        near.close()

    def _request(self, near: socket.socket) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(near)
        head, _, body = data.partition(b"\r\n\r\n")
        size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if re.search(rb"(?i)\r\nexpect: *100-continue", head):
            near.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect: *100-continue", b"", head)
        while size and len(body) < int(size[1]):
            body += self._more(near)
        return re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head) + b"\r\nConnection: close", body

    def _admitted(self, near: socket.socket, head: bytes, body: bytes) -> bytes:
        """@raise ConnectionError: it has been answered."""
        return head

    def _forward(self, near: socket.socket, head: bytes, body: bytes, lose: bool) -> None:
        with socket.create_connection(("127.0.0.1", self._far)) as far:
            far.sendall(head + b"\r\n\r\n" + body)
            while data := far.recv(1 << 16):
                if not lose:
                    near.sendall(data)

    @staticmethod
    def _more(near: socket.socket) -> bytes:
        data = near.recv(1 << 16)
        if not data:
            raise ConnectionError("closed")
        return data


class TokenProxy(FaultProxy):
    """
    Takes requests with temporary credentials, as servers with a token service do, and sends them on with those that last.

    @ivar known: (access key, session token) that hold now; any others have expired.
    """

    def __init__(self, port: int, access: str, secret: str) -> None:
        self.known: set[tuple[str, str]] = set()
        self._lasting = (access, secret)
        self.expired = 0
        super().__init__(port)

    def _admitted(self, near: socket.socket, head: bytes, body: bytes) -> bytes:
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        access = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        if (access[1] if access else "", headers.pop("x-amz-security-token", "")) not in self.known:
            self.expired += 1
            said = BODY.format(code="ExpiredToken", message="The provided token has expired.")
            near.sendall(ANSWER.format(status=400, size=len(said)).encode() + said.encode())
            raise ConnectionError("answered")
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        method, path, _ = line.split(" ")
        kept = {name: value for name, value in headers.items() if name not in ("authorization", "host", "x-amz-date", "connection")}
        request = AWSRequest(method, f"http://127.0.0.1:{self._far}{path}", headers=kept, data=body)
        S3SigV4Auth(Credentials(*self._lasting), "s3", "us-east-1").add_auth(request)
        told = {**dict(request.headers.items()), "Host": f"127.0.0.1:{self._far}", "Connection": "close"}
        return "\r\n".join([line, *(f"{name}: {value}" for name, value in told.items())]).encode("latin-1")
