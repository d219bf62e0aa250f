"""The audit against the ledger: what was changed, put in between, or taken away is found; what is new, or older, is nobody's fault."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.leaf import leaf
from hoopx.recording.acts import NAMED, verifyAudit, verifyServer
from hoopx.recording.book import Book
from hoopx.state.rows import AuditAway
from hoopx.state.store import Store

BEGAN = 1_700_000_000.0


class ActsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.store = Store.open("sqlite:", self.data)
        self.addCleanup(self.store.close)
        self.hashes = [self.act(f"S{number}") for number in range(6)]
        self.leaves = [leaf("audit", BEGAN, audit=each) for each in self.hashes]

    def act(self, subject: str) -> str:
        row = {"at": BEGAN + 0.125, "actor": "uid 0 (röt)", "action": "session.show", "subject": subject, "details": {"é": [1, None, 2.5]}}
        return self.store.addAudit([row])[0]

    def verified(self, leaves=None, pending=()):
        book = Book(self.leaves if leaves is None else leaves, pending)
        return verifyAudit(str(self.data), book.vouched, book.trail)

    def forge(self, statement: str, *values: object) -> None:
        """As somebody does who has the file."""
        with sqlite3.connect(self.data / "state.sqlite") as database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {name}")
            database.execute(statement, values)
        database.close()

    def found(self, *said: str, **fields) -> None:
        acts = self.verified(**fields)
        self.assertEqual((acts.state, len(acts.problems)), ("TAMPERED", len(said)), acts.problems)
        for words, problem in zip(said, acts.problems):
            self.assertIn(words, problem)

    def test_consistent(self) -> None:
        acts = self.verified()
        self.assertEqual((acts.state, acts.rows, acts.logged, acts.problems), ("consistent", 6, 6, []))
        self.assertEqual(acts.line(), {"state": "consistent", "rows": 6, "logged": 6, "problem": None})

    def test_youngAndOld(self) -> None:
        """Rows that are on their way, and those before the ledger began; leaves that nobody has signed ask for nothing."""
        self.act("new")
        acts = self.verified(self.leaves[2:4], self.leaves[4:])
        self.assertEqual((acts.state, acts.rows, acts.logged), ("consistent", 7, 4))
        self.forge("DELETE FROM audit WHERE id = 6")
        self.assertEqual(self.verified(self.leaves[2:4], self.leaves[4:]).state, "consistent")

    def test_removed(self) -> None:
        self.forge("DELETE FROM audit WHERE id = 3")
        self.found(f"1 row is missing, which the ledger has: {self.hashes[2]}")
        self.forge("DELETE FROM audit WHERE id > 4")
        self.found("3 rows are missing")

    def test_moved(self) -> None:
        """The same rows in another order: who did what first."""
        for before, after in ((2, 100), (3, 2), (100, 3)):
            self.forge("UPDATE audit SET id = ? WHERE id = ?", after, before)
        self.found("row 3 (session.show by uid 0 (röt)) is not where it was")

    def test_copied(self) -> None:
        """A row once more, in front, in between, or behind: it was done once."""
        copied = "INSERT INTO audit SELECT ?, at, actor, action, subject, details, hash FROM audit WHERE id = ?"
        for copy, original, named in ((9, 6, 9), (-1, 1, 1), (9, 2, 9)):
            self.forge(copied, copy, original)
            acts = self.verified()
            self.assertEqual((acts.state, acts.rows, acts.logged), ("TAMPERED", 7, 6))
            self.assertIn(f"row {named} (session.show by uid 0 (röt)) is there twice", "; ".join(acts.problems))
            self.forge("DELETE FROM audit WHERE id = ?", copy)

    def test_holds(self) -> None:
        """The leaves of a hold by a filter come as the sessions do, behind rows that are younger than its own."""
        more = [leaf("hold-set", BEGAN, session=f"01M85F0DQ0000000000000000{number}", audit=self.hashes[1]) for number in range(3)]
        self.assertEqual(self.verified([*self.leaves, *more]).state, "consistent")

    def test_changed(self) -> None:
        self.forge("UPDATE audit SET actor = 'uid 1 (bob)' WHERE id = 3")
        self.found("row 3 (session.show by uid 1 (bob)) is not what it was")
        self.forge("UPDATE audit SET details = '{' WHERE id = 3")
        self.found("row 3")

    def test_changedWithDigest(self) -> None:
        """Another row in its place, right in itself."""
        other = self.act("other")
        self.forge("DELETE FROM audit WHERE id = 3")
        self.forge("UPDATE audit SET id = 3 WHERE hash = ?", other)
        self.found("row 3 (session.show by uid 0 (röt)) is not in the ledger", "1 row is missing")

    def test_erased(self) -> None:
        """An erasure's leaf names its row before the row has its own: that is no reason to miss those between."""
        last = self.act("erased")
        erased = leaf("erased", BEGAN, session="01M85F0DQ00000000000000000", audit=last)
        self.assertEqual(self.verified([*self.leaves[:5], erased]).state, "consistent")
        self.forge("DELETE FROM audit WHERE hash = ?", last)
        self.found("1 row is missing", leaves=[*self.leaves, erased])

    def test_hold(self) -> None:
        held = leaf("hold-set", BEGAN, session="01M85F0DQ00000000000000000", audit=self.hashes[5])
        self.assertEqual(self.verified([*self.leaves[:5], held]).logged, 6)

    def test_many(self) -> None:
        self.forge("UPDATE audit SET actor = ''")
        self.found(*["is not what it was"] * 6)
        for number in range(NAMED):
            self.leaves.append(leaf("audit", BEGAN, audit=self.act(f"T{number}")))
        self.forge("UPDATE audit SET actor = ''")
        self.found(*["is not what it was"] * NAMED, "and 6 more")

    def test_elsewhere(self) -> None:
        self.store.close()
        os.remove(self.data / "state.sqlite")
        self.assertIs(self.verified([]), None)
        acts = self.verified()
        self.assertEqual((acts.state, acts.sound), ("unchecked", True))
        self.assertIn("the ledger has 6 rows of the audit, which is not in this folder", acts.problems[0])
        book = Book(self.leaves)
        gone = verifyAudit(str(self.data), book.vouched, book.trail, expected=True)
        self.assertEqual((gone.state, gone.problems), ("missing", ["state.sqlite is not here, and the ledger has 6 rows of it"]))
        self.assertIs(verifyAudit(str(self.data), (), (), expected=True), None)
        (self.data / "state.sqlite").write_bytes(b"no database" * 100)
        acts = self.verified()
        self.assertEqual((acts.state, acts.sound), ("unchecked", False))
        self.assertIn("can not be read", acts.problems[0])

    def test_server(self) -> None:
        """One in a database server, which can not be asked, or does not have it."""
        book = Book(self.leaves)
        acts = verifyServer(lambda: self.store.auditAfter(0, 100), book.vouched, book.trail)
        self.assertEqual((acts.state, acts.logged), ("consistent", 6))

        def away(gone: bool):
            raise AuditAway("no server", gone)

        for gone, vouched, state, said in (
            (False, book.vouched, "unchecked", "no server"),
            (True, book.vouched, "missing", "no server, and the ledger has 6 rows of it"),
            (True, (), "unchecked", "no server"),
        ):
            acts = verifyServer(lambda gone=gone: away(gone), vouched, book.trail)
            self.assertEqual((acts.state, acts.problems, acts.sound), (state, [said], False))

    def test_pipe(self) -> None:
        """In a folder from elsewhere: nobody waits for what comes out of it."""
        self.store.close()
        path = self.data / "state.sqlite"
        path.unlink()
        os.mkfifo(path)
        acts = self.verified()
        self.assertEqual((acts.state, acts.problems), ("unchecked", ["state.sqlite can not be read: not a regular file, but a named pipe"]))

    def test_nothingWritten(self) -> None:
        """A store that nobody has open is read as it is, and stays so."""
        self.store.close()
        before = sorted((name, os.stat(self.data / name).st_mtime_ns) for name in os.listdir(self.data))
        self.assertEqual(self.verified().logged, 6)
        self.assertEqual(sorted((name, os.stat(self.data / name).st_mtime_ns) for name in os.listdir(self.data)), before)
