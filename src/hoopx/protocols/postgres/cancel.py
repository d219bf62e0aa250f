# -*- test-case-name: tests.peers.test_psycopg -*-
"""
A CancelRequest to the target, on a connection of its own (PostgreSQL documentation, "Canceling Requests in Progress").
"""

from __future__ import annotations

from typing import Any

from hoopx.errors import TargetFailed
from hoopx.protocols.postgres.codec import AnswerCodec
from hoopx.protocols.postgres.messages import SSL_REQUEST_PACKET, cancelRequest
from hoopx.values import TARGET


class CancelConversation:
    """
    Says one thing and leaves. The connection is encrypted when the session's is.

    @param process: the target's own process id.
    @param secret: the target's own secret.
    @param encrypt: whether to ask for TLS first.
    """

    def __init__(self, process: int, secret: bytes, encrypt: bool) -> None:
        self._request = cancelRequest(process, secret)
        self._encrypt = encrypt
        self.targetCodec = AnswerCodec()
        self.targetHandlers = {"answer": self._answered}
        self._aside: Any = None

    def targetReady(self, aside: Any) -> None:
        self._aside = aside
        if self._encrypt:
            aside.ask(SSL_REQUEST_PACKET)
        else:
            self._send()

    def _answered(self, raw: bytes) -> None:
        if raw != b"S":
            raise TargetFailed("the target does not offer TLS for a cancel request")
        self._aside.startTLS(TARGET).addCallbacks(lambda _: self._send(), lambda failure: self._aside.close())

    def _send(self) -> None:
        self._aside.ask(self._request)
        self._aside.close()
