# -*- test-case-name: tests.recording.test_register -*-
"""
Whether a ledger is what was signed, witnessed and written down elsewhere; and what it says of sessions, if it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from typing import Any, Final

from attrs import Factory, define

from hoopx.ledger.disk import CHECKPOINT, ORIGIN, WITNESSED
from hoopx.ledger.errors import LedgerError
from hoopx.ledger.note import COSIGNATURE, Checkpoint, NoteError, Verifier, openNote, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader, Signed, directory
from hoopx.ledger.tail import TAIL
from hoopx.ledger.tree import ProofError
from hoopx.recording.acts import Acts
from hoopx.recording.book import Book

GIVEN: Final = "the checkpoint given"
REMEMBERED: Final = "the checkpoint remembered"


@define
class Register:
    """
    A verdict on a ledger.

    @ivar origin: the ledger's name.
    @ivar size: leaves that its checkpoint covers; C{pending}: those behind it, which nobody has signed yet.
    @ivar state: C{"consistent"} or C{"TAMPERED"}.
    @ivar against: C{"checkpoint"}: it has grown out of the one that was given; C{"remembered"}: out of the one that was seen the last
        time; C{"itself"}: it does not contradict itself.
    @ivar witnesses: name -> size of the newest checkpoint that the witness has cosigned, and when (seconds since the epoch).
    @ivar heard: the same by name and key, for two witnesses may have one name.
    @ivar note: its newest checkpoint, as signed; empty when it has none.
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
    heard: dict[tuple[str, bytes], tuple[int, int]] = Factory(dict)
    note: bytes = b""
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
    def __init__(
        self, path: str | Callable[[str], bytes | None], key: Verifier | None, witnesses: Sequence[Verifier], quorum: int | None
    ) -> None:
        self.path = path
        self.file = path if callable(path) else directory(path)
        self.reader = LedgerReader(path)
        self.key = key
        self.cosigners = list(witnesses)
        self.quorum = quorum
        self.found = Register(origin=key.name if key is not None else "")

    def wrong(self, what: str) -> None:
        self.found.problems.append(what)
        self.found.state = "TAMPERED"

    def run(self, given: bytes | None, remembered: Callable[[str], bytes | None]) -> Register:
        try:
            return self.compared(given, remembered)
        except LedgerError as error:
            self.wrong(str(error))
            self.found.book = None
            return self.found

    def compared(self, given: bytes | None, remembered: Callable[[str], bytes | None]) -> Register:
        """@raise LedgerError: it can not even be read."""
        found = self.found
        start = self.key or self.reader.first()
        found.origin = start.name
        seen = remembered(start.name)
        # Before the checkpoint, which is never behind it: the ledger grows while it is read.
        witnessed = self.file(WITNESSED)
        note = self.file(CHECKPOINT)
        if note is None:
            if callable(self.path):
                self.wrong("the store has no checkpoint of it")
                return found
            if given is not None or seen is not None:
                self.wrong("it has no checkpoint any more: it was rolled back")
            elif self.key is not None:
                self.wrong("it has no checkpoint: nothing in it is signed by the key given")
            elif witnessed is not None:
                self.wrong("it has no checkpoint any more, and one was witnessed")
            self.unsigned(start)
            return found
        try:
            signed = self.reader.checkpoint([start, *self.cosigners])
            chain = [*[one for _, one in self.reader.chain(start)], *self.reader.former(start)]
        except (LedgerError, NoteError, ProofError) as error:
            self.wrong(self.explained(error, start))
            return found
        found.size, found.note = signed.checkpoint.size, signed.note
        found.keys = frozenset(one.public for one in chain)
        self.leaves(signed)
        self.cosigned(signed.note, chain)
        for name, other in ((f"the file {WITNESSED}", witnessed), (GIVEN, given), (REMEMBERED, seen)):
            if other is not None:
                self.older(name, other, chain)
        for name, other in getattr(self.path, "earlier", tuple)():  # of a store
            self.forked(name, other, chain)
        for what in unheard(self.cosigners, found.heard, self.quorum):
            self.wrong(what)
        if found.problems:
            found.book = None
        else:
            found.against = "checkpoint" if given is not None else "remembered" if seen is not None else "itself"
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
        for what in unheard(self.cosigners, {}, self.quorum):
            self.wrong(what)
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
                told = (checkpoint.size, one.timestamp)
                key = one.name, one.keyId
                self.found.heard[key] = max(told, self.found.heard.get(key, told))
                self.found.witnesses[one.name] = max(told, self.found.witnesses.get(one.name, told))
        return checkpoint if any(one.timestamp is None for one in signatures) else None

    def older(self, name: str, note: bytes, chain: Sequence[Verifier]) -> None:
        """A checkpoint that is out in the world: the ledger must have grown out of it."""
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
            self.wrong(str(error) if name == GIVEN else f"{name}: {error}")

    def forked(self, name: str, note: bytes, chain: Sequence[Verifier]) -> None:
        """One that lies in the store: if it is this ledger's, that has grown out of it. What others have put there says nothing."""
        try:
            text, signatures = openNote(note, chain)
            claimed = parseCheckpoint(text)
        except NoteError:
            return
        if claimed.origin != self.found.origin or all(one.timestamp is not None for one in signatures):
            return
        try:
            self.reader.compare(claimed)
        except (ProofError, LedgerError) as error:
            self.wrong(f"{name} is signed by this ledger's key, which has signed two trees: {error}")


def isLedger(path: str) -> bool:
    return any(os.path.lexists(os.path.join(path, name)) for name in (ORIGIN, CHECKPOINT, TAIL))


def verifyLedger(
    path: str | Callable[[str], bytes | None],
    key: Verifier | None = None,
    checkpoint: bytes | None = None,
    witnesses: Sequence[Verifier] = (),
    quorum: int | None = None,
    remembered: Callable[[str], bytes | None] = lambda origin: None,
) -> Register:
    """
    Make the whole tree anew from the leaves, and compare it with what was signed.

    @param path: the ledger's directory, or a callable(name of a file) -> bytes or C{None}.
    @param key: the ledger's key (its first, or a later one), written down elsewhere. Without it, the one that it names itself.
    @param checkpoint: a signed note from elsewhere that the ledger must have grown out of.
    @param witnesses: whose cosignatures have to be there; C{quorum}: of how many of them, C{None} for all.
    @param remembered: the newest checkpoint that was seen the last time, of the ledger of that name.
    """
    for witness in witnesses:
        if witness.kind != COSIGNATURE:
            raise ValueError(f"{witness.vkey} is no key of a witness")
    return _Inquiry(path, key, witnesses, quorum).run(checkpoint, remembered)


def unheard(witnesses: Sequence[Verifier], heard: Container[tuple[str, bytes]], quorum: int | None) -> list[str]:
    """
    @param heard: name and key of those who have signed.
    @return: what is wrong with that.
    """
    absent = [one.name for one in witnesses if (one.name, one.keyId) not in heard]
    if quorum is None or quorum == len(witnesses):
        return [f"the witness {name} has signed none of the checkpoints that are here" for name in absent]
    signed = len(witnesses) - len(absent)
    if signed >= quorum:
        return []
    return [f"{signed} of the witnesses given have signed a checkpoint that is here, not {quorum}: {', '.join(absent)} have not"]
