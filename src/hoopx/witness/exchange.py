# -*- test-case-name: tests.witness.test_exchange -*-
"""
What ledger and witness say to each other: C{add-checkpoint} of https://c2sp.org/tlog-witness. Pure.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final, NamedTuple, Sequence

from hoopx.ledger.note import unbase64
from hoopx.ledger.tree import HASH, MAX_PROOF

PATH: Final = "add-checkpoint"

MAX_REQUEST: Final = 128 * 1024
"""Bytes: 63 lines of proof, and a checkpoint with post-quantum signatures of 5 kB from a dozen others."""

SIZE_TYPE: Final = "text/x.tlog.size"


class Request(NamedTuple):
    """
    @ivar old: the size that the proof begins at.
    @ivar checkpoint: the signed note.
    """

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def encode(request: Request) -> bytes:
    lines = [b"old %d\n" % request.old, *[b64encode(one) + b"\n" for one in request.proof]]
    return b"".join(lines) + b"\n" + request.checkpoint


def decode(body: bytes) -> Request:
    """@raise ValueError: it is none."""
    if len(body) > MAX_REQUEST:
        raise ValueError(f"a request has at most {MAX_REQUEST} bytes")
    head, found, checkpoint = body.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    match = re.fullmatch(rb"old (0|[1-9][0-9]{0,18})", first)
    if not found or match is None:
        raise ValueError("a request begins with the old size, and has an empty line before the checkpoint")
    return Request(int(match[1]), decodeProof(lines), checkpoint)


def decodeProof(lines: Sequence[bytes]) -> tuple[bytes, ...]:
    if len(lines) > MAX_PROOF:
        raise ValueError(f"a proof has at most {MAX_PROOF} hashes")
    try:
        proof = tuple([unbase64(line) for line in lines])
    except ValueError:
        proof = (b"",)
    if any(len(one) != HASH for one in proof):
        raise ValueError("a line of the proof is no hash in base64")
    return proof
