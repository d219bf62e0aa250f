"""Keys that came after each other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.keys import signRotation
from hoopx.ledger.leaf import leaf
from hoopx.ledger.note import Signer
from hoopx.ledger.succession import following, former
from tests.ledger.rig import AT, key, opened

ONE, TWO, THREE, THIEF = (Signer("gw1.00000000", key(number)).verifier for number in (1, 2, 3, 9))


def rotation(signer, to):
    return leaf("key-rotated", AT, key=to.vkey, signature=signRotation(key(signer), to.vkey))


LEAVES = list(enumerate([opened(1), rotation(1, TWO), opened(2), b"{}", rotation(9, THIEF), rotation(2, THREE)]))


def publics(verifiers):
    return [one.public for one in verifiers]


class SuccessionTests(SynchronousTestCase):
    def test_forward(self):
        for start, expected in (
            (ONE, [(0, ONE.public), (2, TWO.public), (6, THREE.public)]), (TWO, [(0, TWO.public), (6, THREE.public)]),
            (THREE, [(0, THREE.public)]),
        ):  # fmt: skip
            self.assertEqual([(since, one.public) for since, one in following(start, LEAVES)], expected)

    def test_back(self):
        self.assertEqual(publics(former(THREE, ONE, LEAVES)), publics([TWO, ONE]))
        self.assertEqual(publics(former(TWO, ONE, LEAVES)), publics([ONE]))
        self.assertEqual(former(ONE, ONE, LEAVES), [])

    def test_notTheirWord(self):
        """Another first key, a key in no leaf, and keys that vouch for each other."""
        self.assertEqual(publics(former(THREE, THIEF, LEAVES)), publics([TWO]))
        self.assertEqual(former(THIEF, ONE, LEAVES), [])
        circle = list(enumerate([rotation(1, TWO), rotation(2, ONE)]))
        self.assertEqual(publics(former(TWO, ONE, circle)), publics([ONE]))

    def test_otherNames(self):
        """A word for a key of another ledger is none for this one."""
        other = Signer("gw2.00000000", key(2)).verifier
        leaves = list(enumerate([rotation(1, other)]))
        self.assertEqual(len(following(ONE, leaves)), 1)
        self.assertEqual(former(TWO, ONE, leaves), [])

    def test_nonsense(self):
        for line in (b"", b"[]", b"\xff", leaf("key-rotated", AT, key="x", signature="ab" * 64), leaf("audit", AT, audit="ab" * 32)):
            self.assertEqual(len(following(ONE, [(0, line)])), 1)
