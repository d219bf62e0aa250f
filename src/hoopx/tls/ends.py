# -*- test-case-name: tests.tls.test_ends -*-
"""
TLS at both ends of a session: what the doors ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from hoopx.errors import HoopxError, TargetFailed
from hoopx.tls.contexts import ClientOptions, ServerOptions
from hoopx.tls.layer import Layer, Terms, wrap
from hoopx.values import Credential, Target


class Ends:
    """
    @param server: what clients are shown.
    @param client: what is demanded of targets.
    """

    def __init__(self, server: ServerOptions, client: ClientOptions | None = None) -> None:
        self.server = server
        self.client = client or ClientOptions()

    def serve(
        self, transport: Any, protocol: Any, received: bytes = b"", alpn: Sequence[str | bytes] | None = None
    ) -> tuple[Layer, Deferred[bytes | None]]:
        """
        Speak TLS with a client.

        @param received: TLS bytes that were read already.
        @param alpn: application protocols, of which the client must speak one.
        @return: the transport from now on, and Deferred of the client's certificate as DER, or of C{None} when it has shown none.
            Fails with L{hoopx.errors.ProtocolViolation}; the connection is then closed.
        """
        return _start(transport, protocol, self.server.terms(alpn), received)

    def connect(
        self,
        transport: Any,
        protocol: Any,
        target: Target,
        alpn: Sequence[str | bytes] | None = None,
        credential: Credential | None = None,
    ) -> tuple[Any, Deferred[bytes | None]]:
        """
        Speak TLS with a target, and verify it.

        @param credential: may hold a certificate to show it.
        @return: the transport from now on, and Deferred of the target's certificate as DER. Fails with L{TargetFailed}; the
            connection is then closed.
        """
        try:
            terms = self.client.terms(target, alpn, credential)
        except TargetFailed as error:
            transport.loseConnection()
            return transport, fail(error)
        return _start(transport, protocol, terms, b"")

    def reload(self) -> bool:
        """Read certificates again that have changed."""
        return self.server.refresh()


def _start(transport: Any, protocol: Any, terms: Terms, received: bytes) -> tuple[Layer, Deferred[bytes | None]]:
    done: Deferred[bytes | None] = Deferred()

    def settled(error: HoopxError | None, certificate: bytes | None) -> None:
        if error is None:
            done.callback(certificate)
        else:
            done.errback(error)

    return wrap(transport, protocol, terms, settled, received), done
