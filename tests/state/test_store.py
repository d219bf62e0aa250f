from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.state.rows import auditHash
from hoopx.state.store import Store


def row(id: str, user: str = "alice", **more: Any) -> dict[str, Any]:
    return {
        "id": id, "hash": "hash of " + id, "user": user, "groups": ["g"], "kind": "human", "actor": None, "targets": None,
        "created": 1.0, "expires": 9.0, "revoked": None, "note": "",
    } | more  # fmt: skip


class OpenTests(SynchronousTestCase):
    def refused(self, data: Path) -> str:
        error = self.assertRaises(ConfigurationError, Store.open, "sqlite:", data)
        self.assertIn(str(data / "state.sqlite"), str(error))
        return str(error)

    def test_notADatabase(self) -> None:
        data = Path(self.mktemp())
        data.mkdir()
        (data / "state.sqlite").write_bytes(b"precious" * 1000)
        self.assertIn("not a database", self.refused(data))
        self.assertEqual((data / "state.sqlite").read_bytes(), b"precious" * 1000)

    def test_notAFile(self) -> None:
        data = Path(self.mktemp())
        (data / "state.sqlite").mkdir(parents=True)
        self.refused(data)

    def test_whileSomebodyWrites(self) -> None:
        """An up-to-date store is opened without waiting for anybody."""
        data = Path(self.mktemp())
        first = Store.open("sqlite:", data)
        self.addCleanup(first.close)
        with first._writing.begin():
            Store.open("sqlite:", data).close()


class StoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Store.open("sqlite:", Path(self.mktemp()))
        self.addCleanup(self.store.close)

    def test_tokenByHash(self) -> None:
        self.store.addToken(row("a", targets=["x*"]))
        self.assertEqual(self.store.tokenByHash("hash of a"), row("a", targets=["x*"]))
        self.assertIdentical(self.store.tokenByHash("hash of b"), None)

    def test_allTokens(self) -> None:
        """Newest first, and without the hash."""
        self.store.addToken(row("a"))
        self.store.addToken(row("b", created=2.0))
        self.assertEqual([one["id"] for one in self.store.allTokens()], ["b", "a"])
        self.assertNotIn("hash", self.store.allTokens()[0])

    def test_noTargetsIsNull(self) -> None:
        """"Not restricted" must not be the JSON text "null" in SQL."""
        self.store.addToken(row("a"))
        with self.store._engine.connect() as connection:
            self.assertIdentical(connection.execute(text("SELECT targets FROM tokens")).scalar(), None)

    def test_sameHash(self) -> None:
        self.store.addToken(row("a"))
        self.assertRaises(IntegrityError, self.store.addToken, row("b", hash="hash of a"))

    def test_revokeOne(self) -> None:
        self.store.addToken(row("a"))
        self.store.addToken(row("b"))
        self.assertEqual(self.store.revokeTokens(5.0, id="a"), ["a"])
        self.assertEqual({one["id"]: one["revoked"] for one in self.store.allTokens()}, {"a": 5.0, "b": None})

    def test_revokeUser(self) -> None:
        for id, user in (("a", "alice"), ("b", "bob"), ("c", "alice")):
            self.store.addToken(row(id, user))
        self.assertEqual(sorted(self.store.revokeTokens(5.0, user="alice")), ["a", "c"])
        self.assertEqual(self.store.revokeTokens(6.0, user="alice"), [])
        self.assertEqual({one["id"]: one["revoked"] for one in self.store.allTokens()}, {"a": 5.0, "b": None, "c": 5.0})

    def test_revocationsInOrder(self) -> None:
        """In the order in which they were made, whatever their clocks said."""
        for id in "abc":
            self.store.addToken(row(id))
        for id, at in (("b", 9.0), ("a", 1.0), ("c", 5.0)):
            self.store.revokeTokens(at, id=id)
        self.assertEqual(self.store.revocationsAfter(0, 10), [(1, "b"), (2, "a"), (3, "c")])
        self.assertEqual(self.store.revocationsAfter(1, 1), [(2, "a")])
        self.assertEqual(self.store.lastRevocation(), 3)

    def test_lastRevocationOfNone(self) -> None:
        self.assertEqual(self.store.lastRevocation(), 0)

    def test_otherProcess(self) -> None:
        """Two stores on one file see each other's changes."""
        other = Store.open("sqlite:", Path(self.store.where).parent)
        self.addCleanup(other.close)
        self.store.addToken(row("a"))
        other.revokeTokens(5.0, id="a")
        self.assertEqual(self.store.revocationsAfter(0, 10), [(1, "a")])


class AuditTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Store.open("sqlite:", Path(self.mktemp()))
        self.addCleanup(self.store.close)
        self.store.addAudit([{"at": 1.0, "actor": "uid 0", "action": "reload", "subject": "", "details": {"a": [1]}}])

    def test_row(self) -> None:
        expected = {"id": 1, "at": 1.0, "actor": "uid 0", "action": "reload", "subject": "", "details": {"a": [1]}}
        expected["hash"] = auditHash(expected)
        self.assertEqual(self.store.auditRows(), [expected])

    def test_hash(self) -> None:
        """Canonical JSON, whatever the order of the keys; the row that comes back has the hash of the one that was written."""
        row = {"subject": "\u00e9", "at": 1e9 / 3, "actor": "uid 0", "action": "x", "details": {"b": (1,), "a": {"d": None, "c": 0.1}}}
        said = '{"action":"x","actor":"uid 0","at":333333333.3333333,"details":{"a":{"c":0.1,"d":null},"b":[1]},"subject":"\u00e9"}'
        self.assertEqual(self.store.addAudit([row]), [sha256(said.encode()).hexdigest()])
        (read,) = self.store.auditAfter(1, 10)
        self.assertEqual(auditHash(read), read["hash"])

    def test_again(self) -> None:
        """Rows of a write of which nobody knows whether it was committed are there once; one that is like them but for its time is another."""
        rows = [{"at": 5.0, "actor": "uid 0", "action": "x", "subject": subject, "details": {}} for subject in "abc"]
        self.store.addAudit(rows[:2])
        later = {**rows[0], "at": 6.0}
        self.assertEqual(self.store.addAudit([*rows, later], again=True), [auditHash(rows[2]), auditHash(later)])
        self.assertEqual([row["hash"] for row in self.store.auditAfter(1, 9)], [auditHash(row) for row in (*rows, later)])

    def test_after(self) -> None:
        self.store.addAudit([{"at": at, "actor": "", "action": "", "subject": "", "details": {}} for at in (5.0, 3.0)])
        self.assertEqual([row["at"] for row in self.store.auditAfter(0, 2)], [1.0, 5.0])
        self.assertEqual([row["at"] for row in self.store.auditAfter(2, 2)], [3.0])

    def test_onlyGrows(self) -> None:
        """Not even by those who write SQL themselves."""
        for statement in (
            "UPDATE audit SET actor = 'nobody'",
            "DELETE FROM audit",
            "INSERT OR REPLACE INTO audit VALUES (1, 1.0, 'nobody', '', '', '{}', '')",
        ):
            with self.store._writing.connect() as connection:
                error = self.assertRaises(IntegrityError, connection.execute, text(statement))
                self.assertIn("only grows", str(error))
        self.assertEqual([one["actor"] for one in self.store.auditRows()], ["uid 0"])
