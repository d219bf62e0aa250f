from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import Refusal, Unauthorized
from hoopx.identity.verifier import Verifier
from hoopx.interfaces import IIdentityVerifier
from hoopx.values import Certificate, Claim, Identity, Listener, Token
from tests.identity.test_certificates import made

ALICE = Identity(issuer="tokens", subject="alice", name="alice")


class FakeTokens:
    def verify(self, text: str) -> Any:
        answers = {"good": succeed(ALICE), "bad": fail(Unauthorized()), "down": fail(OSError("hx_ secret"))}
        for other in answers.keys() - {text}:
            answers[other].addErrback(lambda why: None)
        return answers[text]


def claim(proof: Any) -> Claim:
    return Claim(protocol="postgres", target="orders", account="", proof=proof, address="10.0.0.1:5")


class VerifierTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verifier = Verifier(FakeTokens())  # type: ignore[arg-type]

    def test_interface(self) -> None:
        verifyObject(IIdentityVerifier, self.verifier)

    def test_token(self) -> None:
        self.assertIdentical(self.successResultOf(self.verifier.verify(claim(Token("good")))), ALICE)

    def test_wrongToken(self) -> None:
        self.failureResultOf(self.verifier.verify(claim(Token("bad"))), Unauthorized)

    def test_certificate(self) -> None:
        identity = self.successResultOf(self.verifier.verify(claim(made("alice"))))
        self.assertEqual((identity.issuer, identity.subject), ("certificate", "alice"))

    def test_wrongCertificate(self) -> None:
        self.failureResultOf(self.verifier.verify(claim(Certificate(b"rubbish"))), Unauthorized)

    def test_listener(self) -> None:
        for name in ("batch", "service:batch"):
            identity = self.successResultOf(self.verifier.verify(claim(Listener(name))))
            self.assertEqual((identity.issuer, identity.subject, identity.kind), ("listener", "service:batch", "service"))

    def test_noProof(self) -> None:
        for nothing in (None, "good", b"good"):
            self.failureResultOf(self.verifier.verify(claim(nothing)), Unauthorized)

    def test_storeDown(self) -> None:
        """Fails closed, and says so: nobody is told that their token is wrong."""
        error = self.failureResultOf(self.verifier.verify(claim(Token("down"))), Refusal).value
        self.assertEqual(error.code, "unavailable")
        self.assertNotIn("secret", error.message + error.hint)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
