# -*- test-case-name: tests.ledger.test_reader -*-
"""
A ledger, read by whoever does not write it: public keys alone, nothing believed that does not follow from a checkpoint. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from errno import EINVAL, ELOOP, ENXIO
from typing import Any, Final, NamedTuple

from hoopx.ledger import tree
from hoopx.ledger.disk import CHECKPOINT, ORIGIN, WITNESSED
from hoopx.ledger.errors import LedgerDamaged, LedgerError
from hoopx.ledger.leaf import ROTATED, parse
from hoopx.ledger.leftover import widths, wrong
from hoopx.ledger.note import COSIGNATURE, ED25519, Checkpoint, NoteError, Signature, Verifier, openNote, parseCheckpoint, split
from hoopx.ledger.proof import Proof
from hoopx.ledger.succession import following, former
from hoopx.ledger.tail import TAIL, readTail
from hoopx.ledger.tiles import ENTRIES, HEIGHT, WIDTH, Edge, Tiles, decodeBundle, encodeBundle, tilePath, tilesOf, widthOf
from hoopx.ledger.tree import HASH, ProofError, leafHash
from hoopx.recording.files import openRegular

MAX_PROBLEMS: Final = 1000
"""What L{LedgerReader.audit} tells before it gives up: a ledger that is all wrong is not told tile by tile."""


_ROTATION: Final = b'"' + ROTATED.encode() + b'"'


class Problem(NamedTuple):
    """@ivar where: the file, relative to the ledger."""

    where: str
    what: str


class Signed(NamedTuple):
    """
    @ivar signatures: those that hold, the ledger's own first.
    @ivar note: all of it.
    """

    checkpoint: Checkpoint
    signatures: list[Signature]
    note: bytes

    @property
    def witnesses(self) -> list[Signature]:
        """Cosignatures of the witnesses whose keys were given."""
        return [one for one in self.signatures if one.timestamp is not None]


class LedgerReader:
    """
    @param source: the directory, or a callable(name such as C{tile/0/000}) -> bytes or C{None}.
    """

    def __init__(self, source: str | Callable[[str], bytes | None]) -> None:
        self._read = source if callable(source) else directory(source)
        self._path = None if callable(source) else source
        self._size = 0
        self._tiles = Tiles(self._tile, lambda: self._size)

    def first(self) -> Verifier:
        """
        The key that the ledger was made with, as it says itself: worth something only when it is compared with what was written down.

        @raise LedgerError: there is no ledger.
        """
        vkey = self._read(ORIGIN)
        if vkey is None:
            raise LedgerError("there is no ledger")
        try:
            return Verifier.parse(vkey.decode("utf-8"))
        except ValueError as error:
            raise LedgerDamaged(f"{ORIGIN}: {error}") from None

    def chain(self, start: Verifier, size: int | None = None) -> list[tuple[int, Verifier]]:
        """
        Follow the rotations of a key.

        @param size: as far as there; else as far as the ledger goes.
        @return: each key, and the smallest tree that it signs. Only the last one's word counts for a bigger one. Bundles that can not be
            read are passed over: L{audit} names them.
        """
        here = self._size or self._claimed()
        return self._chain(start, here if size is None else min(size, here), here)

    def _chain(self, start: Verifier, size: int, here: int) -> list[tuple[int, Verifier]]:
        return following(start, self._matching(_ROTATION, size, here))

    def former(self, start: Verifier) -> list[Verifier]:
        """
        The keys before this one, in the tree of the last L{checkpoint}, the newest first. They count when L{audit} has found nothing.

        @raise LedgerError: it does not say which key it was begun with.
        """
        return former(start, self.first(), self._matching(_ROTATION, self._size, self._size))

    def checkpoint(self, verifiers: Iterable[Verifier] = (), witnessed: bool = False) -> Signed:
        """
        Read the checkpoint; proofs and entries are then those of its tree.

        @param verifiers: the ledger's first key or a later one, and witnesses' keys; without a key of the ledger, the one that it
            names itself.
        @param witnessed: the newest that came back with cosignatures.
        @raise NoteError: the key that had to sign it has not.
        @raise LedgerError: there is none.
        """
        name = WITNESSED if witnessed else CHECKPOINT
        note = self._read(name)
        if note is None:
            raise LedgerError(f"the ledger has no {name}")
        signed = self._verify(note, verifiers, parseCheckpoint(split(note)[0]).size)
        self._size = signed.checkpoint.size
        return signed

    def verify(self, note: bytes, verifiers: Iterable[Verifier] = ()) -> Signed:
        """
        The same for a checkpoint from elsewhere. It does not have to fit the ledger: L{compare} tells.

        @raise NoteError: the key that had to sign it has not.
        """
        return self._verify(note, verifiers, self._size or self._claimed())

    def _verify(self, note: bytes, verifiers: Iterable[Verifier], here: int) -> Signed:
        claimed = parseCheckpoint(split(note)[0])
        given = list(verifiers)
        roots = [one for one in given if one.kind == ED25519] or [self.first()]
        current = [self._chain(one, min(claimed.size, here), here)[-1][1] for one in roots]
        text, signatures = openNote(note, [*current, *[one for one in given if one.kind == COSIGNATURE]])
        own = [one for one in signatures if one.timestamp is None and one.name == claimed.origin]
        if not own:
            raise NoteError(f"the checkpoint is not signed by {' or '.join(one.vkey for one in current)}")
        return Signed(claimed, own + [one for one in signatures if one not in own], note)

    def compare(self, checkpoint: Checkpoint) -> None:
        """
        @param checkpoint: an older one, or the same.
        @raise ProofError: the tree of the last L{checkpoint} has not grown out of it.
        """
        if checkpoint.origin != self.first().name:
            raise ProofError(f"the checkpoint is of another ledger, {checkpoint.origin}")
        if checkpoint.size > self._size:
            raise ProofError(f"the checkpoint has {checkpoint.size} leaves and the ledger {self._size}: it was rolled back")
        if tree.root(checkpoint.size, self._tiles.node) != checkpoint.root:
            raise ProofError(f"the first {checkpoint.size} leaves of the ledger are not those of the checkpoint")

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """
        Index and bytes of the leaves of the last L{checkpoint}'s tree. What they say counts when L{audit} has found nothing, or a proof of
        the leaf holds.

        @raise LedgerDamaged: a bundle is missing or can not be read.
        """
        stop = self._size if stop is None else min(stop, self._size)
        for number in range(start // WIDTH, -(-stop // WIDTH)):
            for at, line in enumerate(self._bundle(number, self._size), number * WIDTH):
                if start <= at < stop:
                    yield at, line

    def pending(self) -> list[bytes]:
        """
        Leaves behind the last L{checkpoint}: on the disk, and signed by nobody yet.

        @raise LedgerDamaged: the tail can not be read, or has something else than leaves in it.
        """
        data = self._read(TAIL)
        if data is None:
            return []
        start, leaves = readTail(data, TAIL)
        found = leaves[max(0, self._size - start) :]
        for line in found:
            try:
                parse(line)
            except ValueError as error:
                raise LedgerDamaged(f"{TAIL}: {error}") from None
        return found

    def find(self, session: str, beginning: bool = False) -> list[tuple[int, dict[str, Any]]]:
        """
        @param beginning: of all sessions whose ids begin so.
        @return: index and fields of a session's leaves; bundles that can not be read are passed over.
        """
        found = []
        for at, line in self._matching(f'"session":"{session}'.encode() + b'"' * (not beginning), self._size, self._size):
            try:
                value = parse(line)
            except ValueError:
                continue
            said = str(value.get("session"))
            if said == session or (beginning and said.startswith(session)):
                found.append((at, value))
        return found

    def root(self, size: int) -> bytes:
        """@raise LedgerDamaged: a tile is missing."""
        return tree.root(size, self._tiles.node)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return tree.inclusion(index, size, self._tiles.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return tree.consistency(old, new, self._tiles.node)

    def proof(self, index: int, signed: Signed) -> Proof:
        """
        @param signed: of L{checkpoint}; from now on the last one.
        @raise ProofError: the ledger's own files do not give one that holds.
        """
        self._size = size = signed.checkpoint.size
        line = dict(self.entries(index, index + 1)).get(index)
        if line is None:
            raise ProofError(f"a tree of {size} leaves has no leaf {index}")
        path = self.inclusion(index, size)
        tree.verifyInclusion(leafHash(line), index, size, path, signed.checkpoint.root)
        return Proof(index, tuple(path), signed.note, line)

    def audit(self, signed: Signed, each: Callable[[int, bytes], Any] | None = None) -> list[Problem]:
        """
        Make the whole tree again out of the entries, and compare.

        @param signed: of L{checkpoint}; from now on the last one.
        @param each: called with index and bytes of every leaf, in order.
        @return: what does not fit; the first L{MAX_PROBLEMS}.
        """
        self._size = size = signed.checkpoint.size
        problems: list[Problem] = []
        edge = Edge()
        for number in range(-(-size // WIDTH)):
            name = tilePath(ENTRIES, number, widthOf(0, number, size))
            try:
                leaves = self._bundle(number, size)
            except LedgerDamaged as error:
                problems.append(Problem(name, str(error).partition(": ")[2]))
                return problems  # no tree can be made without it
            for at, line in enumerate(leaves, number * WIDTH):
                try:
                    parse(line)
                except ValueError as error:
                    problems.append(Problem(name, f"leaf {at}: {error}"))
                if each is not None:
                    each(at, line)
                for level, which, data in edge.add(leafHash(line)):
                    self._compareTile(level, which, data, problems)
            self._leftovers(ENTRIES, number, lambda width: encodeBundle(leaves[:width]), len(leaves), problems)  # noqa: B023
            if len(problems) >= MAX_PROBLEMS:
                return problems
        for level, number, _ in tilesOf(size):
            self._compareTile(level, number, edge.tile(level, number) or b"", problems)
        if edge.root() != signed.checkpoint.root:
            problems.append(Problem(CHECKPOINT, f"the entries do not give its root: one of the {size} is not what was signed"))
        return problems

    def _compareTile(self, level: int, number: int, expected: bytes, problems: list[Problem]) -> None:
        width = len(expected) // HASH
        self._leftovers(level, number, lambda wide: expected[: wide * HASH], width, problems)
        try:
            data = self._tile(level, number, width)[: width * HASH]
        except LedgerDamaged as error:
            problems.append(Problem(tilePath(level, number, width), str(error).partition(": ")[2]))
            return
        if data != expected:
            differ = [at for at in range(width) if data[at * HASH : (at + 1) * HASH] != expected[at * HASH : (at + 1) * HASH]]
            first = (number * WIDTH + differ[0]) << HEIGHT * level
            what = f"{len(differ)} of its hashes are not those of the entries, from leaf {first}"
            problems.append(Problem(tilePath(level, number, width), what))

    def _leftovers(self, level: int | str, number: int, expected: Callable[[int], bytes], known: int, problems: list[Problem]) -> None:
        """Those of earlier checkpoints; of a source that can not be listed none are known."""
        if self._path is not None and (found := widths(self._path, level, number)):
            problems += [Problem(*each) for each in wrong(self._read, level, number, found, expected, known)]

    def _tile(self, level: int, number: int, width: int) -> bytes:
        data, full = self._either(level, number, width)
        if len(data) < width * HASH or len(data) % HASH or (len(data) > width * HASH and not full):
            raise LedgerDamaged(f"{tilePath(level, number, width)}: of the wrong length")
        return data

    def _bundle(self, number: int, size: int) -> list[bytes]:
        width = widthOf(0, number, size)
        data, full = self._either(ENTRIES, number, width)
        try:
            entries = decodeBundle(data)
        except ValueError as error:
            raise LedgerDamaged(f"{tilePath(ENTRIES, number, width)}: {error}") from None
        if len(entries) < width or (len(entries) > width and not full):
            raise LedgerDamaged(f"{tilePath(ENTRIES, number, width)}: {len(entries)} entries, not {width}")
        return entries[:width]

    def _either(self, level: int | str, number: int, width: int) -> tuple[bytes, bool]:
        """
        A partial one may have become full, or become full and gone, while it was looked for.

        @return: its bytes, and C{True} when it is the full one, which has more in it than was asked for.
        """
        for wide in (width, WIDTH):
            data = self._read(tilePath(level, number, wide))
            if data is not None:
                return data, wide == WIDTH
        raise LedgerDamaged(f"{tilePath(level, number, width)}: missing")

    def _claimed(self) -> int:
        note = self._read(CHECKPOINT)
        return 0 if note is None else parseCheckpoint(split(note)[0]).size

    def _matching(self, part: bytes, size: int, here: int) -> Iterator[tuple[int, bytes]]:
        """Leaves that have it in them, of the first C{size} of a ledger that has C{here}."""
        missed = 0
        for number in range(-(-size // WIDTH)):
            try:
                bundle, _ = self._either(ENTRIES, number, widthOf(0, number, here))
                missed = 0
                if part not in bundle:
                    continue
                leaves = self._bundle(number, here)
            except LedgerDamaged:
                missed += 1
                if missed >= MAX_PROBLEMS:
                    return  # the size is a lie: nobody has signed it yet, or nothing is left of what was signed
                continue
            for at, line in enumerate(leaves, number * WIDTH):
                if part in line and at < size:
                    yield at, line


def directory(path: str) -> Callable[[str], bytes | None]:
    """
    @return: callable(name of a file of the ledger there) -> bytes, or C{None} when it is missing; raises L{LedgerDamaged} where something
        else than a file is in its place, and L{OSError} where it may not be read.
    """

    def read(name: str) -> bytes | None:
        try:
            with open(openRegular(os.path.join(path, name), follow=False), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (EINVAL, ELOOP, ENXIO):
                raise LedgerDamaged(f"{name}: {error.strerror}") from None
            raise

    return read
