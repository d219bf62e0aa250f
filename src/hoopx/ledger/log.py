# -*- test-case-name: tests.ledger.test_log -*-
"""
The ledger, for the one process that may write it. Blocking: for a thread, or a process of its own.

L{Ledger.append} is one write and one fdatasync, and returns when the leaves are on the disk. Whatever is not a leaf can be made again
out of leaves, and opening does so.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from threading import RLock
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.ledger.disk import CHECKPOINT, ORIGIN, WITNESSED, Disk
from hoopx.ledger.errors import LedgerDamaged, LedgerError, LedgerFailed, WrongKey
from hoopx.ledger.keys import originOf, publicBytes, signRotation
from hoopx.ledger.leaf import FIELDS, ROTATED, leaf, parse
from hoopx.ledger.leaves import Leaves
from hoopx.ledger.lookup import keyOf, lookupKey
from hoopx.ledger.note import Checkpoint, NoteError, Signer, Verifier, makeNote, openNote, parseCheckpoint, split, union
from hoopx.ledger.places import Places
from hoopx.ledger.tiles import WIDTH
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked, owner, tryLock

MAX_BATCH: Final = 4096
"""Leaves in one L{Ledger.append}: 4 MiB at the most, written at once."""

FRESH: Final = ".new"
"""Ends the name of a ledger that is to take the place of one that can not go on."""

Key = Ed25519PrivateKey | Callable[[bytes | None], Ed25519PrivateKey]
_Call = TypeVar("_Call", bound=Callable[..., Any])


def _guarded(call: _Call) -> _Call:
    """One thread at a time; what the disk says becomes L{LedgerFailed}."""

    @wraps(call)
    def guarded(self: Ledger, *arguments: Any, **named: Any) -> Any:
        with self._mutex:
            if self._lock < 0:
                raise LedgerFailed("the ledger is closed")
            if self._leaves.broken:
                raise LedgerFailed(f"{self.directory}: the disk failed it; it has to be opened again")
            try:
                return call(self, *arguments, **named)
            except (OSError, sqlite3.Error) as error:
                raise LedgerFailed(f"{self.directory}: {error}") from error

    return guarded  # type: ignore[return-value]


class Ledger:
    """
    @ivar directory: C{data/ledger}.
    @ivar origin: C{name.keyhash}, fixed when the ledger was made.
    """

    def __init__(self, directory: str, key: Key, name: str, files: Files, wall: Callable[[], float], lock: int) -> None:
        """Use L{open}."""
        self.directory = directory
        self._wall = wall
        self._lock = lock
        self._mutex = RLock()
        self._disk = Disk(directory, files)
        self._former: list[Verifier] = []
        self._leaves = Leaves(self._disk, files)
        self._published, self._witnessed = self._disk.read(CHECKPOINT), self._disk.read(WITNESSED)
        self._places = Places(directory, self._leaves)
        try:
            first = self._origin(key, name)
            self.origin = first.name
            for note in (self._published, self._witnessed):
                if note is not None:
                    self._compare(note)
            self._places.catchUp()
            rotated = self._places.find(ROTATED)
            if rotated is not None:
                first = Verifier.parse(parse(self._leaves.slice(rotated, rotated + 1)[0])["key"])
            self._key = self._chosen(key, first.public)
            self._signer = Signer(self.origin, self._key)
            self._leaves.secure()
            for note in (self._published, self._witnessed):
                if note is not None:  # nothing had waited for the disk
                    self._leaves.partials(parseCheckpoint(split(note)[0]).size)
        except BaseException:
            self._places.close()
            self._leaves.close()
            raise

    @classmethod
    def open(
        cls,
        directory: str,
        key: Key,
        name: str = "hoopx",
        files: Files | None = None,
        wall: Callable[[], float] = time.time,
    ) -> Ledger:
        """
        Open a ledger, making it when there is none, and bring it in order after a crash.

        @param key: the private key, or a callable(public half that signs now, C{None} for a new ledger) -> private key, such as
            L{hoopx.ledger.keys.keyring}.
        @param name: of the gateway; counts for a new ledger only.
        @raise Locked: somebody else writes it.
        @raise LedgerDamaged: it is not as it was written. Nothing is changed.
        @raise WrongKey: another key signs it.
        @raise LedgerError: it is between two places, for a renewal was cut short.
        @raise LedgerFailed: the disk does not let it be read or written.
        """
        files = files or Files()
        if os.path.isdir(directory + FRESH) and not os.path.isdir(directory):
            raise LedgerError(f"{directory}: it was put aside, and its renewal was cut short: do it again, with hoopx ledger renew")
        try:
            above = files.makeDirectories(directory)
            for folder in above or [os.path.dirname(os.path.abspath(directory))]:
                files.syncDirectory(folder)  # also when it was there: who made it may have been killed before this
            lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerFailed(f"{directory}: {error}") from error
        try:
            if not tryLock(lock):
                raise Locked(f"{directory} is written by {owner(os.path.join(directory, 'lock'))}: stop that gateway first")
            return cls(directory, key, name, files, wall, lock)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, (OSError, sqlite3.Error)):
                raise LedgerFailed(f"{directory}: {error}") from error
            raise

    @property
    def size(self) -> int:
        """Leaves, all of them on the disk."""
        return self._leaves.size

    @property
    def vkey(self) -> str:
        """Of the key that signs now."""
        return self._signer.vkey

    @property
    def published(self) -> bytes | None:
        """The file C{checkpoint}."""
        return self._published

    @property
    def witnessed(self) -> bytes | None:
        """The newest checkpoint that was handed to L{publish}."""
        return self._witnessed

    @_guarded
    def append(self, leaves: Sequence[bytes]) -> list[int]:
        """
        Add leaves; they are on the disk when this returns. What there may be one of only (C{opened} of a session, C{sealed} of a segment,
        C{done}, C{recovered}, C{erased} of a session, an act with the same C{audit}) and is there already is not added again.

        @param leaves: of L{hoopx.ledger.leaf.leaf}, at most L{MAX_BATCH}.
        @return: the index of each.
        @raise ValueError: one of them is no leaf; none was added.
        @raise LedgerFailed: the disk did not take them.
        """
        if len(leaves) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} leaves at once")
        found: list[int] = []
        fresh: list[bytes] = []
        coming: dict[str, int] = {}
        for line in leaves:
            value = parse(line)
            if value["type"] not in FIELDS or value["type"] == ROTATED:
                raise ValueError(f"leaves of type {value['type']!r} are not added from outside")
            key = keyOf(value)
            at = None
            if key is not None:
                at = coming[key] if key in coming else self._places.find(key)
            if at is None:
                at = self.size + len(fresh)
                fresh.append(line)
                if key is not None:
                    coming[key] = at
            found.append(at)
        if fresh:
            self._places.add(fresh, coming)
        return found

    @_guarded
    def checkpoint(self) -> bytes:
        """
        Sign all leaves so far. Their tiles are there before the file C{checkpoint} is.

        @return: the signed note; the one that is there already when nothing was added.
        """
        return self._sign([self._signer])

    @_guarded
    def publish(self, note: bytes) -> bytes:
        """
        Keep a checkpoint with the cosignatures that it has got.

        @return: the note as it is kept, with the cosignatures that the same checkpoint had before.
        @raise ValueError: it is none of this ledger's checkpoints.
        """
        text, _ = openNote(note, [self._signer.verifier, *self._former])
        found = parseCheckpoint(text)
        if found.size > self.size or text != self._text(found.size):
            raise NoteError("it is no checkpoint of this ledger")
        kept = {CHECKPOINT: self._published, WITNESSED: self._witnessed}
        for newest in kept.values():
            if newest is not None and split(newest)[0] == text:
                note = union(newest, note)
        for name, newest in kept.items():
            if newest is None or parseCheckpoint(split(newest)[0]).size <= found.size:
                self._disk.replace(name, note)
                kept[name] = note
        self._published, self._witnessed = kept[CHECKPOINT], kept[WITNESSED]
        return note

    @_guarded
    def entries(self, start: int, stop: int) -> list[bytes]:
        """@return: leaves C{start} to C{stop}, as far as they are there."""
        return self._leaves.slice(start, stop)

    @_guarded
    def find(self, kind: str, session: str | None = None, segment: int | None = None, audit: str | None = None) -> int | None:
        """@return: the index of the leaf, or C{None}."""
        key = lookupKey(kind, session, segment, audit)
        return None if key is None else self._places.find(key)

    @_guarded
    def inclusion(self, index: int, size: int) -> list[bytes]:
        """
        @return: the proof that the leaf is in the tree of C{size} leaves.
        @raise hoopx.ledger.tree.ProofError: it is not.
        """
        return self._leaves.inclusion(index, size)

    @_guarded
    def consistency(self, old: int, new: int) -> list[bytes]:
        """
        @return: the proof that the tree of C{new} leaves has grown out of that of C{old}.
        @raise hoopx.ledger.tree.ProofError: the sizes are not in order.
        """
        return self._leaves.consistency(old, new)

    @_guarded
    def root(self, size: int) -> bytes:
        """@return: 32 bytes."""
        return self._leaves.root(size)

    @_guarded
    def rotate(self, newKey: Ed25519PrivateKey) -> None:
        """
        The old key signs the new one, in a leaf. The checkpoint that says so is signed by both, later ones by the new one alone.
        """
        signer = Signer(self.origin, newKey)
        line = leaf(ROTATED, self._wall(), key=signer.vkey, signature=signRotation(self._key, signer.vkey))
        self._places.add([line], {ROTATED: self.size})
        old, self._signer, self._key = self._signer, signer, newKey
        self._former.append(old.verifier)
        self._sign([old, signer])

    def close(self) -> None:
        """Let go of it. Nothing is left to write."""
        with self._mutex:
            if self._lock >= 0:
                self._leaves.close()
                self._places.close()
                os.close(self._lock)
                self._lock = -1

    def _origin(self, key: Key, name: str) -> Verifier:
        """The first key with the ledger's name, made when there is none."""
        vkey = self._disk.read(ORIGIN)
        if vkey is None:
            if self._leaves.found or self._published is not None:
                raise LedgerDamaged(f"{self._disk.path(ORIGIN)}: missing")
            first = key(None) if callable(key) else key
            vkey = Signer(originOf(name, first), first).vkey.encode() + b"\n"
            self._disk.replace(ORIGIN, vkey)
        elif not self._leaves.found and self._published is not None:
            raise LedgerDamaged(f"{self._disk.path('tail')}: missing")
        try:
            return Verifier.parse(vkey.decode("utf-8"))
        except ValueError as error:
            raise LedgerDamaged(f"{self._disk.path(ORIGIN)}: {error}") from None

    def _chosen(self, key: Key, public: bytes) -> Ed25519PrivateKey:
        """@param public: half of the key that signs now. @raise WrongKey: which says whether the one given has ever signed."""
        try:
            chosen = key(public) if callable(key) else key
            if publicBytes(chosen) != public:
                raise WrongKey(public, publicBytes(chosen))
            return chosen
        except WrongKey as error:
            former = error.given is not None and error.given in self.signers()
            raise WrongKey(public, error.given, former, self.directory) from None

    def signers(self) -> Iterator[bytes]:
        """@return: public halves of all keys that have signed, the first one first."""
        yield Verifier.parse((self._disk.read(ORIGIN) or b"").decode("utf-8")).public
        for start in range(0, self.size, WIDTH):
            for line in self._leaves.slice(start, start + WIDTH):
                if ROTATED.encode() in line and (value := parse(line))["type"] == ROTATED:
                    yield Verifier.parse(value["key"]).public

    def _compare(self, note: bytes) -> None:
        """A checkpoint that is out in the world has to fit what is here."""
        try:
            found = parseCheckpoint(split(note)[0])
        except NoteError as error:
            raise LedgerDamaged(f"{self.directory}: its checkpoint can not be read: {error}") from None
        if found.size > self.size:
            raise LedgerDamaged(f"{self.directory}: a checkpoint of {found.size} leaves is out, and {self.size} are here")
        if split(note)[0] != self._text(found.size):
            raise LedgerDamaged(f"{self.directory}: its leaves are not those of its checkpoint of {found.size} leaves")

    def _sign(self, signers: Sequence[Signer]) -> bytes:
        self._places.settle()
        if self._published is not None and len(signers) == 1:
            text, lines = split(self._published)
            if parseCheckpoint(text).size == self.size and self._signer.verifier.keyId in [line[1] for line in lines]:
                return self._published
        self._leaves.partials(self.size)
        text = self._text(self.size)
        note = makeNote(text, [signer.sign(text) for signer in signers])
        self._disk.replace(CHECKPOINT, note)
        self._published = note
        return note

    def _text(self, size: int) -> bytes:
        return Checkpoint(self.origin, size, self._leaves.root(size)).text()
