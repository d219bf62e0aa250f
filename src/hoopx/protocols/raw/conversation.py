# -*- test-case-name: tests.test_door -*-
"""
A TCP connection to the one target its listener names. Nothing is understood, everything is recorded.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from hoopx.errors import Refusal
from hoopx.framing import PassCodec
from hoopx.interfaces import IConversation
from hoopx.values import CLIENT, TARGET, Block, Claim, Command


@implementer(IConversation)
class RawConversation:
    """See L{IConversation}. Each side may close its direction and go on listening."""

    __slots__ = ("_door", "clientCodec", "clientHandlers", "lane", "targetCodec", "targetHandlers")

    halfClose = True

    def __init__(self) -> None:
        self.clientCodec = PassCodec()
        self.targetCodec = PassCodec()
        self.clientHandlers: dict = {}
        self.targetHandlers: dict = {}
        self.lane: Any = None
        self._door: Any = None

    def begin(self, door: Any) -> None:
        self._door = door
        if door.startsTLS:
            door.startTLS(CLIENT).addCallbacks(lambda _: self._admit(), lambda _: door.close("violation")).addErrback(door.failed)
        else:
            self._admit()

    def _admit(self) -> None:
        door = self._door
        if door.requireTLS and not door.secure:
            raise Refusal("tls-required", "this listener asks for TLS")
        proof = door.certificate or door.listener
        if proof is None:
            raise Refusal("unauthorized", "nothing proves who the client is", "Connect with a client certificate.")
        door.admit(Claim("raw", door.pinned, "", proof, None, {}, door.address))

    def targetReady(self, session: Any, credential: Any) -> None:
        door = self._door
        if session.judged and "opaque" not in session.grant.permit:
            raise Refusal("denied", "raw bytes can not be judged, and rules are in force for this session")
        if session.target.tls == "off":
            self._begin(session)
        else:
            door.startTLS(TARGET).addCallback(lambda _: self._begin(session)).addErrback(door.failed)

    def _begin(self, session: Any) -> None:
        self._door.live()
        self.lane = session.lane(0)

    def refused(self, refusal: Refusal) -> None:
        """There is no way to say anything in a protocol that is not known."""

    def refuse(self, lane: Any, command: Command, verdict: Block) -> None:
        lane.session.end("refused", verdict.reason)

    def waiting(self, lane: Any, approval: Any) -> None:
        """As C{refused}."""

    def end(self, reason: str, message: str) -> bytes:
        return b""
