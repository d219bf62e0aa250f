"""What the tests of ledgers need: leaves, keys, a disk that loses what was not synced."""

from __future__ import annotations

import os
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.ledger.tiles import HEIGHT, Edge, Tiles
from hoopx.ledger.tree import leafHash
from hoopx.recording.files import Files

AT = 1790000000.0
DIGEST = "ab" * 32


@lru_cache(None)
def key(number=1):
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def opened(number, at=AT):
    return leaf("opened", at, session=f"{number:026d}", key=DIGEST, head=DIGEST)


def sealed(number, segment, at=AT):
    return leaf("sealed", at, session=f"{number:026d}", segment=segment, seal=DIGEST, object=DIGEST, size=100)


def done(number, at=AT):
    return leaf("done", at, session=f"{number:026d}", segments=1, end=DIGEST)


def open_(directory, files=None, signer=None, name="gw1"):
    return Ledger.open(directory, signer or key(), name, files, wall=lambda: AT)


class Grown:
    """A tree of many leaves in memory: the n-th leaf is the text of n, where C{others} says nothing else."""

    def __init__(self, size, others=()):
        edge = Edge()
        tiles = {}
        self.hashes = [leafHash(dict(others).get(number, b"%d" % number)) for number in range(size)]
        self.roots = {0: edge.root()}
        for number, one in enumerate(self.hashes, 1):
            for level, which, data in edge.add(one):
                tiles[level, which] = data
            if number <= 300:
                self.roots[number] = edge.root()
        for level in range(8):
            which = size >> HEIGHT * (level + 1)
            found = edge.tile(level, which)
            if found:
                tiles[level, which] = found
        self.size = size
        self.node = Tiles(lambda level, number, width: tiles[level, number], lambda: size).node


@lru_cache(None)
def grown(size):
    return Grown(size)


def mth(hashes):
    """RFC 6962, 2.1, as it stands there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


class PowerLoss(Files):
    """
    A disk that keeps what was synced, and nothing else, when the power goes.

    @ivar base: the directory that it speaks of; what is above is safe.
    """

    def __init__(self, base):
        self._base = base
        self._contents = {}     # inode -> bytes
        self._names = {}        # directory's inode -> {name: (inode, is a directory)}
        self._keep = []         # so that no inode is used twice

    def fsync(self, descriptor):
        self._sync(descriptor)

    def fdatasync(self, descriptor):
        self._sync(descriptor)

    def unlink(self, path):
        # Held open, so that the inode's number is not given to another file.
        self._keep.append(os.open(path, os.O_RDONLY))
        os.unlink(path)

    def rmdir(self, path):
        self._keep.append(os.open(path, os.O_RDONLY))
        os.rmdir(path)

    def rename(self, old, new):
        if os.path.exists(new):
            self._keep.append(os.open(new, os.O_RDONLY))
        os.rename(old, new)

    def _sync(self, descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        inode = os.fstat(descriptor).st_ino
        if os.path.isdir(path):
            self._names[inode] = {
                entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in os.scandir(path)
            }
        else:
            with open(f"/proc/self/fd/{descriptor}", "rb") as file:
                self._contents[inode] = file.read()

    def lose(self, copy):
        """Write what is left to a new directory; lookups are left out (SQLite looks after itself)."""
        self._restore(os.stat(self._base).st_ino, copy)
        for descriptor in self._keep:
            os.close(descriptor)
        self._keep = []

    def _restore(self, inode, copy):
        os.mkdir(copy)
        for name, (found, isDirectory) in self._names.get(inode, {}).items():
            path = os.path.join(copy, name)
            if isDirectory:
                self._restore(found, path)
            elif not name.startswith("lookup"):
                with open(path, "wb") as file:
                    file.write(self._contents.get(found, b""))
