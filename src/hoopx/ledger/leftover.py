# -*- test-case-name: tests.ledger.test_leftover -*-
"""
Partial tiles and bundles of earlier checkpoints. Nobody needs them, and they may be removed (https://c2sp.org/tlog-tiles); but as long as
one is there, whoever asks for a proof of an older tree is given it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from hoopx.ledger.errors import LedgerDamaged
from hoopx.ledger.tiles import WIDTH, tilePath

SECTOR: Final = 512
"""Bytes that a disk writes whole or not at all."""

WRONG: Final = "of an earlier checkpoint, and not what this tree has there: it was changed, or is damaged"


def widths(directory: str, level: int | str, number: int) -> list[int]:
    """@return: of the partial ones there, in order. Files that are called otherwise are none."""
    try:
        names = os.listdir(os.path.join(directory, tilePath(level, number) + ".p"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if name in _NAMES)


_NAMES: Final = frozenset(str(width) for width in range(1, WIDTH))


def wrong(
    read: Callable[[str], bytes | None], level: int | str, number: int, found: list[int], expected: Callable[[int], bytes], known: int
) -> Iterator[tuple[str, str]]:
    """
    @param read: callable(name) -> bytes, or C{None}: it is gone meanwhile.
    @param found: L{widths}.
    @param expected: callable(width) -> the bytes of the partial one that wide, at most C{known}.
    @param known: as far as the signed tree goes; one of this width is looked at elsewhere, and of a wider one only the beginning.
    @return: name, and what is wrong with it.
    """
    for width in found:
        name = tilePath(level, number, width)
        if width == known:
            continue
        try:
            data = read(name)
        except LedgerDamaged as error:
            yield name, str(error).partition(": ")[2]
            continue
        right = expected(min(width, known))
        if data is not None and (data[: len(right)] if width > known else data) != right and not _torn(data, right, width > known):
            yield name, WRONG


def _torn(data: bytes, right: bytes, more: bool) -> bool:
    """
    Does it only lack something? Nothing waits until a partial one is on the disk: when the power goes it may be cut off, or have zeros.

    @param more: what comes behind is not known.
    """
    if len(data) > len(right):
        if not more:
            return False
        data = data[: len(right)]
    for at in range(0, len(data), SECTOR):
        piece = data[at : at + SECTOR]
        if piece != right[at : at + len(piece)] and piece.strip(b"\0"):
            return False
    return True
