# -*- test-case-name: tests.witness.test_witness -*-
"""
A witness: cosigns what has grown out of what it cosigned before, and nothing else (https://c2sp.org/tlog-witness). Blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, NamedTuple

from hoopx.ledger.note import ED25519, Checkpoint, NoteError, Verifier, openNote, parseCheckpoint, split
from hoopx.ledger.tree import EMPTY, ProofError, verifyConsistency
from hoopx.witness.errors import WitnessDamaged
from hoopx.witness.exchange import SIZE_TYPE, decode
from hoopx.witness.state import State


class Answer(NamedTuple):
    status: int
    body: bytes
    type: str = "text/plain; charset=utf-8"


class Witness:
    """
    @param ledgers: keys of the ledgers that are trusted; several of one name while its key changes.
    @param wall: seconds since the epoch.
    @param alarm: called with C{"fork"}, C{"rollback"} or C{"damaged"} and what is known of it.
    """

    def __init__(
        self, state: State, ledgers: Iterable[Verifier], wall: Callable[[], float], alarm: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._state = state
        self._wall = wall
        self._alarm = alarm
        # Compared, kept and cosigned in one go, whatever threads the requests come on: else the older of two would be kept.
        self._lock = Lock()
        self._ledgers: dict[str, list[Verifier]] = {}
        for one in ledgers:
            if one.kind != ED25519:
                raise ValueError(f"{one.vkey} is the key of a witness, not of a ledger")
            self._ledgers.setdefault(one.name, []).append(one)

    def add(self, body: bytes) -> Answer:
        """
        @param body: of an C{add-checkpoint} request.
        @return: 200 with the cosignature; 400 no request; 403 not signed; 404 an unknown ledger; 409 with the size that the proof has to
            begin at; 422 a proof that proves nothing.
        @raise OSError: it can not be kept, so it is not cosigned.
        """
        try:
            request = decode(body)
            checkpoint = parseCheckpoint(split(request.checkpoint)[0])
        except ValueError as error:
            return _no(400, str(error))
        verifiers = self._ledgers.get(checkpoint.origin)
        if verifiers is None:
            return _no(404, "this witness does not know the ledger")
        try:
            text, _ = openNote(request.checkpoint, verifiers)
        except NoteError as error:
            return _no(403, str(error))
        if request.old > checkpoint.size:
            return _no(400, "the old size is bigger than the checkpoint's")
        with self._lock:
            return self._compare(request.old, request.proof, checkpoint, request.checkpoint, text)

    def _compare(self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint, note: bytes, text: bytes) -> Answer:
        try:
            latest = self._state.latest(checkpoint.origin)
        except WitnessDamaged as error:
            self._alarm("damaged", {"origin": checkpoint.origin, "why": str(error)})
            return _no(500, "this witness can not read what it knows of the ledger")
        size, root = (latest.size, latest.root) if latest is not None else (0, EMPTY)
        if checkpoint.size < size:
            # Late, or rolled back; either way nothing to cosign.
            self._tell("rollback", checkpoint, size)
        if old != size:
            return _conflict(size)
        if checkpoint.size == size and checkpoint.root != root:
            self._tell("fork", checkpoint, size)
            return _conflict(size)
        try:
            verifyConsistency(size, root, checkpoint.size, checkpoint.root, proof)
        except ProofError as error:
            self._tell("fork", checkpoint, size)
            return _no(422, str(error))
        if latest is None or checkpoint != latest:
            self._state.keep(checkpoint.origin, note)
        return Answer(200, self._state.cosigner.cosign(text, int(self._wall())))

    def _tell(self, kind: str, checkpoint: Checkpoint, size: int) -> None:
        self._alarm(kind, {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex(), "known": size})


def _no(status: int, why: str) -> Answer:
    return Answer(status, why.encode() + b"\n")


def _conflict(size: int) -> Answer:
    return Answer(409, b"%d\n" % size, SIZE_TYPE)
