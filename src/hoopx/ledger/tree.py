# -*- test-case-name: tests.ledger.test_tree -*-
"""
Merkle trees as of RFC 6962, section 2.1: hashes, proofs, and their verification (RFC 9162, 2.1.3.2 and 2.1.4.2). Pure.

A I{node} is a callable(level, index) that gives the hash of the complete subtree over the leaves C{[index << level, (index + 1) << level)}.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Callable, Final, Sequence

HASH: Final = 32
EMPTY: Final = sha256(b"").digest()
"""The root of no leaves."""

MAX_PROOF: Final = 63
"""Hashes; a tree has at most 2**63 leaves."""

Node = Callable[[int, int], bytes]


class ProofError(ValueError):
    """A proof proves nothing."""


def leafHash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def nodeHash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def merge(hashes: Sequence[bytes]) -> bytes:
    """@return: the root over subtrees of one size, of which there are 2**n, n >= 0."""
    row = list(hashes)
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def fold(hashes: Sequence[bytes]) -> bytes:
    """@return: the root over complete subtrees of falling size, left to right (RFC 6962: MTH splits at the largest power of two)."""
    if not hashes:
        return EMPTY
    total = hashes[-1]
    for one in reversed(hashes[:-1]):
        total = nodeHash(one, total)
    return total


def root(size: int, node: Node) -> bytes:
    """@return: MTH over the first C{size} leaves."""
    return EMPTY if size == 0 else rangeHash(0, size, node)


def rangeHash(start: int, stop: int, node: Node) -> bytes:
    """@return: MTH(D[start:stop]), for a range that is a subtree of some tree: C{start} is a multiple of the power of two that spans it."""
    found = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        found.append(node(level, start >> level))
        start += 1 << level
    return fold(found)


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """
    @return: PATH(index, D[size]), from the leaf's sibling up.
    @raise ProofError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    proof = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(rangeHash(middle, stop, node))
            stop = middle
        else:
            proof.append(rangeHash(start, middle, node))
            start = middle
    return proof[::-1]


def consistency(old: int, new: int, node: Node) -> list[bytes]:
    """
    @return: PROOF(old, D[new]); empty where C{old} is 0 or C{new}.
    @raise ProofError: the sizes are not in order.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves has not grown out of one of {old}")
    if old == 0:
        return []
    proof = []
    start, stop, whole = 0, new, True
    while stop != old:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(rangeHash(middle, stop, node))
            stop = middle
        else:
            proof.append(rangeHash(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(rangeHash(start, stop, node))
    return proof[::-1]


def verifyInclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """
    @param leaf: the leaf's hash.
    @raise ProofError: it does not follow that the leaf is there.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _shape(proof, leaf, root)
    at, last, found = index, size - 1, leaf
    for one in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if at & 1 or at == last:
            found = nodeHash(one, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = nodeHash(found, one)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise ProofError("the inclusion proof does not lead to the root")


def verifyConsistency(old: int, oldRoot: bytes, new: int, newRoot: bytes, proof: Sequence[bytes]) -> None:
    """@raise ProofError: it does not follow that the new tree has grown out of the old one."""
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves has not grown out of one of {old}")
    _shape(proof, oldRoot, newRoot)
    if old == 0 or old == new:
        if proof:
            raise ProofError("the consistency proof is too long")
        if (old == 0 and oldRoot != EMPTY) or (old == new and oldRoot != newRoot):
            raise ProofError("the roots do not fit each other")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, oldRoot)
    if not path:
        raise ProofError("the consistency proof is too short")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for one in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if at & 1 or at == last:
            first, second = nodeHash(one, first), nodeHash(one, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = nodeHash(second, one)
        at, last = at >> 1, last >> 1
    if last or first != oldRoot or second != newRoot:
        raise ProofError("the consistency proof does not lead to the roots")


def _split(count: int) -> int:
    """The largest power of two smaller than C{count}."""
    return 1 << (count - 1).bit_length() - 1


def _shape(proof: Sequence[bytes], *roots: bytes) -> None:
    if len(proof) > MAX_PROOF or any(len(one) != HASH for one in (*proof, *roots)):
        raise ProofError(f"a proof has at most {MAX_PROOF} hashes of {HASH} bytes")
