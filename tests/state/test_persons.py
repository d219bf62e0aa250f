from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.state.persons import actors, forms, isOwn, perhapsOne

ALICE, BOB, ROOT = "uid 1000 (alice)", "uid 1001 (bob)", "uid 0 (root)"


class OwnTests(SynchronousTestCase):
    def test_alice(self) -> None:
        for name in (
            "alice",
            "Alice@Example.com",
            " alice\t",
            "al ice@example.com",
            "al\u200bice",  # zero width space
            "al\u00adice",  # soft hyphen
            "\u202ealice",  # bidi override
            "\uff41\uff4c\uff49\uff43\uff45",  # full width
            "\uff41lice\uff20example.com",  # and so is the @
            "\U0001d41alice",  # mathematical bold a
            "CORP\\alice",
            "CORP\\alice@example.com",
            "alice/admin@EXAMPLE.COM",
            "alice+agent@example.com",
            "service:alice",
            "agent:alice@example.com",
        ):
            self.assertTrue(isOwn(ALICE, name), ascii(name))
            self.assertFalse(isOwn(BOB, name), ascii(name))

    def test_domainsOfUsers(self) -> None:
        """A machine in a domain may name its users with it, too."""
        for user in ("alice@corp.example", "CORP\\alice", "ALICE", "service:alice"):
            for name in ("alice", "alice@example.com"):
                self.assertTrue(isOwn(f"uid 5 ({user})", name), user)

    def test_folding(self) -> None:
        self.assertTrue(isOwn("uid 5 (strasse)", "Stra\u00dfe@example.com"))
        self.assertTrue(isOwn("uid 5 (k)", "\u212a"))  # the kelvin sign

    def test_others(self) -> None:
        for name in ("alicent", "malice", "bob@alice.example", "a"):
            self.assertFalse(isOwn(ALICE, name), name)

    def test_becoming(self) -> None:
        """Both who has logged in and the user that became of it."""
        self.assertTrue(isOwn(f"{ALICE} as {ROOT}", "alice"))
        self.assertTrue(isOwn(f"{ALICE} as {BOB}", "bob@example.com"))
        self.assertFalse(isOwn(f"{ALICE} as {ROOT}", "bob"))

    def test_nobodyCanTell(self) -> None:
        for by in ("uid 1000", f"uid 1000 as {ROOT}", f"{ALICE} as uid 7", "uid 5 (a as b)", "uid 5 ()", "alice", "", "uid 5 (\u200b)"):
            self.assertIsNone(actors(by), by)
            self.assertTrue(isOwn(by, "carol"), by)
        for name in ("", " ", "\u200b\u00ad"):
            self.assertTrue(isOwn(ALICE, name), ascii(name))

    @given(st.text())
    def test_stable(self, name: str) -> None:
        """Whatever is written: the forms of a form are among the forms."""
        self.assertTrue(all(form in forms(form) for form in forms(name)))


class TwoTests(SynchronousTestCase):
    def test_one(self) -> None:
        for one, other in (
            (ALICE, ALICE),
            (ALICE, "uid 2000 (alice)"),  # another machine of the same state
            (ALICE, "uid 2000 (Alice@corp.example)"),
            (f"{ALICE} as {ROOT}", ALICE),
            (f"{ALICE} as {ROOT}", f"{ALICE} as uid 998 (hoopx)"),
            (f"{ALICE} as {ROOT}", ROOT),
            ("uid 1000", BOB),  # has no name here, and may be bob
        ):
            self.assertTrue(perhapsOne(one, other), (one, other))
            self.assertTrue(perhapsOne(other, one), (one, other))

    def test_two(self) -> None:
        for one, other in ((ALICE, BOB), (f"{ALICE} as {ROOT}", f"{BOB} as {ROOT}"), (ALICE, f"{BOB} as {ROOT}")):
            self.assertFalse(perhapsOne(one, other), (one, other))
            self.assertFalse(perhapsOne(other, one), (one, other))
