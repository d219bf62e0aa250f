# -*- test-case-name: tests.test_lobby -*-
"""
The door's first half: what a client may do before its session is live.

Units go one by one to the conversation's handlers, and wait in a queue while something is being found out. One deadline covers it
all. When the session is live and what waited has been said, the lobby is left for good.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.admission import Admission
from hoopx.errors import ProtocolViolation, Refusal, TargetFailed, refusalOf
from hoopx.preamble import Preamble
from hoopx.secrets.broker import said
from hoopx.values import TARGET, Certificate, Credential

EARLY_LIMIT: Final = 64 * 1024
"""Bytes a client may send ahead of its admission: some drivers send their first query at once."""

IGNORED_LIMIT: Final = 1024 * 1024
"""Bytes that are read and thrown away of a client that was refused, so that it finds out what was said to it. One that goes on is cut
off: reading them for nothing costs everybody."""


class Lobby:
    """
    @param door: the L{hoopx.door.Door}: transports, conversation, session.
    @ivar waiting: units that the client has sent ahead.
    """

    __slots__ = ("_admission", "_begun", "_computing", "_deadline", "_door", "_gated", "_ignored", "_preamble", "_rest", "_size", "waiting")

    log = Logger()

    def __init__(self, door: Any) -> None:
        self._door = door
        self.waiting: deque = deque()
        self._size = self._ignored = 0
        self._gated = False
        self._begun = False
        self._computing: Deferred | None = None
        self._preamble: Preamble | None = None
        self._rest = b""  # of the read that ended the preamble
        self._deadline: Any = None
        self._admission: Admission | None = None

    def enter(self) -> None:
        """A client has connected."""
        door = self._door
        transport, mitm = door.transport, door.mitm
        peer = transport.getPeer()
        door.address = f"{getattr(peer, 'host', 'unix')}:{getattr(peer, 'port', 0)}"
        door.loopback = not mitm.proxies and mitm.isLoopback(peer) and mitm.isLoopback(transport.getHost())
        self._deadline = mitm.broker.clock.callLater(mitm.broker.limits.loginTimeout, self._tooLate)
        if mitm.isProxy(peer):
            self._preamble = Preamble()
            door.dataReceived = self._introduced
        else:
            self._begin()

    def _introduced(self, data: bytes) -> None:
        """A load balancer says who the client is, before anything else."""
        door, preamble = self._door, self._preamble
        if door.closing:
            self._ignore(data)
            return
        try:
            rest = preamble.feed(data)  # type: ignore[union-attr]
        except ProtocolViolation as violation:
            self.failed(Failure(violation))
            return
        if rest is None:
            return
        if preamble.client is not None:  # type: ignore[union-attr]
            door.address = "{}:{}".format(*preamble.client)  # type: ignore[union-attr]
        self._preamble, self._rest = None, rest
        door.dataReceived = self.clientData
        self._begin()
        # Where TLS has begun it has taken them already.
        rest, self._rest = self._rest, b""
        if rest:
            door.dataReceived(rest)

    def _begin(self) -> None:
        self._begun = True
        try:
            self._door.conversation.begin(self._door)
        except Exception:
            self._door.failed(Failure())

    def leave(self) -> None:
        """No deadline any more: the session is live, or the door closes."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def close(self) -> None:
        """The door closes: what waits is of no use any more."""
        self.waiting.clear()
        if self._computing is not None:
            self._computing.cancel()

    # The client's side.

    def admit(self, claim: Any) -> None:
        if self._admission is not None:
            raise ProtocolViolation("a second login on one connection")
        self._gated = True
        self._admission = Admission(self._door, claim)
        self._admission.run().addErrback(self._door.failed)

    def clientData(self, data: bytes) -> None:
        door = self._door
        if door.closing:
            self._ignore(data)
            return
        try:
            for unit in door.conversation.clientCodec.feed(data):
                self.waiting.append(unit)
                self._size += len(unit[1])
            if self._size > EARLY_LIMIT:
                raise ProtocolViolation(f"more than {EARLY_LIMIT} bytes before the login is over")
            self._pump()
        except Exception:
            door.failed(Failure())

    def _ignore(self, data: bytes) -> None:
        self._ignored += len(data)
        if self._ignored > IGNORED_LIMIT:
            self._door.abort()

    def _pump(self) -> None:
        door = self._door
        while self.waiting and not self._gated and not door.closing:
            kind, raw = self.waiting.popleft()
            self._size -= len(raw)
            handler = door.conversation.clientHandlers.get(kind)
            if handler is None:
                raise ProtocolViolation(f"{kind!r} is not expected during the login")
            handler(raw)

    def startTLS(self, received: bytes, alpn: list[bytes] | None) -> Deferred:
        """Speak TLS with the client. @raise ProtocolViolation: plaintext is still buffered."""
        door = self._door
        if door.conversation.clientCodec.buffered or self.waiting:
            raise ProtocolViolation("unencrypted data follows a request for encryption")
        received, self._rest = received or self._rest, b""
        door.transport, done = door.mitm.broker.tls.serve(door.transport, door, received, alpn)
        return done.addCallbacks(self._secured, self._insecure)

    def _secured(self, der: bytes | None) -> bytes | None:
        self._door.secure = True
        if der is not None:
            self._door.certificate = Certificate(der)
        return der

    def _insecure(self, failure: Failure) -> Failure:
        """The client has no ear for it: TLS is how it would hear."""
        self.log.info("{address}: {why}", address=self._door.address, why=failure.getErrorMessage())
        return failure

    # The target's side.

    def startTargetTLS(self, alpn: list[bytes] | None, credential: Credential | None) -> Deferred:
        """Speak TLS with the target, and verify it."""
        door = self._door
        return door.leg.startTLS(door.mitm.broker.tls, door.session.target, door.conversation.targetCodec, alpn, credential)

    def compute(self, function: Callable[..., Any], *arguments: Any) -> Deferred:
        """See L{hoopx.interfaces.IDoor}: one at a time, and none that outlives the door."""
        if self._computing is not None:
            raise RuntimeError("one computation at a time")
        asked: Deferred = self._door.mitm.broker.compute(function, *arguments)
        self._computing = asked
        return asked.addBoth(self._computed)

    def _computed(self, result: Any) -> Any:
        self._computing = None
        return result

    def targetData(self, data: bytes) -> None:
        door = self._door
        if door.closing:
            return
        conversation = door.conversation
        try:
            for kind, raw in conversation.targetCodec.feed(data):
                handler = conversation.targetHandlers.get(kind)
                if handler is not None:
                    handler(raw)
                elif door.relaying:
                    conversation.lane.forward(TARGET, raw)
                else:
                    raise ProtocolViolation(f"{kind!r} is not expected during the target's login")
                if door.closing:
                    return
        except ProtocolViolation as violation:
            if door.relaying:
                door.failed(Failure())
            else:
                self._targetFailed(f"does not keep to its protocol: {violation}", "Is this the right port in hoopx.toml?")
        except Exception:
            door.failed(Failure())

    def targetLost(self, reason: Failure) -> None:
        if reason.check(TargetFailed):
            self.failed(reason)
        else:
            self._targetFailed("closed the connection during the login", "Its log says why.")

    # What can go wrong.

    def _tooLate(self) -> None:
        self._deadline = None
        if self._door.session is not None:
            self._targetFailed("did not answer in time", "Is it up, and can it be reached from the gateway?")
        else:
            self.failed(Failure(Refusal("login-timeout", "the login took too long", "Try again; the gateway's operator sees why.")))

    def _targetFailed(self, what: str, hint: str) -> None:
        self.failed(Failure(TargetFailed(f'target "{self._door.session.target.name}" {what}', hint)))

    def failed(self, failure: Failure) -> None:
        """Whatever went wrong: the client is told, and the connection closed."""
        if self._door.closing:
            return
        if not self._begun:
            # Nobody knows yet what is spoken here.
            self.log.info("{address}: {why}", address=self._door.address, why=failure.getErrorMessage())
            self._door.finish("violation", silent=True)
            return
        refusal = refusalOf(failure.value)
        if refusal.code == "internal-error":
            self.log.failure("a fault in the gateway refuses a connection", failure=failure)
        elif failure.check(TargetFailed) and self._door.session is not None:
            self._told(failure.value)
        self._refuse(refusal)

    def _told(self, failed: TargetFailed) -> None:
        """To the operator alone: what the account logs in with, by its references, and what the client need not know."""
        session = self._door.session
        account = session.grant.account
        self.log.warn(
            "session {session}: {why} (account {account}: {secrets})",
            session=session.id,
            why=": ".join(filter(None, (failed.message, failed.reason))),
            account=account and account.name,
            secrets=", ".join(f"{name} {said(reference)}" for name, reference in account.secrets.items()) if account else "",
        )

    def _refuse(self, refusal: Refusal) -> None:
        door = self._door
        session = door.session
        if session is not None and refusal.session is None:
            refusal.session = session.id
        try:
            if not door.clientLost:
                door.conversation.refused(refusal)
        except Exception:
            self.log.failure("a refusal could not be told")
        if session is not None:
            session.refused(refusal)
        else:
            door.finish(refusal.code)
