# -*- test-case-name: tests.protocols.postgres.test_login -*-
"""
The login at the target (PostgreSQL documentation, "Start-up", "SASL Authentication", "SSL Session Encryption").

It is not recorded: it carries secrets. It ends with the target's AuthenticationOk, and that counts only when the target has proved
itself as far as its settings ask.
"""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Mapping

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.protocols.postgres import messages
from hoopx.protocols.postgres.codec import ALL, TARGET_KINDS, AnswerCodec, MessageCodec
from hoopx.protocols.postgres.scram import ScramClient, saltedPassword
from hoopx.values import TARGET, Credential, Target

SPOKEN = frozenset({"53300", "57P03", "3D000", "57P01", "53400", "0A000"})
"""Errors of the target whose text the client may read. Others could name what it should not know."""


class TargetLogin:
    """
    Logs in once.

    @param conversation: its C{targetCodec} and C{targetHandlers} are set here.
    @param door: L{hoopx.interfaces.IDoor}: C{ask}, C{startTLS}, C{compute}.
    @param target: L{Target}, with L{hoopx.protocols.postgres.options.TargetOptions}.
    @param credential: forgotten when the login is over.
    @param version: protocol version to ask for.
    @param parameters: the client's startup parameters, with user and database replaced.
    @param done: called with the AuthenticationOk message.
    @param failed: called with a L{TargetFailed}.
    """

    def __init__(
        self,
        conversation: Any,
        door: Any,
        target: Target,
        credential: Credential,
        version: int,
        parameters: Mapping[str, str],
        done: Callable[[bytes], None],
        failed: Callable[[Any], None],
    ) -> None:
        self._conversation = conversation
        self._door = door
        self._target = target
        self._credential: Credential | None = credential
        self._startup = messages.startup(version, parameters)
        self._done = done
        self._failed = failed
        self._certificate: bytes | None = None
        self._scram: ScramClient | None = None
        self._computing: Any = None
        self._proved = False

    def begin(self) -> None:
        if self._target.tls == "off":
            self._start()
            return
        self._conversation.targetCodec = AnswerCodec()
        self._conversation.targetHandlers = {"answer": self._answered}
        self._door.ask(messages.SSL_REQUEST_PACKET)

    def _answered(self, raw: bytes) -> None:
        if raw[:1] != b"S":
            raise TargetFailed(
                f'target "{self._target.name}" does not offer TLS',
                'Turn TLS on at the target, or say tls = "off" for it in hoopx.toml if the way to it is safe.',
            )
        self._door.startTLS(TARGET, credential=self._credential).addCallbacks(self._secured, self._failed).addErrback(self._failed)

    def _secured(self, certificate: bytes | None) -> None:
        self._certificate = certificate
        # A certificate that it asks for is a proof already: "cert" in pg_hba.conf wants no other.
        self._proved = self._credential is not None and "certificate" in self._credential.secrets
        self._start()

    def _start(self) -> None:
        self._conversation.targetCodec = MessageCodec(ALL, TARGET_KINDS, LOGIN_LIMIT)
        self._conversation.targetHandlers = {b"R": self._authenticate, b"E": self._refused, b"N": _ignore, b"v": _ignore}
        self._door.ask(self._startup)

    # Authentication.

    def _authenticate(self, raw: bytes) -> None:
        code, rest = messages.readAuthentication(raw)
        if self._computing is not None:
            raise ProtocolViolation("the target goes on with its authentication before it is answered")
        if code == messages.OK:
            self._finish(raw)
        elif code == messages.SASL:
            self._sasl(rest)
        elif code == messages.SASL_CONTINUE and self._scram is not None:
            self._prove(self._scram, rest)
        elif code == messages.SASL_FINAL and self._scram is not None:
            self._scram.verify(rest)
            self._proved = self._scram.verified
        elif code == messages.CLEARTEXT:
            if self._certificate is None:
                raise TargetFailed(
                    f'target "{self._target.name}" asks for the password in the clear',
                    'That is only given under verified TLS: tls = "verify", or scram-sha-256 at the target.',
                )
            self._door.ask(messages.password(self._password()))
            self._proved = True
        elif code == messages.MD5:
            if self._target.tls == "off" or not self._target.options.allow_md5:
                raise TargetFailed(
                    f'target "{self._target.name}" asks for an MD5 password, which is not safe',
                    "Set password_encryption = scram-sha-256 there and the password anew, or allow_md5 = true for the target.",
                )
            self._door.ask(messages.password(_md5(self._username(), self._password(), rest)))
            self._proved = True
        else:
            raise TargetFailed(
                f'target "{self._target.name}" asks for a kind of login (code {code}) that is not supported',
                "scram-sha-256, a client certificate or a password under TLS is supported.",
            )

    def _sasl(self, rest: bytes) -> None:
        if self._scram is not None:
            raise ProtocolViolation("the target begins its authentication twice")
        offered = [name.decode("latin-1") for name in rest.split(b"\0") if name]
        self._scram = ScramClient(self._password(), offered, self._certificate)
        self._door.ask(messages.saslInitial(self._scram.mechanism, self._scram.first()))

    def _prove(self, scram: ScramClient, rest: bytes) -> None:
        """Answer the target's salt: at once, or when a thread has hashed the password as often as it asks."""
        derivation = scram.prepare(rest)
        if derivation is None:
            self._door.ask(messages.saslResponse(scram.respond(rest)))
            return

        def computed(salted: bytes) -> None:
            self._computing = None
            self._door.ask(messages.saslResponse(scram.respond(rest, salted)))

        self._computing = self._door.compute(saltedPassword, *derivation)
        self._computing.addCallback(computed).addErrback(self._failed)

    def _finish(self, raw: bytes) -> None:
        if self._scram is not None and not self._scram.verified:
            raise TargetFailed(f'target "{self._target.name}" ended the login without proving that it knows the password')
        if not self._proved and not self._target.options.trust:
            raise TargetFailed(
                f'target "{self._target.name}" lets the account in without a password',
                "Ask for scram-sha-256 in its pg_hba.conf, or say trust = true for the target in hoopx.toml.",
            )
        self._credential = self._scram = None
        self._done(raw)

    def _refused(self, raw: bytes) -> None:
        found = messages.readFields(raw)
        code = found.get("C", "")
        text = f": {found.get('M', '')}" if code in SPOKEN else ""
        raise TargetFailed(
            f'target "{self._target.name}" refused the login (SQLSTATE {code}){text}',
            "" if text else "Check the account's user name, password and certificate in hoopx.toml, and the target's log.",
        )

    def _username(self) -> bytes:
        return self._credential.username.encode() if self._credential else b""

    def _password(self) -> bytes:
        secret = self._credential.secrets.get("password") if self._credential else None
        if secret is None:
            raise TargetFailed(
                f'target "{self._target.name}" asks for a password, and its account has none',
                'Give the account one in hoopx.toml: password = { file = "..." }.',
            )
        return secret


LOGIN_LIMIT = 1024 * 1024
"""Bytes of one message during the login: more than any notice needs."""


def _md5(username: bytes, password: bytes, salt: bytes) -> bytes:
    inner = hashlib.md5(password + username, usedforsecurity=False).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode()


def _ignore(raw: bytes) -> None:
    """A notice, or the choice of an older protocol version, during the login."""
