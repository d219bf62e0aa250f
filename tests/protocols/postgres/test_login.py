"""
The login at a target, as a conversation: what it says, what must come back, and what counts as proof.
"""

from __future__ import annotations

from base64 import b64encode
from struct import pack
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.protocols.postgres import messages, scram
from hoopx.protocols.postgres.login import TargetLogin
from hoopx.protocols.postgres.options import TargetOptions
from hoopx.values import TARGET, Credential, Target
from tests.protocols.postgres.test_scram import Server

OK = b"R" + pack(">II", 8, 0)
MANY = 200_000


def authentication(code: int, rest: bytes = b"") -> bytes:
    return b"R" + pack(">II", 8 + len(rest), code) + rest


OFFER = authentication(messages.SASL, b"SCRAM-SHA-256\0\0")


class Door:
    """What the login asks of a door."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.secured: Deferred = Deferred()
        self.shown: Any = None
        self.computed: list[tuple] = []
        self.computing: Deferred = Deferred()
        self.targetCodec: Any = None
        self.targetHandlers: dict = {}

    def ask(self, data: bytes) -> None:
        self.asked.append(data)

    def startTLS(self, side: int, credential: Any = None) -> Deferred:
        assert side == TARGET
        self.shown = credential
        return self.secured

    def compute(self, function: Any, *arguments: Any) -> Deferred:
        self.computed.append((function, *arguments))
        return self.computing


class LoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        scram.KNOWN.clear()
        self.addCleanup(scram.KNOWN.clear)
        self.door = Door()
        self.over: list[Any] = []

    def login(self, tls: str = "off", **secrets: bytes) -> None:
        target = Target("orders", "postgres", "tcp:db:5432", tls=tls, options=TargetOptions())
        TargetLogin(
            self.door, self.door, target, Credential("app", secrets), 196608, {"user": "app"}, self.over.append,
            lambda failure: self.over.append(failure.value),
        ).begin()  # fmt: skip

    def hear(self, raw: bytes, kind: bytes | None = None) -> None:
        kind = raw[:1] if kind is None else kind
        (handler,) = [handler for known, handler in self.door.targetHandlers.items() if known == kind]
        handler(raw)

    def salt(self, iterations: int, server: Server | None = None) -> Server:
        """The target offers SCRAM, and answers our first message."""
        self.hear(OFFER)
        server = server or Server(b"pw", iterations)
        self.hear(authentication(messages.SASL_CONTINUE, server.first(self.door.asked[-1].partition(b"SCRAM-SHA-256\0")[2][4:])))
        return server

    def proof(self) -> bytes:
        return self.door.asked[-1][5:]

    def test_few(self) -> None:
        """PostgreSQL's usual count is hashed at once."""
        self.login(password=b"pw")
        server = self.salt(4096)
        self.hear(authentication(messages.SASL_FINAL, server.final(self.proof())))
        self.hear(OK)
        self.assertEqual((self.over, self.door.computed), ([OK], []))

    def test_many(self) -> None:
        """A large count goes to a thread; nothing is said before it is done, and the next login is at once."""
        self.login(password=b"pw")
        server = self.salt(MANY)
        before = len(self.door.asked)
        ((function, *arguments),) = self.door.computed
        self.assertEqual(arguments, [b"pw", server.salt, MANY])
        self.door.computing.callback(function(*arguments))
        self.assertEqual(len(self.door.asked), before + 1)
        self.hear(authentication(messages.SASL_FINAL, server.final(self.proof())))
        self.hear(OK)
        self.assertEqual(self.over, [OK])
        self.door.computed.clear()
        self.login(password=b"pw")
        self.salt(MANY, server)
        self.assertEqual(self.door.computed, [])
        self.hear(authentication(messages.SASL_FINAL, server.final(self.proof())))
        self.hear(OK)
        self.assertEqual(self.over, [OK, OK])

    def test_meanwhile(self) -> None:
        """A target that says anything more of the kind while it is computed breaks its protocol: it starts no second computation."""
        for said in (OK, OFFER, authentication(messages.SASL_CONTINUE, b"r=x"), authentication(messages.SASL_FINAL, b"v=AAAA")):
            self.door = Door()
            self.login(password=b"pw")
            self.salt(MANY)
            self.assertRaises(ProtocolViolation, self.hear, said)
            self.assertEqual((len(self.door.computed), self.over), (1, []))

    def test_notComputed(self) -> None:
        """What the door can not compute ends the login."""
        self.door.compute = lambda function, *arguments: fail(TargetFailed("no"))
        self.login(password=b"pw")
        self.salt(MANY)
        self.assertEqual([str(each) for each in self.over], ["no"])

    def test_tooMany(self) -> None:
        """PostgreSQL's own limit would take minutes: refused before anything is computed."""
        for count in (scram.MAX_ITERATIONS + 1, 2**31 - 1, 9_999_999_999):
            self.door = Door()
            self.login(password=b"pw")
            self.hear(OFFER)
            nonce = self.door.asked[-1].rpartition(b"r=")[2]
            first = b"r=%bx,s=%b,i=%d" % (nonce, b64encode(b"salt"), count)
            error = self.assertRaises(TargetFailed, self.hear, authentication(messages.SASL_CONTINUE, first))
            self.assertIn(str(count), str(error))
            self.assertIn(str(scram.MAX_ITERATIONS), str(error))
            self.assertEqual(self.door.computed, [])

    def secured(self, **secrets: bytes) -> None:
        self.login("verify", **secrets)
        self.hear(b"S", "answer")  # type: ignore[arg-type]
        self.door.secured.callback(b"certificate of the target")

    def test_certificate(self) -> None:
        """An account's certificate is shown in the handshake; AuthenticationOk at once is then no surprise."""
        self.secured(certificate=b"PEM", private_key=b"KEY")
        self.assertEqual(dict(self.door.shown.secrets), {"certificate": b"PEM", "private_key": b"KEY"})
        self.hear(OK)
        self.assertEqual(self.over, [OK])

    def test_nothingShown(self) -> None:
        """Without a proof from either side nobody is let in, unless the configuration says so."""
        self.secured(password=b"pw")
        self.assertRaises(TargetFailed, self.hear, OK)
        self.door = Door()
        self.login("off", certificate=b"PEM")
        self.assertRaises(TargetFailed, self.hear, OK)
        self.assertEqual(self.over, [])

    def test_certificateAndPassword(self) -> None:
        """clientcert=verify-full with scram-sha-256: both."""
        self.secured(certificate=b"PEM", password=b"pw")
        server = self.salt(4096)
        self.hear(authentication(messages.SASL_FINAL, server.final(self.proof())))
        self.hear(OK)
        self.assertEqual(self.over, [OK])

    def test_unproved(self) -> None:
        """AuthenticationOk in the middle of SCRAM counts for nothing, with a certificate, too."""
        self.secured(certificate=b"PEM", password=b"pw")
        self.hear(OFFER)
        self.assertRaises(TargetFailed, self.hear, OK)

    def test_refused(self) -> None:
        """What the target says of it may name what the client should not know; what it needs to know it is told."""
        self.secured(certificate=b"PEM")
        text = b"SFATAL\0C28000\0Mcertificate authentication failed for user \"app\"\0\0"
        error = self.assertRaises(TargetFailed, self.hear, b"E" + pack(">I", len(text) + 4) + text)
        self.assertIn("28000", str(error))
        self.assertNotIn("app", str(error))
        self.assertIn("certificate", error.hint)

    def test_noPassword(self) -> None:
        """A target that asks for a password that the account does not have."""
        self.secured(certificate=b"PEM")
        error = self.assertRaises(TargetFailed, self.hear, OFFER)
        self.assertIn("has none", str(error))


class SucceededTests(SynchronousTestCase):
    def test_immediately(self) -> None:
        """A computation that is done at once is as good."""
        scram.KNOWN.clear()
        case = LoginTests()
        case.setUp()
        case.door.compute = lambda function, *arguments: succeed(function(*arguments))
        case.login(password=b"pw")
        server = case.salt(20_000)
        case.hear(authentication(messages.SASL_FINAL, server.final(case.proof())))
        case.hear(OK)
        self.assertEqual(case.over, [OK])
        scram.KNOWN.clear()
