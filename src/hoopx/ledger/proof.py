# -*- test-case-name: tests.ledger.test_proof -*-
"""
Proofs that stand alone: https://c2sp.org/tlog-proof. Pure.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final, Iterable

from attrs import frozen

from hoopx.ledger.note import MAX_NOTE, Checkpoint, NoteError, Signature, Verifier, openNote, parseCheckpoint, unbase64
from hoopx.ledger.tree import HASH, MAX_PROOF, ProofError, leafHash, verifyInclusion

HEADER: Final = b"c2sp.org/tlog-proof@v1"


@frozen
class Proof:
    """
    @ivar index: of the leaf.
    @ivar path: the inclusion proof, from the leaf's sibling up.
    @ivar checkpoint: the signed note.
    @ivar extra: anything, vouched for by nobody; hoopx puts the leaf there.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def encode(proof: Proof) -> bytes:
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(b"extra " + b64encode(proof.extra))
    lines.append(b"index %d" % proof.index)
    lines += [b64encode(one) for one in proof.path]
    return b"\n".join(lines) + b"\n\n" + proof.checkpoint


def decode(text: bytes) -> Proof:
    """@raise ProofError: no proof."""
    head, found, checkpoint = text.partition(b"\n\n")
    lines = head.split(b"\n")
    if not found or lines.pop(0) != HEADER or len(text) > 2 * MAX_NOTE:
        raise ProofError(f"a proof begins with the line {HEADER.decode()}")
    extra = None
    if lines and lines[0].startswith(b"extra "):
        extra = _decoded(lines.pop(0)[6:])
    match = re.fullmatch(rb"index (0|[1-9][0-9]{0,18})", lines.pop(0) if lines else b"")
    if match is None:
        raise ProofError("a proof says the leaf's index")
    path = tuple([_decoded(line) for line in lines])
    if len(path) > MAX_PROOF or any(len(one) != HASH for one in path):
        raise ProofError(f"a proof has at most {MAX_PROOF} hashes of {HASH} bytes")
    return Proof(int(match[1]), path, checkpoint, extra)


def verify(proof: Proof, leaf: bytes, verifiers: Iterable[Verifier]) -> tuple[Checkpoint, list[Signature]]:
    """
    @param verifiers: of the ledger, and of witnesses.
    @return: the checkpoint, and the signatures that hold. The ledger's own is among them; how many witnesses there have to be is the
        caller's to say.
    @raise ProofError: the proof does not show that the leaf is in the ledger.
    """
    known = list(verifiers)
    try:
        text, signatures = openNote(proof.checkpoint, known)
        checkpoint = parseCheckpoint(text)
    except NoteError as error:
        raise ProofError(f"the checkpoint of the proof: {error}") from None
    if checkpoint.origin not in [one.name for one in signatures if one.timestamp is None]:
        raise ProofError("the checkpoint of the proof is not signed by its ledger")
    verifyInclusion(leafHash(leaf), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint, signatures


def _decoded(line: bytes) -> bytes:
    try:
        return unbase64(line)
    except ValueError:
        raise ProofError("a proof has a line that is no base64") from None
