"""What is long travels in pieces that AMP takes."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.protocols.amp import MAX_VALUE_LENGTH
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.commands import PIECE, pieces


class PiecesTests(SynchronousTestCase):
    @given(st.integers(0, 4 * PIECE))
    def test_pieces(self, size):
        message = b"x" * size
        found = list(pieces(message))
        self.assertEqual(b"".join(piece for piece, _ in found), message)
        self.assertEqual([last for _, last in found], [False] * (len(found) - 1) + [True])
        self.assertTrue(all(len(piece) <= MAX_VALUE_LENGTH for piece, _ in found))
