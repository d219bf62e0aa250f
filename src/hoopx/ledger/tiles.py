# -*- test-case-name: tests.ledger.test_tiles -*-
"""
Tiles and entry bundles: https://c2sp.org/tlog-tiles. Pure: bytes and coordinates.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Callable, Final, Iterable, Sequence

from hoopx.ledger.tree import EMPTY, HASH, fold, merge

WIDTH: Final = 256
"""Hashes in a full tile, entries in a full bundle."""
HEIGHT: Final = 8

ENTRIES: Final = "entries"
"""The level of bundles, in paths."""

CACHED: Final = 128
"""Tiles; 1 MiB, enough for the right edge and the paths of some neighbours."""


def tilePath(level: int | str, number: int, width: int = WIDTH) -> str:
    """Such as C{tile/0/x001/234} or C{tile/entries/000.p/17}."""
    parts = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        parts.append(f"x{number % 1000:03d}")
    return f"tile/{level}/{'/'.join(reversed(parts))}" + (f".p/{width}" if width < WIDTH else "")


def widthOf(level: int, number: int, size: int) -> int:
    """@return: how many hashes a tile has in a tree of C{size} leaves; 0 where it does not exist. Bundles are as wide as level 0."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - number * WIDTH))


def tilesOf(size: int) -> Iterable[tuple[int, int, int]]:
    """@return: level, number and width of each partial tile of a tree."""
    level = 0
    while size >> HEIGHT * level:
        count = size >> HEIGHT * level
        if count % WIDTH:
            yield level, count // WIDTH, count % WIDTH
        level += 1


def encodeBundle(entries: Iterable[bytes]) -> bytes:
    return b"".join([struct.pack(">H", len(entry)) + entry for entry in entries])


def decodeBundle(data: bytes) -> list[bytes]:
    """@raise ValueError: cut off."""
    found = []
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("a bundle of entries is cut off")
        stop = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if stop > len(data):
            raise ValueError("a bundle of entries is cut off")
        found.append(data[at + 2 : stop])
        at = stop
    return found


class Edge:
    """
    The right edge of a growing tree: the hashes of its partial tiles, level by level. At most 255 each.

    @ivar size: leaves.
    """

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self._levels = [list(level) for level in levels]

    def copy(self) -> Edge:
        return Edge(self.size, self._levels)

    def add(self, leafHash: bytes) -> list[tuple[int, int, bytes]]:
        """@return: level, number and bytes of each tile that is full now."""
        full: list[tuple[int, int, bytes]] = []
        level, hash = 0, leafHash
        self.size += 1
        while True:
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            row.append(hash)
            if len(row) < WIDTH:
                return full
            full.append((level, (self.size >> HEIGHT * (level + 1)) - 1, b"".join(row)))
            hash = merge(row)
            row.clear()
            level += 1

    def tile(self, level: int, number: int) -> bytes | None:
        """@return: the partial tile as far as it goes, or C{None} when it is not on the edge."""
        if level >= len(self._levels) or number != self.size >> HEIGHT * (level + 1):
            return None
        return b"".join(self._levels[level])

    def root(self) -> bytes:
        found = []
        for row in reversed(self._levels):
            start = 0
            while start < len(row):
                stop = start + (1 << (len(row) - start).bit_length() - 1)
                found.append(merge(row[start:stop]))
                start = stop
        return fold(found) if found else EMPTY


class Tiles:
    """
    The nodes of a tree, out of its tiles.

    @param load: callable(level, number, width) -> at least C{width} hashes, or an error of its own.
    @param size: callable() -> leaves.
    """

    def __init__(self, load: Callable[[int, int, int], bytes], size: Callable[[], int]) -> None:
        self._load = load
        self._size = size
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def tile(self, level: int, number: int, width: int) -> bytes:
        """@return: at least C{width} hashes."""
        key = level, number
        data = self._cache.get(key)
        if data is None or len(data) < width * HASH:
            data = self._load(level, number, width)
            self._cache[key] = data
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        return data

    def node(self, level: int, index: int) -> bytes:
        """@return: the hash of a complete subtree (L{hoopx.ledger.tree.Node})."""
        high, low = divmod(level, HEIGHT)
        start = index << low
        number, start = divmod(start, WIDTH)
        data = self.tile(high, number, widthOf(high, number, self._size()))
        return merge([data[at * HASH : (at + 1) * HASH] for at in range(start, start + (1 << low))])
