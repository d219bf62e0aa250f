# -*- test-case-name: tests.ledger.test_succession -*-
"""
Keys of a ledger that came after each other, as its C{key-rotated} leaves say. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hoopx.ledger.keys import verifyRotation
from hoopx.ledger.leaf import ROTATED, parse
from hoopx.ledger.note import ED25519, Verifier


class _Rotation(NamedTuple):
    at: int
    key: Verifier
    signature: str

    def by(self, signer: Verifier) -> bool:
        try:
            verifyRotation(signer.public, self.key.vkey, self.signature)
        except (TypeError, ValueError):
            return False
        return self.key.name == signer.name


def following(start: Verifier, leaves: Iterable[tuple[int, bytes]]) -> list[tuple[int, Verifier]]:
    """
    @param leaves: index and bytes of those that may be rotations, in order; what is none is passed over.
    @return: each key, and the smallest tree that it signs.
    """
    found = [(0, start)]
    for each in _rotations(leaves):
        if each.by(found[-1][1]):
            found.append((each.at + 1, each.key))
    return found


def former(start: Verifier, first: Verifier, leaves: Iterable[tuple[int, bytes]]) -> list[Verifier]:
    """
    The way back, for who knows a later key only.

    @param first: the key that the ledger was begun with, as it says itself.
    @param leaves: of a tree that C{start}, or a key after it, has signed: it is C{start}'s own word then that these came before it.
    @return: the keys before C{start}, the newest first.
    """
    rotations = list(_rotations(leaves))
    candidates = {one.public: one for one in (first, *[each.key for each in rotations])}
    candidates.pop(start.public, None)
    found: list[Verifier] = []
    key: Verifier | None = start
    while key is not None:
        said = [each for each in rotations if each.key.public == key.public and each.key.name == key.name]
        key = next((one for one in candidates.values() if any(each.by(one) for each in said)), None)
        if key is not None:
            found.append(candidates.pop(key.public))
    return found


def _rotations(leaves: Iterable[tuple[int, bytes]]) -> Iterator[_Rotation]:
    for at, line in leaves:
        try:
            value = parse(line)
            key = Verifier.parse(value["key"])
            if value["type"] == ROTATED and key.kind == ED25519 and key.vkey == value["key"]:
                yield _Rotation(at, key, value["signature"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
