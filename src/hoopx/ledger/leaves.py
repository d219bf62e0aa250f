# -*- test-case-name: tests.ledger.test_log -*-
"""
The leaves of a ledger and the tree over them, on the disk: the newest in the tail, full bundles in tiles.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from hoopx.ledger import tree
from hoopx.ledger.disk import Disk
from hoopx.ledger.errors import LedgerDamaged
from hoopx.ledger.tail import TAIL, Tail, readTail
from hoopx.ledger.tiles import ENTRIES, HEIGHT, WIDTH, Edge, Tiles, encodeBundle, tilesOf
from hoopx.ledger.tree import HASH, leafHash, merge
from hoopx.recording.files import Files


class Leaves:
    """
    Read when made; nothing on the disk is changed before L{secure}.

    @ivar base: index of the first leaf in the tail; those before it are in tiles.
    @ivar recent: the leaves in the tail.
    @ivar found: C{True} when there was a tail.
    """

    def __init__(self, disk: Disk, files: Files) -> None:
        """@raise LedgerDamaged: they are not as they were written."""
        self._disk = disk
        self._files = files
        self._tail: Tail | None = None
        self._broken = False
        self.base = 0
        self.recent: list[bytes] = []
        data = disk.read(TAIL)
        self.found = data is not None
        if data is not None:
            self.base, self.recent = readTail(data, disk.path(TAIL))
        elif os.path.exists(disk.path("tile")):
            raise LedgerDamaged(f"{disk.path(TAIL)}: missing")
        if self.base % WIDTH:
            raise LedgerDamaged(f"{disk.path(TAIL)}: begins inside a bundle")
        self._fresh: dict[tuple[int, int], bytes] = {}
        self._edge = self._edgeAt(self.base)
        self._tiles = Tiles(self._load, lambda: self._edge.size)
        self._grow(self.recent)

    @property
    def size(self) -> int:
        return self._edge.size

    @property
    def broken(self) -> bool:
        """Nobody knows what the disk has: they must be read again."""
        return self._broken or self._tail is None or self._tail.broken

    def secure(self) -> None:
        """On the disk for certain, whatever the last process left in the kernel's hands; and without half an append."""
        self._tail = Tail.prepare(self._disk.directory, self._files, self.base, self.recent)
        self._tail.commit(self._disk.directory)

    def append(self, leaves: Sequence[bytes]) -> None:
        """Durable when it returns."""
        assert self._tail is not None
        self._tail.append(self.size, leaves)
        self.recent += leaves
        self._grow(leaves)

    def settle(self, leaving: Callable[[Sequence[bytes], int], None]) -> None:
        """
        Full bundles leave the tail: first they and their tiles are on the disk, then a tail without them takes the old one's place.

        @param leaving: called with them and the index of the first, between the two.
        """
        count = len(self.recent) // WIDTH
        if not count:
            return
        disk, number, done = self._disk, self.base // WIDTH, count * WIDTH
        for at in range(count):
            disk.full(ENTRIES, number + at, encodeBundle(self.recent[at * WIDTH : (at + 1) * WIDTH]))
        for (level, which), data in self._fresh.items():
            disk.full(level, which, data)
        disk.sync()
        for at in range(count):
            disk.forgetPartial(ENTRIES, number + at)
        for level, which in self._fresh:
            disk.forgetPartial(level, which)
        leaving(self.recent[:done], self.base)
        rest = self.recent[done:]
        tail = Tail.prepare(disk.directory, self._files, self.base + done, rest)
        self._broken = True  # until the new one is it: a leaf that went to the other would be lost
        tail.commit(disk.directory)
        self._broken = False
        self.close()
        self._tail, self.recent, self.base = tail, rest, self.base + done
        self._fresh.clear()

    def partials(self, size: int) -> None:
        """Put the partial tiles and the partial bundle of a tree that a checkpoint is about, as far as no full ones have come."""
        for level, number, width in tilesOf(size):
            if number != self.base >> HEIGHT * (level + 1):
                continue
            self._disk.partial(level, number, width, self._tiles.tile(level, number, width)[: width * HASH])
            if level == 0:
                start = number * WIDTH - self.base
                self._disk.partial(ENTRIES, number, width, encodeBundle(self.recent[start : start + width]))

    def slice(self, start: int, stop: int) -> list[bytes]:
        """@return: as many of them as there are."""
        found: list[bytes] = []
        at, stop = max(0, start), min(stop, self.size)
        while at < min(stop, self.base):
            number, offset = divmod(at, WIDTH)
            found += self._disk.bundle(number)[offset : offset + stop - at]
            at = (number + 1) * WIDTH
        return found + self.recent[max(0, at - self.base) : max(0, stop - self.base)]

    def root(self, size: int) -> bytes:
        self._within(size)
        return self._edge.root() if size == self.size else tree.root(size, self._tiles.node)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        self._within(size)
        return tree.inclusion(index, size, self._tiles.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        self._within(new)
        return tree.consistency(old, new, self._tiles.node)

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _grow(self, leaves: Sequence[bytes]) -> None:
        for line in leaves:
            for level, number, data in self._edge.add(leafHash(line)):
                self._fresh[level, number] = data

    def _edgeAt(self, size: int) -> Edge:
        """The edge of a tree of full bundles, out of full tiles."""
        levels: list[list[bytes]] = [[]]
        level = 1
        while size >> HEIGHT * level:
            count = size >> HEIGHT * level
            row = []
            for number in range(count - count % WIDTH, count):
                data = self._disk.tile(level - 1, number)
                row.append(merge([data[at : at + HASH] for at in range(0, len(data), HASH)]))
            levels.append(row)
            level += 1
        return Edge(size, levels)

    def _load(self, level: int, number: int, width: int) -> bytes:
        found = self._edge.tile(level, number) or self._fresh.get((level, number))
        return found if found is not None else self._disk.tile(level, number)

    def _within(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise tree.ProofError(f"the ledger has {self.size} leaves, not {size}")
