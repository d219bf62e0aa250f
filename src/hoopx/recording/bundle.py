# -*- test-case-name: tests.cli.test_verify -*-
"""
One session for a third party: its segments, what the ledger says of it with a C2SP tlog-proof for each leaf, the checkpoint, the public
keys, and a text that says how to check them. A zip file, or the folder that it was unpacked to.
"""

from __future__ import annotations

import os
import re
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from attrs import frozen

from hoopx.ledger.errors import LedgerError
from hoopx.ledger.note import Verifier, openNote, parseCheckpoint, split
from hoopx.ledger.proof import Proof, decode, encode, verify
from hoopx.ledger.reader import LedgerReader, Signed
from hoopx.ledger.succession import following, former
from hoopx.ledger.tree import ProofError
from hoopx.recording.book import Book
from hoopx.recording.files import openRegular
from hoopx.recording.register import Register, unheard

README: Final = "README.txt"
KEYS: Final = "ledger.vkey"
CHECKPOINT: Final = "checkpoint"
PROOFS: Final = "proofs"
SUFFIX: Final = ".tlog-proof"

_KNOWN: Final = re.compile(r"README\.txt|ledger\.vkey|checkpoint|proofs/[0-9]{1,19}\.tlog-proof|[0-9A-Z]{26}/[0-9]{6}\.hxr")
"""What may be in one: nothing else is unpacked."""
LARGEST: Final = 1 << 20
"""Bytes of anything in it that is no segment."""

TEXT: Final = """\
A recorded session, and the proof that it is what was recorded
===============================================================

{session}/         the recording, segment by segment
proofs/            what the ledger {origin} says of it: one C2SP tlog-proof for each leaf;
                   the leaf itself stands in its line "extra", in base64
checkpoint         the signed tree head that the proofs lead to, with the witnesses' cosignatures
ledger.vkey        the ledger's public key, as a C2SP vkey

To check it, with hoopx and nothing else:

    hoopx verify --ledger-key VKEY [--witness-key VKEY]... THIS-FILE

Take the keys from where their owners have published them: ledger.vkey in here is only what this bundle says of itself.
Everything can be checked without hoopx, too: the format of recordings and of the ledger is in its documentation
(reference/format, reference/ledger), the proofs are as of https://c2sp.org/tlog-proof.
"""


class Incomplete(ValueError):
    """There is nothing to prove the session with."""


def write(path: str, session: str, names: Sequence[str], folder: str, ledger: Any) -> int:
    """
    Write a bundle.

    @param path: of the zip file, which must not be there.
    @param session: its id; C{folder}: its directory; C{names}: of its sealed segments.
    @param ledger: the ledger's directory, or what else L{LedgerReader} reads.
    @return: how many leaves are proven.
    @raise Incomplete: the ledger does not know the session, or has no checkpoint yet.
    @raise hoopx.ledger.errors.LedgerError: and C{ProofError}: the ledger is damaged.
    """
    reader = LedgerReader(ledger)
    signed, leaves = _newest(reader, session)
    size = signed.checkpoint.size
    rotations = [at - 1 for at, _ in reader.chain(reader.first(), size)[1:]]
    proofs = {at: reader.proof(at, signed) for at in [*rotations, *(at for at, _ in leaves)]}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
        bundle.writestr(README, TEXT.format(session=session, origin=signed.checkpoint.origin))
        bundle.writestr(KEYS, reader.first().vkey + "\n")
        bundle.writestr(CHECKPOINT, signed.note)
        for at, proof in sorted(proofs.items()):
            bundle.writestr(f"{PROOFS}/{at}{SUFFIX}", encode(proof))
        for name in names:
            bundle.write(os.path.join(folder, name), f"{session}/{name}")
    return len(proofs)


def _newest(reader: LedgerReader, session: str) -> tuple[Signed, list[tuple[int, dict[str, Any]]]]:
    """The newest checkpoint, or the newest that is witnessed if all leaves of the session are in that one, too; and those leaves."""
    try:
        reader.checkpoint()
    except LedgerError as error:
        raise Incomplete(str(error)) from None
    leaves = reader.find(session)
    if not leaves:
        raise Incomplete(f"the ledger's checkpoint has no leaf of session {session} yet")
    try:
        witnessed = reader.checkpoint(witnessed=True)
        if witnessed.checkpoint.size > leaves[-1][0]:
            return witnessed, leaves
    except LedgerError:
        pass  # nobody has witnessed it yet
    return reader.checkpoint(), leaves


@frozen
class Opened:
    """
    @ivar folder: in which the session's directory is.
    @ivar inquire: what its proofs say.
    """

    folder: str
    inquire: Callable[[], Register]


@contextmanager
def opened(
    path: str, key: Verifier | None, checkpoint: bytes | None, witnesses: Sequence[Verifier], quorum: int | None = None
) -> Iterator[Opened | None]:
    """
    Open a bundle, unpacking it if need be.

    @param path: of the zip file or folder.
    @return: context manager of C{None} when it is no bundle.
    """
    if os.path.isdir(path):
        if os.path.isdir(os.path.join(path, PROOFS)) and os.path.exists(os.path.join(path, README)):
            yield Opened(path, lambda: _inquire(path, key, checkpoint, witnesses, quorum))
        else:
            yield None
        return
    with tempfile.TemporaryDirectory(prefix="hoopx-") as folder:
        _unpack(path, folder)
        yield Opened(folder, lambda: _inquire(folder, key, checkpoint, witnesses, quorum))


def _unpack(path: str, folder: str) -> None:
    """@raise OSError: it is no bundle. What does not belong into one stays inside."""
    try:
        # Neither a pipe that nobody writes to, nor a device that has no end.
        with open(openRegular(path), "rb") as file, zipfile.ZipFile(file) as bundle:
            entries = bundle.infolist()
            # Nothing is compressed: entries that lie over each other, or are said to be bigger than they are, could fill a disk.
            if sum(entry.file_size for entry in entries) > os.path.getsize(path):
                raise OSError(0, f"{path} is no bundle: there is more in it than it has bytes")
            if len({entry.filename for entry in entries}) < len(entries):
                raise OSError(0, f"{path} is no bundle: something is in it twice")
            for entry in entries:
                if _KNOWN.fullmatch(entry.filename) is None:
                    raise OSError(0, f"{path} is no bundle: {entry.filename!r} is in it")
                if entry.compress_type != zipfile.ZIP_STORED or (entry.file_size > LARGEST and not entry.filename.endswith(".hxr")):
                    raise OSError(0, f"{path} is no bundle: {entry.filename!r} is not stored as hoopx stores it")
                bundle.extract(entry, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error) as error:
        raise OSError(0, f"{path} is damaged, or no bundle: {error}") from None


def _inquire(
    folder: str, key: Verifier | None, checkpoint: bytes | None, witnesses: Sequence[Verifier], quorum: int | None
) -> Register:
    found = Register(origin=key.name if key is not None else "")
    try:
        _prove(found, folder, key, checkpoint, witnesses, quorum)
    except (ValueError, KeyError, TypeError, OSError) as error:
        found.problems.append(str(error))
    if found.problems:
        found.state, found.book = "TAMPERED", None
    return found


def _prove(
    found: Register, folder: str, key: Verifier | None, checkpoint: bytes | None, witnesses: Sequence[Verifier], quorum: int | None
) -> None:
    start = key or Verifier.parse(_text(folder, KEYS).decode("utf-8"))
    found.origin = start.name
    note = _text(folder, CHECKPOINT)
    proofs = sorted(_proofs(folder), key=lambda each: each[1].index)
    leaves = [(proof.index, proof.extra or b"") for _, proof in proofs]
    chain = [one for _, one in following(start, leaves)]
    before = former(start, Verifier.parse(_text(folder, KEYS).decode("utf-8")), leaves)  # each leaf is proven below
    found.keys = frozenset(one.public for one in (*chain, *before))
    claimed = parseCheckpoint(split(note)[0])
    found.size = claimed.size
    if claimed.origin != start.name:
        raise ValueError(f"the checkpoint is of another ledger, {claimed.origin}")
    text, signatures = openNote(note, [chain[-1], *witnesses])
    if not any(one.timestamp is None for one in signatures):
        raise ValueError("the checkpoint is not signed by the ledger's key")
    found.witnesses = {one.name: (claimed.size, one.timestamp) for one in signatures if one.timestamp is not None}
    found.heard = {(one.name, one.keyId): (claimed.size, one.timestamp) for one in signatures if one.timestamp is not None}
    found.note = note
    found.problems += unheard(witnesses, found.heard, quorum)
    if checkpoint is not None:
        if split(checkpoint)[0] != text:
            found.problems.append("the checkpoint given is another one than the bundle's: between the two nothing is proven")
        found.against = "checkpoint"
    lines = []
    for name, proof in proofs:
        try:
            if split(proof.checkpoint)[0] != text:
                raise ProofError("leads to another checkpoint")
            verify(proof, proof.extra or b"", [chain[-1]])
            lines.append(proof.extra or b"")
        except (ValueError, KeyError) as error:
            found.problems.append(f"{name}: {error}")
    try:
        found.book = Book(lines)
        found.book.since = None  # a few leaves of many: what they do not prove is not older than the ledger
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"a leaf can not be read: {error}") from None


def _proofs(folder: str) -> Iterator[tuple[str, Proof]]:
    for name in sorted(os.listdir(os.path.join(folder, PROOFS))):
        if name.endswith(SUFFIX):
            path = f"{PROOFS}/{name}"
            try:
                yield path, decode(_text(folder, path))
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None


def _text(folder: str, name: str) -> bytes:
    try:
        with open(openRegular(os.path.join(folder, name), follow=False), "rb") as file:
            return file.read(LARGEST)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
