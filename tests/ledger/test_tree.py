"""Trees and proofs against RFC 6962 as it stands, for every size up to 300 and at random up to 100,000."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger import tree
from hoopx.ledger.tree import EMPTY, ProofError, leafHash, verifyConsistency, verifyInclusion
from tests.ledger.rig import grown, mth

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test vectors that Certificate Transparency's implementations share."""

BIG = 100_000


def path(m, hashes):
    """RFC 6962, 2.1.1."""
    if len(hashes) == 1:
        return []
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if m < k:
        return [*path(m, hashes[:k]), mth(hashes[k:])]
    return [*path(m - k, hashes[k:]), mth(hashes[:k])]


def subproof(m, hashes, whole):
    """RFC 6962, 2.1.2."""
    if m == len(hashes):
        return [] if whole else [mth(hashes)]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if m <= k:
        return [*subproof(m, hashes[:k], whole), mth(hashes[k:])]
    return [*subproof(m - k, hashes[k:], False), mth(hashes[:k])]


class VectorTests(SynchronousTestCase):
    def test_roots(self):
        hashes = [leafHash(one) for one in LEAVES]
        for size, root in enumerate(ROOTS, 1):
            self.assertEqual(mth(hashes[:size]).hex(), root)
            node = lambda level, index: mth(hashes[index << level : (index + 1) << level])
            self.assertEqual(tree.root(size, node).hex(), root)
        self.assertEqual(EMPTY.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        self.assertEqual(tree.root(0, lambda *_: self.fail()), EMPTY)

    def test_asTheRFC(self):
        big = grown(BIG)
        for size in range(1, 65):
            hashes = big.hashes[:size]
            for m in range(size):
                self.assertEqual(tree.inclusion(m, size, big.node), path(m, hashes))
                if m:
                    self.assertEqual(tree.consistency(m, size, big.node), subproof(m, hashes, True))


class EverySizeTests(SynchronousTestCase):
    def test_inclusion(self):
        big = grown(BIG)
        for size in range(1, 301):
            root = big.roots[size]
            self.assertEqual(tree.root(size, big.node), root)
            for index in {0, 1, 2, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
                verifyInclusion(big.hashes[index], index, size, tree.inclusion(index, size, big.node), root)
        for index in range(300):
            verifyInclusion(big.hashes[index], index, 300, tree.inclusion(index, 300, big.node), big.roots[300])

    def test_consistency(self):
        big = grown(BIG)
        for new in range(301):
            for old in {0, 1, 2, 3, new // 3, new // 2, 1 << max(0, new.bit_length() - 1), new - 2, new - 1, new} & set(range(new + 1)):
                verifyConsistency(old, big.roots[old], new, big.roots[new], tree.consistency(old, new, big.node))
        for old in range(301):
            verifyConsistency(old, big.roots[old], 300, big.roots[300], tree.consistency(old, 300, big.node))


pairs = st.integers(1, BIG).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))


class RandomTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(pairs)
    def test_inclusion(self, pair):
        index, size = pair
        big = grown(BIG)
        verifyInclusion(big.hashes[index], index, size, tree.inclusion(index, size, big.node), tree.root(size, big.node))

    @settings(max_examples=200, deadline=None)
    @given(pairs)
    def test_consistency(self, pair):
        old, new = pair
        big = grown(BIG)
        proof = tree.consistency(old, new, big.node)
        verifyConsistency(old, tree.root(old, big.node), new, tree.root(new, big.node), proof)

    @settings(max_examples=300, deadline=None)
    @given(pairs, st.data())
    def test_tamperedInclusion(self, pair, data):
        index, size = pair
        big = grown(BIG)
        leaf, root, proof = big.hashes[index], tree.root(size, big.node), tree.inclusion(index, size, big.node)
        kind = data.draw(st.sampled_from(["leaf", "root", "index", "flip", "drop", "add", "swap"]))
        if kind == "leaf":
            leaf = flipped(leaf, data)
        elif kind == "root":
            root = flipped(root, data)
        elif kind == "index":
            other = data.draw(st.integers(0, size - 1))
            if other == index:
                return
            index = other
        elif not tamper(kind, proof, data):
            return
        self.assertRaises(ProofError, verifyInclusion, leaf, index, size, proof, root)

    @settings(max_examples=300, deadline=None)
    @given(pairs, st.data())
    def test_tamperedConsistency(self, pair, data):
        old, new = pair
        if not old:
            return
        big = grown(BIG)
        before, after = tree.root(old, big.node), tree.root(new, big.node)
        proof = tree.consistency(old, new, big.node)
        kind = data.draw(st.sampled_from(["before", "after", "flip", "drop", "add", "swap"]))
        if kind == "before":
            before = flipped(before, data)
        elif kind == "after":
            after = flipped(after, data)
        elif not tamper(kind, proof, data):
            return
        self.assertRaises(ProofError, verifyConsistency, old, before, new, after, proof)

    @settings(max_examples=300, deadline=None)
    @given(st.integers(-2, 40), st.integers(-2, 40), st.lists(st.binary(min_size=31, max_size=33), max_size=8), st.binary(min_size=32, max_size=32))
    def test_nonsense(self, one, two, proof, root):
        """Whatever is given, the answer is no."""
        self.assertRaises(ProofError, verifyInclusion, leafHash(b"x"), one, two, proof, root)
        if one != 0 or proof:
            self.assertRaises(ProofError, verifyConsistency, one, leafHash(b"x"), two, root, proof)


class EdgeTests(SynchronousTestCase):
    def test_outside(self):
        big = grown(BIG)
        for index, size in ((0, 0), (1, 1), (-1, 5), (7, 6)):
            self.assertRaises(ProofError, tree.inclusion, index, size, big.node)
            self.assertRaises(ProofError, verifyInclusion, EMPTY, index, size, [], EMPTY)
        for old, new in ((1, 0), (-1, 5), (7, 6)):
            self.assertRaises(ProofError, tree.consistency, old, new, big.node)
            self.assertRaises(ProofError, verifyConsistency, old, EMPTY, new, EMPTY, [])

    def test_fromNothing(self):
        big = grown(BIG)
        verifyConsistency(0, EMPTY, 5, big.roots[5], [])
        self.assertRaises(ProofError, verifyConsistency, 0, big.roots[1], 5, big.roots[5], [])
        self.assertRaises(ProofError, verifyConsistency, 5, big.roots[4], 5, big.roots[5], [])

    def test_longest(self):
        self.assertRaises(ProofError, verifyInclusion, EMPTY, 0, 1 << 70, [EMPTY] * 64, EMPTY)


def flipped(value, data):
    at = data.draw(st.integers(0, len(value) * 8 - 1))
    changed = bytearray(value)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def tamper(kind, proof, data):
    """Change a proof in place; @return: C{False} when there is nothing to change."""
    if kind == "add":
        proof.insert(data.draw(st.integers(0, len(proof))), data.draw(st.binary(min_size=32, max_size=32)))
        return True
    if not proof:
        return False
    at = data.draw(st.integers(0, len(proof) - 1))
    if kind == "flip":
        proof[at] = flipped(proof[at], data)
    elif kind == "drop":
        del proof[at]
    else:
        other = data.draw(st.integers(0, len(proof) - 1))
        if proof[at] == proof[other]:
            return False
        proof[at], proof[other] = proof[other], proof[at]
    return True
