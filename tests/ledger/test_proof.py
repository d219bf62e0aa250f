"""Proofs that stand alone."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger import tree
from hoopx.ledger.note import Checkpoint, Cosigner, Signer, makeNote
from hoopx.ledger.proof import Proof, decode, encode, verify
from hoopx.ledger.tree import ProofError
from tests.ledger.rig import grown, key

SIGNER = Signer("gw1.00000000", key())
WITNESS = Cosigner("w.example", key(2))


def make(index=73, size=1000, extra=b"anything"):
    big = grown(100_000)
    text = Checkpoint("gw1.00000000", size, tree.root(size, big.node)).text()
    note = makeNote(text, [SIGNER.sign(text), WITNESS.cosign(text, 1790000000)])
    return Proof(index, tuple(tree.inclusion(index, size, big.node)), note, extra)


class ProofTests(SynchronousTestCase):
    def test_holds(self):
        checkpoint, signatures = verify(make(), b"73", [SIGNER.verifier, WITNESS.verifier])
        self.assertEqual((checkpoint.size, [one.name for one in signatures]), (1000, ["gw1.00000000", "w.example"]))

    def test_otherLeaf(self):
        self.assertRaises(ProofError, verify, make(), b"74", [SIGNER.verifier])
        self.assertRaises(ProofError, verify, attrs.evolve(make(), index=74), b"73", [SIGNER.verifier])

    def test_ledgerMustSign(self):
        self.assertRaises(ProofError, verify, make(), b"73", [WITNESS.verifier])
        self.assertRaises(ProofError, verify, make(), b"73", [])
        self.assertRaises(ProofError, verify, make(), b"73", [Signer("gw1.00000000", key(9)).verifier])
        # a witness of the ledger's name is not the ledger
        text = Checkpoint("w.example", 1, tree.leafHash(b"x")).text()
        proof = Proof(0, (), makeNote(text, [WITNESS.cosign(text, 1)]))
        self.assertRaises(ProofError, verify, proof, b"x", [WITNESS.verifier])

    def test_otherLedger(self):
        """Signed by a trusted key, but not by that of the ledger which it says it is of."""
        other = Signer("gw2.00000000", key(5))
        text = Checkpoint("gw1.00000000", 1, tree.leafHash(b"x")).text()
        proof = Proof(0, (), makeNote(text, [other.sign(text)]))
        self.assertRaises(ProofError, verify, proof, b"x", [other.verifier, SIGNER.verifier])


class TextTests(SynchronousTestCase):
    def test_round(self):
        for proof in (make(), make(0, 1), make(99_999, 100_000, None), make(extra=b"")):
            text = encode(proof)
            self.assertTrue(text.startswith(b"c2sp.org/tlog-proof@v1\n"))
            self.assertEqual(decode(text), proof)

    def test_shape(self):
        lines = encode(make(0, 2, b"\x00")).split(b"\n")
        self.assertEqual(lines[:3], [b"c2sp.org/tlog-proof@v1", b"extra AA==", b"index 0"])
        self.assertEqual((len(lines[3]), lines[4]), (44, b""))

    def test_wrong(self):
        good = encode(make(1, 3, b"x"))
        for wrong in (
            b"",
            good[1:],
            good.replace(b"@v1", b"@v2"),
            good.replace(b"index 1", b"index 01"),
            good.replace(b"index 1", b"index -1"),
            good.replace(b"index 1\n", b""),
            good.replace(b"index 1\n", b"index 1\nAAAA\n"),
            good.replace(b"index 1\n", b"index 1\n****\n"),
            good.replace(b"extra ", b"extra *"),
            good.split(b"\n\n")[0],
        ):
            self.assertRaises(ProofError, decode, wrong)

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def test_tampered(self, data):
        """Whatever bit is changed: no proof, or one that says the same; the extra line is nobody's word."""
        proof = make()
        text = bytearray(encode(proof))
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] ^= 1 << data.draw(st.integers(0, 7))
        try:
            found = decode(bytes(text))
            checkpoint, _ = verify(found, b"73", [SIGNER.verifier, WITNESS.verifier])
        except ProofError:
            return
        self.assertEqual((found.index, found.path), (proof.index, proof.path))
        self.assertEqual(checkpoint.size, 1000)

    @given(st.binary(max_size=200))
    def test_anyBytes(self, data):
        for text in (data, b"c2sp.org/tlog-proof@v1\n" + data):
            try:
                verify(decode(text), b"x", [SIGNER.verifier])
            except ProofError:
                pass
