"""
What the tests of the curator need: real recordings, a ledger in a list, a backend that fails on demand.
"""

from __future__ import annotations

import io
import os

from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock

from hoopx.curator.bench import Bench
from hoopx.curator.book import Book
from hoopx.curator.scribe import Scribe
from hoopx.frames import segmentName
from hoopx.ledger.errors import LedgerFailed
from hoopx.ledger.leaf import parse
from hoopx.recording.files import Files
from hoopx.values import CLIENT, PASSED, Receipt
from tests.recording.rig import KIB, Now, Rig

WALL = 1_800_000_000.0
PATIENT = 300.0
"""Seconds for what a real process does by itself, of low priority on a slow and busy machine."""


class ListLedger:
    """The ledger's promises, in a list."""

    origin = "gw.00000000"

    def __init__(self):
        self.leaves = []
        self.batches = []
        self.failure = None
        self.published = None
        self.signed = 0

    @property
    def size(self):
        return len(self.leaves)

    def append(self, leaves):
        if self.failure is not None:
            raise self.failure
        self.batches.append(len(leaves))
        found = []
        for line in leaves:
            value = parse(line)
            key = (value["type"], value.get("session"), value.get("segment"), value.get("audit"))
            known = [number for number, other in enumerate(self.leaves) if other[0] == key]
            if not known:
                self.leaves.append((key, value))
            found.append(known[0] if known else len(self.leaves) - 1)
        return found

    def checkpoint(self):
        if self.failure is not None:
            raise self.failure
        self.signed += 1
        return b"%s\n%d\nroot\n\n\xe2\x80\x94 gw sig\n" % (self.origin.encode(), self.size)

    def publish(self, note):
        self.published = note

    def consistency(self, old, new):
        return [b"%d-%d" % (old, new)]

    def close(self):
        pass

    def types(self, session=None):
        return [value["type"] for _, value in self.leaves if session in (None, value.get("session"))]


class FakeBackend:
    """
    A store in a dict.

    @ivar failure: every call fails with it.
    @ivar puts: names in the order of their arrival.
    """

    scheme = "fake"

    def __init__(self):
        self.failure = None
        self.objects = {}
        self.puts = []
        self.waiting = None
        self.deleted = []
        self.held = set()
        self.retained = []

    def put(self, name, path, retainUntil, checksum=None):
        if self.failure is not None:
            return fail(self.failure)
        with open(path, "rb") as file:
            self.objects[name] = file.read()
        self.puts.append(name)
        receipt = Receipt(name, None, checksum or "", retainUntil)
        if self.waiting is not None:
            return self.waiting
        return succeed(receipt)


    def open(self, receipt):
        return fail(self.failure) if self.failure is not None else succeed(io.BufferedReader(io.BytesIO(self.objects[receipt.name])))

    def list(self, prefix):
        if self.failure is not None:
            return fail(self.failure)
        return succeed([Receipt(name, None, "", None) for name in self.objects if name.startswith(prefix)])

    def hold(self, receipt, on):
        if self.failure is not None:
            return fail(self.failure)
        (self.held.add if on else self.held.discard)(receipt.name)
        return succeed(None)

    def retain(self, receipt, until):
        if self.failure is not None:
            return fail(self.failure)
        self.retained.append((receipt.name, until))
        return succeed(None)


class Recorded:
    """Recordings made by the real store, C{segments} sealed segments each."""

    def __init__(self, data, curator=None):
        self.data = data
        self.rig = Rig(data, size=4 * KIB, curator=curator)
        self.rig.skew = WALL
        self.rig.store.start()

    def session(self, segments=1, close=True, head=None):
        """@return: the open or closed recording."""
        found = []
        self.rig.store.open({"target": "orders", "protocol": "raw", "labels": {"run": "7"}, **(head or {})}).addCallback(found.append)
        (recording,) = found
        for _ in range(segments - 1):
            recording.append(0, CLIENT, PASSED, os.urandom(5 * KIB))
            self.rig.advance(12)
        recording.append(0, CLIENT, PASSED, b"the end")
        if close:
            recording.close("client-left")
        return recording


def book():
    return Book(":memory:")


def bench(book, **more):
    more.setdefault("compress", True)
    more.setdefault("recipients", ())
    return Bench(book, Files(), lambda: WALL, **more)


def scribe(ledger=None):
    ledger = ledger or ListLedger()
    return Scribe(ledger, Now(), lambda: ledger)


__all__ = ["PATIENT", "WALL", "Clock", "FakeBackend", "LedgerFailed", "ListLedger", "Now", "Recorded", "bench", "book", "scribe", "segmentName"]
