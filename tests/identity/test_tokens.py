from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import Refusal, Unauthorized
from hoopx.identity.tokens import MAX_PENDING, TokenError, Tokens
from hoopx.state.store import Store
from hoopx.state.thread import Directly
from hoopx.values import Identity


class TokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.data = Path(self.mktemp())
        self.store = Store.open("sqlite:", self.data)
        self.addCleanup(self.store.close)
        self.tokens = Tokens(self.store, Directly(), self.clock.seconds, maxAge=3600)

    def issue(self, *args: Any, **more: Any) -> tuple[str, str]:
        return self.successResultOf(self.tokens.issue(*args, **more))

    def test_verify(self) -> None:
        token, id = self.issue("alice@example.com", ["sre", "analysts"], "agent", actor="bot", targets=["orders"], ttl=60)
        self.assertEqual(
            self.successResultOf(self.tokens.verify(token)),
            Identity(
                issuer="tokens",
                subject="alice@example.com",
                name="alice@example.com",
                groups=("analysts", "sre"),
                kind="agent",
                actor="bot",
                credential=id,
                expires=1060.0,
                targets=("orders",),
            ),
        )

    def test_unrestricted(self) -> None:
        for targets in (None, []):
            token, _ = self.issue("alice", targets=targets)
            self.assertIdentical(self.successResultOf(self.tokens.verify(token)).targets, None)

    def test_onlyTheHashIsKept(self) -> None:
        token, _ = self.issue("alice")
        self.successResultOf(self.tokens.verify(token))
        files = list(self.data.iterdir())
        self.assertIn(self.data / "state.sqlite-wal", files)
        bytes = b"".join(one.read_bytes() for one in files)
        self.assertIn(b"alice", bytes)
        self.assertNotIn(token.encode(), bytes)
        self.assertNotIn(token[3:46].encode(), bytes)

    def test_oneTextForEveryCause(self) -> None:
        revoked, id = self.issue("alice")
        expired, _ = self.issue("alice", ttl=5)
        self.successResultOf(self.tokens.revoke(id=id))
        self.clock.advance(5)
        stranger = Tokens(self.store, Directly(), self.clock.seconds, 60)
        stranger._store = type("Nowhere", (), {"addToken": lambda self, row: None})()
        unknown, _ = self.successResultOf(stranger.issue("alice"))
        wrong = revoked[:-1] + ("0" if revoked[-1] != "0" else "1")
        texts = set()
        for token in (revoked, expired, unknown, wrong, "", "hx_", "hunter2", "eyJhbGciOi", "hx_" + "\x00" * 49):
            error = self.failureResultOf(self.tokens.verify(token), Unauthorized).value
            texts.add((error.code, error.message, error.hint))
        self.assertEqual(len(texts), 1)

    def test_expiresToTheSecond(self) -> None:
        token, _ = self.issue("alice", ttl=5)
        self.clock.advance(4.99)
        self.successResultOf(self.tokens.verify(token))
        self.clock.advance(0.01)
        self.failureResultOf(self.tokens.verify(token), Unauthorized)

    def test_defaultLife(self) -> None:
        token, _ = self.issue("alice")
        self.assertEqual(self.successResultOf(self.tokens.verify(token)).expires, 4600.0)

    def test_maxAge(self) -> None:
        for ttl in (3601, 0, -1, float("nan"), float("inf")):
            error = self.failureResultOf(self.tokens.issue("alice", ttl=ttl), TokenError)
            self.assertIn("max_age", str(error.value))

    def test_refusedNames(self) -> None:
        for wrong in (
            {"user": ""},
            {"user": " "},
            {"user": "a\nb"},
            {"user": "a" * 257},
            {"user": "a\x1b[2J"},
            {"user": "alice", "groups": [""]},
            {"user": "alice", "groups": ["g"] * 257},
            {"user": "alice", "actor": ""},
            {"user": "alice", "targets": ["\x00"]},
            {"user": "alice", "note": "a\x1b[2J"},
            {"user": "alice", "kind": "god"},
            {"user": "service:batch"},
        ):
            self.failureResultOf(self.tokens.issue(**wrong), TokenError)
        self.assertEqual(self.successResultOf(self.tokens.issued()), [])

    def test_service(self) -> None:
        token, _ = self.issue("service:batch", kind="service")
        self.assertEqual(self.successResultOf(self.tokens.verify(token)).kind, "service")

    def test_list(self) -> None:
        _, id = self.issue("alice", ["g"], note="for tests")
        (row,) = self.successResultOf(self.tokens.issued())
        self.assertEqual(
            row,
            {
                "id": id, "user": "alice", "groups": ["g"], "kind": "human", "actor": None, "targets": None,
                "created": 1000.0, "expires": 4600.0, "revoked": None, "note": "for tests",
            },
        )  # fmt: skip

    def test_revokeUser(self) -> None:
        token, id = self.issue("alice")
        other, _ = self.issue("bob")
        self.assertEqual(self.successResultOf(self.tokens.revoke(user="alice")), [id])
        self.failureResultOf(self.tokens.verify(token), Unauthorized)
        self.successResultOf(self.tokens.verify(other))

    def test_revokeUnknown(self) -> None:
        error = self.failureResultOf(self.tokens.revoke(id="nosuch"), TokenError)
        self.assertIn("nosuch", str(error.value))
        self.failureResultOf(self.tokens.revoke(), TokenError)
        self.failureResultOf(self.tokens.revoke(id="a", user="b"), TokenError)

    def test_revokeTwice(self) -> None:
        _, id = self.issue("alice")
        self.assertEqual(self.successResultOf(self.tokens.revoke(id=id)), [id])
        self.assertEqual(self.successResultOf(self.tokens.revoke(id=id)), [])


class FloodTests(SynchronousTestCase):
    def test_pending(self) -> None:
        """A flood is refused at once, and room comes back, whatever the answers are."""
        waiting: list[Deferred[Any]] = []

        class Slow:
            def call(self, function: Any, *arguments: Any) -> Deferred[Any]:
                waiting.append(Deferred())
                return waiting[-1]

        token, _ = self.successResultOf(
            Tokens(type("S", (), {"addToken": lambda self, row: None})(), Directly(), lambda: 1.0, 60).issue("a")
        )
        tokens = Tokens(type("S", (), {"tokenByHash": None})(), Slow(), lambda: 1.0, 60)
        asked = [tokens.verify(token) for _ in range(MAX_PENDING)]
        self.assertEqual(self.failureResultOf(tokens.verify(token), Refusal).value.code, "limit")
        waiting[0].callback(None)
        waiting[1].errback(OSError("gone"))
        self.failureResultOf(asked[0], Unauthorized)
        self.failureResultOf(asked[1], OSError)
        for _ in range(2):
            self.assertNoResult(tokens.verify(token))
        self.failureResultOf(tokens.verify(token), Refusal)
