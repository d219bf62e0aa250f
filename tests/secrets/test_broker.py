"""
Secrets of any kind, and what is told when there is none.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hoopx.errors import TargetFailed
from hoopx.interfaces import ICredentialSource
from hoopx.secrets.broker import LARGEST, Secrets
from hoopx.values import Identity, Reference, Target

ALICE = Identity("local", "alice", "alice")
ORDERS = Target("orders", "postgres", "tcp:a:1")
APP = Reference("test", "app")


@implementer(ICredentialSource)
class FakeSource:
    scheme = "test"

    def __init__(self, answer) -> None:
        self.answer = answer
        self.asked: list = []

    def fetch(self, reference, identity, target):
        self.asked.append((reference, identity, target))
        return self.answer()


class SecretsTests(SynchronousTestCase):
    def fetch(self, answer, reference=APP) -> Deferred:
        return Secrets({"test": FakeSource(answer)}).fetch(reference, ALICE, ORDERS)

    def test_fetch(self) -> None:
        source = FakeSource(lambda: succeed(b"secret"))
        secrets = Secrets({"test": source})
        self.assertEqual(self.successResultOf(secrets.fetch(APP, ALICE, ORDERS)), b"secret")
        self.assertEqual(source.asked, [(APP, ALICE, ORDERS)])
        self.assertEqual(secrets.schemes, ["test"])

    def test_waits(self) -> None:
        answer: Deferred = Deferred()
        fetched = self.fetch(lambda: answer)
        self.assertNoResult(fetched)
        answer.callback(b"x")
        self.assertEqual(self.successResultOf(fetched), b"x")

    def test_noSource(self) -> None:
        failed = self.failureResultOf(self.fetch(None, Reference("vault", "a#b")), TargetFailed)
        self.assertIn('vault:a#b can not be had: there is no source of the kind "vault"', failed.value.message)

    def test_unexpectedFailure(self) -> None:
        """The text of an unknown error may hold the secret: neither client nor log get it."""

        def raises():
            raise ValueError("hunter2")

        for answer in (raises, lambda: fail(ValueError("hunter2"))):
            failed = self.failureResultOf(self.fetch(answer), TargetFailed)
            self.assertNotIn("hunter2", str(failed) + failed.getTraceback())
            self.assertIn("the secret test:app can not be had", failed.value.message)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_expectedFailure(self) -> None:
        failed = self.failureResultOf(self.fetch(lambda: fail(TargetFailed("no test:app"))), TargetFailed)
        self.assertEqual(failed.value.message, "no test:app")

    def test_unusable(self) -> None:
        for secret in (b"", "text", None, b"x" * (LARGEST + 1)):
            failed = self.failureResultOf(self.fetch(lambda secret=secret: succeed(secret)), TargetFailed)
            self.assertIn("test:app", failed.value.message)
            self.assertLess(len(failed.value.message), 200)

    def test_wiring(self) -> None:
        """Something else in a source's place is found when things are wired, not at a login."""
        self.assertRaises(TypeError, Secrets, {"test": object()})
