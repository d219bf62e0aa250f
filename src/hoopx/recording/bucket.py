# -*- test-case-name: tests.recording.test_bucket -*-
"""
A store as evidence: recordings and ledgers of one gateway or several, and what is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from hoopx.ledger.errors import LedgerError
from hoopx.ledger.note import Verifier, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader
from hoopx.reading import Opener
from hoopx.recording.evidence import Evidence
from hoopx.recording.register import Register, verifyLedger
from hoopx.storage.reading import StoredLedger, ledgers


def inStore(
    objects: Any,
    opener: Opener,
    key: Verifier | None = None,
    note: bytes | None = None,
    witnesses: Sequence[Verifier] = (),
    gateway: str | None = None,
    inquire: Callable[[], Register] | None = None,
    quorum: int | None = None,
    remembered: Callable[[str], bytes | None] = lambda origin: None,
) -> Iterator[Evidence]:
    """
    Each gateway's recordings are held against its own ledger. Where there are several, a key or a checkpoint that is given speaks of
    the one with its name; that there is none such is a finding of its own.

    @param objects: L{hoopx.storage.reading.StoredObjects}.
    @param note: a checkpoint that was kept elsewhere.
    @param witnesses: each must have signed each ledger; C{quorum}: so many of them.
    @param gateway: only that one's.
    @param inquire: reads a ledger that is somewhere else: then all is held against that one.
    @param remembered: see L{verifyLedger}.
    @raise hoopx.storage.errors.StorageError:
    """
    names = objects.names()
    if gateway is not None:
        names = [name for name in names if name.startswith(f"{gateway}/")]
    nodes = ledgers(names) if inquire is None else []
    wanted = {} if key is None else {key.name: "the key"}
    origin = None if note is None else parseCheckpoint(split(note)[0]).origin
    if origin is not None:
        wanted.setdefault(origin, "the checkpoint")
    for node in nodes:
        mine = [name for name in names if name.startswith(f"{node}/")]
        source = StoredLedger(objects, mine, node)
        called = _origin(source) if len(nodes) > 1 else None
        its = key if key is not None and called in (None, key.name) else None
        known = note if called in (None, origin) else None
        wanted.pop(called or "", None)
        yield Evidence("", partial(verifyLedger, source, its, known, list(witnesses), quorum, remembered), opener, objects, mine)
    if not nodes and witnesses:
        wanted.setdefault("", "a witness")
    if len(nodes) != 1 and inquire is None:
        for name, what in wanted.items():
            yield Evidence("", partial(_absent, name, what), opener, objects, [])
    rest = [name for name in names if name.partition("/")[0] not in nodes]
    if rest or not nodes:
        yield Evidence("", inquire, opener, objects, rest)


def _origin(source: StoredLedger) -> str:
    """@return: C{""} for a ledger that does not say: it is called damaged by whoever reads it."""
    try:
        return LedgerReader(source).first().name
    except LedgerError:
        return ""


def _absent(name: str, what: str) -> Register:
    return Register(origin=name, state="TAMPERED", problems=[f"the store has no such ledger, and {what} of it was given"])
