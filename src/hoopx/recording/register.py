# -*- test-case-name: tests.recording.test_register -*-
"""
Whether a ledger is what was signed, witnessed and written down elsewhere; and what it says of sessions, if it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define

from hoopx.ledger.errors import LedgerError
from hoopx.ledger.log import CHECKPOINT, ORIGIN, WITNESSED
from hoopx.ledger.note import COSIGNATURE, Checkpoint, NoteError, Verifier, openNote, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader, Signed
from hoopx.ledger.tail import TAIL
from hoopx.ledger.tree import ProofError
from hoopx.recording.acts import Acts
from hoopx.recording.book import Book
from hoopx.recording.files import openRegular


@define
class Register:
    """
    A verdict on a ledger.

    @ivar origin: the ledger's name.
    @ivar size: leaves that its checkpoint covers; C{pending}: those behind it, which nobody has signed yet.
    @ivar state: C{"consistent"} or C{"TAMPERED"}.
    @ivar against: C{"checkpoint"}: it has grown out of the one that was given; C{"itself"}: it does not contradict itself.
    @ivar witnesses: name -> size of the newest checkpoint that the witness has cosigned, and when (seconds since the epoch).
    @ivar problems: what is wrong.
    @ivar keys: public keys that have signed it, 32 bytes each.
    @ivar acts: how the audit stands to it; C{None} when it was not looked at.
    @ivar book: what it says of sessions. Of a ledger that is not sound nothing is believed: then C{None}.
    """

    origin: str = ""
    size: int = 0
    pending: int = 0
    state: str = "consistent"
    against: str = "itself"
    witnesses: dict[str, tuple[int, int]] = Factory(dict)
    problems: list[str] = Factory(list)
    keys: frozenset[bytes] = frozenset()
    book: Book | None = None
    acts: Acts | None = None

    def line(self) -> dict[str, Any]:
        """As C{hoopx verify --json} prints it, as the last object."""
        return {
            "session": None,
            "state": self.state,
            "problem": "; ".join(self.problems) or None,
            "segment": None,
            "frame": None,
            "ledger": self.origin,
            "size": self.size,
            "pending": self.pending,
            "against": self.against,
            "witnesses": {name: {"size": size, "at": at} for name, (size, at) in self.witnesses.items()},
            "audit": self.acts.line() if self.acts is not None else None,
        }


class _Inquiry:
    def __init__(self, path: str | Callable[[str], bytes | None], key: Verifier | None, witnesses: Sequence[Verifier]) -> None:
        self.path = path
        self.reader = LedgerReader(path)
        self.key = key
        self.cosigners = list(witnesses)
        self.heard: set[tuple[str, bytes]] = set()  # by name and key: two witnesses may have one name
        self.found = Register(origin=key.name if key is not None else "")

    def wrong(self, what: str) -> None:
        self.found.problems.append(what)
        self.found.state = "TAMPERED"

    def run(self, given: bytes | None) -> Register:
        found = self.found
        try:
            start = self.key or self.reader.first()
        except LedgerError as error:
            self.wrong(str(error))
            return found
        found.origin = start.name
        note = self.file(CHECKPOINT)
        if note is None:
            if callable(self.path):
                self.wrong("the store has no checkpoint of it")
                return found
            if given is not None:
                self.wrong("it has no checkpoint any more: it was rolled back")
            elif self.key is not None:
                self.wrong("it has no checkpoint: nothing in it is signed by the key given")
            elif self.file(WITNESSED) is not None:
                self.wrong("it has no checkpoint any more, and one was witnessed")
            self.unsigned(start)
            return found
        try:
            signed = self.reader.checkpoint([start, *self.cosigners])
            chain = [one for _, one in self.reader.chain(start)]
        except (LedgerError, NoteError, ProofError) as error:
            self.wrong(self.explained(error, start))
            return found
        found.size = signed.checkpoint.size
        found.keys = frozenset(one.public for one in chain)
        self.leaves(signed)
        self.cosigned(signed.note, chain)
        for other in (self.file(WITNESSED), given):
            if other is not None:
                self.older(other, chain, other is given)
        for witness in self.cosigners:
            if (witness.name, witness.keyId) not in self.heard:
                self.wrong(f"the witness {witness.name} has signed none of the checkpoints that are here")
        if found.problems:
            found.book = None
        elif given is not None:
            found.against = "checkpoint"
        return found

    def explained(self, error: Exception, start: Verifier) -> str:
        try:
            first = self.reader.first()
        except LedgerError:
            return str(error)
        if first.name != start.name:
            return f"it is another ledger, {first.name}, and not {start.name}"
        return f"it is not signed by the key given: {error}" if self.key is not None else str(error)

    def unsigned(self, start: Verifier) -> None:
        """A ledger that has just begun: leaves, and no checkpoint yet."""
        try:
            pending = self.reader.pending()
        except LedgerError as error:
            self.wrong(str(error))
            return
        self.found.pending = len(pending)
        self.found.keys = frozenset((start.public,))
        for witness in self.cosigners:
            self.wrong(f"the witness {witness.name} has signed none of the checkpoints that are here")
        if not self.found.problems:
            self.found.book = Book(pending=pending)

    def leaves(self, signed: Signed) -> None:
        lines: list[bytes] = []
        try:
            problems = self.reader.audit(signed, lambda at, line: lines.append(line))
            pending = self.reader.pending()
        except LedgerError as error:
            self.wrong(str(error))
            return
        for where, what in problems:
            self.wrong(f"{where}: {what}")
        self.found.pending = len(pending)
        if not problems:
            self.found.book = Book(lines, pending, callable(self.path))

    def cosigned(self, note: bytes, chain: Sequence[Verifier]) -> Checkpoint | None:
        """Note who has witnessed a checkpoint. @return: it, if the ledger's own key has signed it."""
        try:
            text, signatures = openNote(note, [*chain, *self.cosigners])
            checkpoint = parseCheckpoint(text)
        except NoteError:
            return None
        for one in signatures:
            if one.timestamp is not None:
                self.heard.add((one.name, one.keyId))
            if one.timestamp is not None and checkpoint.size >= self.found.witnesses.get(one.name, (0, 0))[0]:
                self.found.witnesses[one.name] = (checkpoint.size, one.timestamp)
        return checkpoint if any(one.timestamp is None for one in signatures) else None

    def older(self, note: bytes, chain: Sequence[Verifier], given: bool) -> None:
        """A checkpoint that is out in the world: the ledger must have grown out of it."""
        name = "the checkpoint given" if given else f"the file {WITNESSED}"
        try:
            claimed = parseCheckpoint(split(note)[0])
        except NoteError as error:
            self.wrong(f"{name} can not be read: {error}")
            return
        if claimed.origin != self.found.origin:
            self.wrong(f"{name} is of another ledger, {claimed.origin}")
            return
        if self.cosigned(note, chain) is None:
            self.wrong(f"{name} is not signed by this ledger's key")
            return
        try:
            self.reader.compare(claimed)
        except (ProofError, LedgerError) as error:
            self.wrong(str(error) if given else f"{name}: {error}")

    def file(self, name: str) -> bytes | None:
        if callable(self.path):
            return self.path(name)
        try:
            with open(openRegular(os.path.join(self.path, name)), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None


def isLedger(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, name)) for name in (ORIGIN, CHECKPOINT, TAIL))


def verifyLedger(
    path: str | Callable[[str], bytes | None],
    key: Verifier | None = None,
    checkpoint: bytes | None = None,
    witnesses: Sequence[Verifier] = (),
) -> Register:
    """
    Make the whole tree anew from the leaves, and compare it with what was signed.

    @param path: the ledger's directory, or a callable(name of a file) -> bytes or C{None}.
    @param key: the ledger's key (its first, or a later one), written down elsewhere. Without it, the one that it names itself.
    @param checkpoint: a signed note from elsewhere that the ledger must have grown out of.
    @param witnesses: whose cosignatures have to be there.
    """
    for witness in witnesses:
        if witness.kind != COSIGNATURE:
            raise ValueError(f"{witness.vkey} is no key of a witness")
    return _Inquiry(path, key, witnesses).run(checkpoint)
