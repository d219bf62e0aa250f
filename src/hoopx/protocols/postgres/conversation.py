# -*- test-case-name: tests.peers.test_badinput -*-
"""
One PostgreSQL connection: the client's login, the target's, and then the session.

Without rules in force nothing is cut out and nothing parsed. With rules, L{hoopx.protocols.postgres.judging} takes the commands.
"""

from __future__ import annotations

from secrets import token_bytes
from typing import Any, Final

from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import HoopxError, ProtocolViolation, Refusal
from hoopx.interfaces import IConversation
from hoopx.protocols.postgres import errors, messages
from hoopx.protocols.postgres.cancel import CancelConversation
from hoopx.protocols.postgres.codec import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    MAX_UNIT,
    SSL_REQUEST,
    TARGET_KINDS,
    MessageCodec,
    RelayedCodec,
    StartupCodec,
)
from hoopx.protocols.postgres.judging import Judging
from hoopx.protocols.postgres.login import TargetLogin
from hoopx.values import CLIENT, MADE, TARGET, Block, Claim, Command, Token

LABEL_LIMIT: Final = 200
"""Characters of a run label: it stands in every list."""
NOTHING: Final[frozenset] = frozenset()
OAUTH: Final = "oauth"
"""The user name that asks for a login by OAUTHBEARER: it is nobody's account."""


@implementer(IConversation)
class PostgresConversation:
    """See L{IConversation}."""

    __slots__ = (
        "_door", "_judging", "_key", "_login", "_parameters", "_version", "clientCodec", "clientHandlers", "lane", "targetCodec",
        "targetHandlers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clientCodec: Any = StartupCodec()
        self.targetCodec: Any = MessageCodec(NOTHING, TARGET_KINDS)
        self.clientHandlers: dict = {"startup": self._startup, "tls": self._directTLS}
        self.targetHandlers: dict = {}
        self.lane: Any = None
        self._door: Any = None
        self._login: TargetLogin | None = None
        self._judging: Judging | None = None
        self._parameters: dict[str, str] = {}
        self._version = messages.VERSION_3_0
        self._key: tuple[int, bytes] | None = None

    def begin(self, door: Any) -> None:
        self._door = door

    # The client's login.

    def _directTLS(self, received: bytes) -> None:
        self._door.startTLS(CLIENT, received, [b"postgresql"]).addErrback(self._insecure)

    def _startup(self, raw: bytes) -> None:
        door = self._door
        code, parameters = messages.readStartup(raw)
        if code == GSSENC_REQUEST:
            door.reply(b"N")
        elif code != CANCEL_REQUEST and door.startsTLS and not door.secure:
            raise Refusal("tls-required", "this listener speaks TLS from the first byte", "Connect with sslnegotiation=direct.")
        elif code == SSL_REQUEST:
            if door.secure:
                raise ProtocolViolation("a request for TLS under TLS")
            door.reply(b"S")
            door.startTLS(CLIENT).addErrback(self._insecure)
        elif code == CANCEL_REQUEST:
            # A key that nobody has here could be another node's; there is one node.
            door.call(messages.readCancel(raw))
            door.close("cancel")
        elif code >> 16 != 3:
            raise Refusal("unsupported", "this is no PostgreSQL 3 client", "Protocol versions 3.0 and 3.2 are spoken here.")
        else:
            self._negotiate(code, parameters)
            self._begin(parameters)

    def _insecure(self, failure: Any) -> None:
        self._door.close("violation")

    def _negotiate(self, version: int, parameters: dict[str, str]) -> None:
        unknown = [name for name in parameters if name.startswith("_pq_.")]
        for name in unknown:
            del parameters[name]
        self._version = messages.VERSION_3_2 if version >= messages.VERSION_3_2 else messages.VERSION_3_0
        if unknown or version > messages.VERSION_3_2:
            self._door.reply(messages.negotiateProtocolVersion(self._version, unknown))

    def _begin(self, parameters: dict[str, str]) -> None:
        door = self._door
        if door.requireTLS and not door.secure:
            raise Refusal("tls-required", "this listener asks for TLS", "Connect with sslmode=require or better.")
        if not parameters.get("user"):
            raise Refusal("invalid", "the startup packet names no user", "Give the account to use as the user name.")
        if not all(isText(parameters.get(name, "")) for name in ("user", "database")):
            raise Refusal("invalid", "the startup packet's user or database is not UTF-8")
        self._parameters = parameters
        if door.certificate is not None or door.listener is not None:
            # AuthenticationOk comes as soon as the target's login has brought it.
            self._admit(door.certificate or door.listener)
        elif parameters["user"] == OAUTH:
            raise Refusal(
                "unsupported",
                'a login by OAUTHBEARER (user "oauth") needs an identity provider, and none is configured',
                "Give the account as the user, and an access token as the password.",
            )
        else:
            self.clientHandlers = {b"p": self._password}
            door.reply(messages.AUTHENTICATION_CLEARTEXT)

    def _password(self, raw: bytes) -> None:
        secret = messages.readPassword(raw)
        self._admit(Token(secret.decode("utf-8", "replace")))

    def _admit(self, proof: Any) -> None:
        parameters, door = self._parameters, self._door
        user = parameters["user"]
        wanted = parameters.get("database") or user
        if door.pinned is not None:
            target, database = door.pinned, None if wanted in (door.pinned, user) else wanted
        else:
            target, _, rest = wanted.partition("/")
            database = rest or None
        labels = {}
        if parameters.get("application_name"):
            labels["application"] = shown(parameters["application_name"][:LABEL_LIMIT])
        self.clientHandlers = {}
        door.admit(Claim("postgres", target, user, proof, database, labels, door.address))

    def refused(self, refusal: Refusal) -> None:
        self._door.reply(errors.refusal(refusal))

    # The target's login.

    def targetReady(self, session: Any, credential: Any) -> None:
        door, grant = self._door, session.grant
        parameters = {"user": credential.username, "database": grant.database or credential.username}
        parameters.update((key, value) for key, value in self._parameters.items() if key not in ("user", "database"))
        said = {name: shown(value) for name, value in parameters.items()}
        session.note("startup", parameters=said, protocol=f"3.{self._version & 0xFFFF}")
        if session.judged:
            self._judging = Judging(session)
            self._judging.startup(self._parameters)
        self._login = TargetLogin(
            self, door, session.target, credential, self._version, parameters, lambda raw: self._loggedIn(session, raw), door.failed
        )
        self._login.begin()

    def _loggedIn(self, session: Any, raw: bytes) -> None:
        session.note("login", tls=session.target.tls)
        self._login = None
        self._parameters = {}
        self._door.live()
        self.lane = session.lane(0)
        self.clientHandlers = {b"X": self._terminate}
        if self._judging is not None:
            self._judging.begin(self.lane)
            self.clientHandlers.update(self._judging.clientHandlers)
        self.clientCodec = self.clientCodec.messages
        self.clientCodec.limit = MAX_UNIT
        self.clientCodec.interest = frozenset(self.clientHandlers)
        self.targetHandlers = {b"K": self._keyData, b"Z": self._ready}
        self.lane.forward(TARGET, raw)

    def _keyData(self, raw: bytes) -> None:
        """The process id stays the server's; the secret is the gateway's own."""
        process, secret = messages.readKeyData(raw)
        if self._key is not None:
            # Each one is remembered until the session ends.
            raise ProtocolViolation("the target gives its cancel key twice")
        self._key = (process, secret)
        own = token_bytes(32 if self._version >= messages.VERSION_3_2 else 4)
        self._door.offer((process, own), self._cancelled)
        self.lane.forward(TARGET, messages.backendKeyData(process, own), origin=MADE)

    def _ready(self, raw: bytes) -> None:
        """The first ReadyForQuery: from here on only what somebody asks for is cut out."""
        self.targetHandlers = self._judging.targetHandlers if self._judging else {}
        self.lane.forward(TARGET, raw)
        if self.targetHandlers or not self.targetCodec.atBoundary:
            self.targetCodec.interest = frozenset(self.targetHandlers)
        else:
            self.targetCodec = RelayedCodec()

    # Within the session.

    def _terminate(self, raw: bytes) -> None:
        """Terminate: whoever closes first now, it was the client that left."""
        self.lane.session.leaving = "client-left"
        self.lane.forward(CLIENT, raw)

    def _cancelled(self) -> None:
        """A CancelRequest with this session's key has come in on another connection."""
        session = self.lane.session
        try:
            if not self.lane.withdraw("canceling statement due to user request"):
                session.note("cancel")
                self._cancel()
        except HoopxError:
            session.failed(Failure())

    def _cancel(self) -> None:
        if self._key is not None:
            self._door.aside(CancelConversation(*self._key, self.lane.session.target.tls != "off"))

    def refuse(self, lane: Any, command: Command, verdict: Block) -> None:
        self._judging.refuse(command, verdict)  # type: ignore[union-attr]

    def waiting(self, lane: Any, approval: Any) -> None:
        if self.targetCodec.atBoundary:
            text = f"this command waits for approval {approval.id}; press Ctrl-C to give it up"
            lane.forward(TARGET, errors.notice(text, lane.session.id), origin=MADE)

    def end(self, reason: str, message: str) -> bytes:
        if self.lane.last == CLIENT:
            self._cancel()
        return errors.ended(reason, message, self._door.session.id)


def isText(value: str) -> bool:
    """C{False} for what was no UTF-8."""
    return shown(value) == value


def shown(value: str) -> str:
    """A parameter with bytes that were no UTF-8 written out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
