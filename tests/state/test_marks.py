from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.marks import MOST, MarkError, Marks
from hoopx.state.store import Store

S, T = "0" * 26, "1" * 26
ALICE, BOB, CAROL = "uid 1000 (alice)", "uid 1001 (bob)", "uid 1002 (carol)"


class MarksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Store.open("sqlite:", Path(self.mktemp()))
        self.addCleanup(self.store.close)
        self.clock = 0.0

    def by(self, who: str) -> Marks:
        def now() -> float:
            self.clock += 1
            return self.clock

        return Marks(self.store, who, now)

    def actions(self) -> list[tuple[str, str, str]]:
        return [(row["actor"], row["action"], row["subject"]) for row in self.store.auditRows()[::-1]]

    # Tags

    def test_tags(self) -> None:
        self.assertEqual(self.by(ALICE).tag(S, ["incident-7", "pci"]), ["incident-7", "pci"])
        self.assertEqual(self.by(BOB).tag(S, ["pci", "seen", "seen"]), ["seen"])
        self.assertEqual([(row["tag"], row["by"]) for row in self.by(BOB).tagged(S)], [("incident-7", ALICE), ("pci", ALICE), ("seen", BOB)])
        self.assertEqual(self.by(BOB).untag(S, ["pci", "none"]), ["pci"])
        self.assertEqual([row["tag"] for row in self.by(BOB).tagged(S)], ["incident-7", "seen"])
        self.assertEqual(self.by(BOB).tagged(T), [])
        self.assertEqual(self.actions(), [(ALICE, "session.tag", S), (BOB, "session.tag", S), (BOB, "session.untag", S)])

    def test_nothingToDo(self) -> None:
        """What changes nothing is not an act."""
        self.by(ALICE).tag(S, ["a"])
        self.assertEqual((self.by(BOB).tag(S, ["a"]), self.by(BOB).untag(S, ["b"])), ([], []))
        self.assertEqual(len(self.actions()), 1)

    def test_noTag(self) -> None:
        for word in ("", "two words", "x" * 65, "\x1b[2J", "a,b"):
            self.assertRaises(MarkError, self.by(ALICE).tag, S, ["good", word])
        self.assertEqual((self.by(ALICE).tagged(S), self.actions()), ([], []))

    def test_tooMany(self) -> None:
        self.by(ALICE).tag(S, [f"t{number}" for number in range(MOST)])
        self.assertRaises(MarkError, self.by(ALICE).tag, S, ["more"])

    # Reviews

    def test_twoPeople(self) -> None:
        self.by(BOB).review(S, ["alice"], note="looks right")
        self.by(CAROL).review(S, ["alice"], signOff=True)
        found = [(row["by"], row["what"], row["note"]) for row in self.by(BOB).reviewed(S)]
        self.assertEqual(found, [(BOB, "reviewed", "looks right"), (CAROL, "signed-off", "")])
        self.assertEqual(self.actions(), [(BOB, "session.review", S), (CAROL, "session.sign-off", S)])

    def test_notOneself(self) -> None:
        self.by(BOB).review(S, ["alice"])
        self.assertIn("second person", str(self.assertRaises(MarkError, self.by(BOB).review, S, ["alice"], True)))
        self.by(CAROL).review(S, ["alice"])
        for who in (BOB, CAROL):
            self.assertRaises(MarkError, self.by(who).review, S, ["alice"], True)
        self.assertEqual(len(self.by(BOB).reviewed(S)), 2)

    def test_notTheOwner(self) -> None:
        for owner in ("alice", "alice@example.com", "Alice@Example.com"):
            for signOff in (False, True):
                self.assertIn("their own", str(self.assertRaises(MarkError, self.by(ALICE).review, S, [owner], signOff)))
        self.by(BOB).review(S, ["alicent"])

    def test_notWhoActed(self) -> None:
        """Who has acted in somebody else's name has been in that session, too."""
        self.assertIn("their own", str(self.assertRaises(MarkError, self.by(BOB).review, S, ["alice", "bob@example.com"])))
        self.by(CAROL).review(S, ["alice", "bob@example.com"])

    def test_nothingToSignOff(self) -> None:
        self.by(BOB).review(T, ["alice"])
        self.assertIn("nobody has reviewed", str(self.assertRaises(MarkError, self.by(CAROL).review, S, ["alice"], True)))

    def test_persons(self) -> None:
        """Two who become the same user are two; one who becomes another user is one, and reviews no session of their own."""
        self.by(f"{ALICE} as uid 0 (root)").review(S, ["dave@example.com"])
        for same in (ALICE, f"{ALICE} as uid 998 (hoopx)"):
            self.assertIn("a second person", str(self.assertRaises(MarkError, self.by(same).review, S, ["dave"], True)))
        self.assertIn("their own", str(self.assertRaises(MarkError, self.by(f"{BOB} as uid 0 (root)").review, S, ["bob@example.com"])))
        self.by(f"{BOB} as uid 0 (root)").review(S, ["dave@example.com"], signOff=True)
        self.assertEqual([row["by"] for row in self.by(BOB).reviewed(S)], [f"{ALICE} as uid 0 (root)", f"{BOB} as uid 0 (root)"])

    def test_noLogin(self) -> None:
        """A user of whom the kernel knows no login may be whoever has become that user: not a second person."""
        root = "uid 0 (root)"
        for first, second in ((root, f"{ALICE} as {root}"), (f"{ALICE} as {root}", root), (root, root)):
            session = f"{S}{first}{second}"
            self.by(first).review(session, ["dave"])
            self.assertIn("a second person", str(self.assertRaises(MarkError, self.by(second).review, session, ["dave"], True)))
        self.by(BOB).review(session, ["dave"], signOff=True)

    # Holds

    def test_holds(self) -> None:
        first, hash = self.by(ALICE).hold("lawsuit", session=S)
        second, _ = self.by(ALICE).hold("audit", filter={"target": "orders*"})
        self.assertEqual([(row["id"], row["session"], row["filter"]) for row in self.by(BOB).holding()], [(first, S, None), (second, None, {"target": "orders*"})])
        self.assertEqual(hash, self.store.auditRows()[-1]["hash"])
        lifted = self.by(BOB).lift(first)
        self.assertEqual(lifted, self.store.auditRows()[0]["hash"])
        self.assertEqual([row["id"] for row in self.by(BOB).holding()], [second])
        (row, _) = self.by(BOB).holding(all=True)
        self.assertEqual((row["lifted_by"], row["reason"]), (BOB, "lawsuit"))
        self.assertRaises(MarkError, self.by(BOB).lift, first)
        self.assertRaises(MarkError, self.by(BOB).lift, 99)

    def test_wrongHolds(self) -> None:
        for wrong in ({"session": S, "filter": {}}, {}, {"session": S, "reason": " "}):
            self.assertRaises(MarkError, self.by(ALICE).hold, **{"reason": "r", **wrong})
        self.assertEqual((self.by(ALICE).holding(), self.actions()), ([], []))

    def test_together(self) -> None:
        """What can not be put down is not done."""
        self.patch(self.store, "auditIn", lambda *arguments: 1 / 0)
        marks = self.by(BOB)
        self.assertRaises(ZeroDivisionError, marks.tag, S, ["a"])
        self.assertRaises(ZeroDivisionError, marks.review, S, ["alice"])
        self.assertRaises(ZeroDivisionError, marks.hold, "r", S)
        self.assertEqual((marks.tagged(S), marks.reviewed(S), marks.holding()), ([], [], []))
