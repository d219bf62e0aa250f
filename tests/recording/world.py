"""
A small data directory as gateway and curator leave it: plain, compressed and encrypted recordings, a recovered one, one that lives, one
that was erased, and their ledger, witnessed.
"""

from __future__ import annotations

import os
import random
import time
from hashlib import sha256

import pyrage
from attrs import define
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.frames import DATA, EVENT, HEAD, OPEN, RECOVERED, SEAL, encode, pack, segmentName
from hoopx.ledger.keys import loadKey
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Cosigner, split
from hoopx.reading import readSegment
from hoopx.recording.files import Files
from hoopx.recording.packing import forget
from hoopx.recording.packing import pack as packSegment
from hoopx.recording.segment import Segment, begin
from hoopx.recording.signing import publicHex, sign
from hoopx.state.rows import auditHash
from hoopx.ulid import ulid
from hoopx.values import CLIENT, PASSED, TARGET

BEGAN = 1_700_000_000.0
ERASURE = {"at": BEGAN, "actor": "retention", "action": "session.erase", "subject": "S", "details": {}}
TOTALS = {f"{what}_from_{side}": 0 for what in ("bytes", "frames") for side in ("client", "target")}


@define
class Session:
    """@ivar leaves: not in the ledger yet."""

    id: str
    path: str
    segment: Segment
    key: Ed25519PrivateKey
    sequence: int = 2
    sealed: int = 0

    def say(self, words, count=12):
        for number in range(count):
            side = (CLIENT, TARGET)[number % 2]
            payload = words.randbytes(words.choice((1, 20, 90, 400)))
            self.frame(DATA, side, PASSED, payload)
            if number % 5 == 4:
                self.segment.check(self.sequence, self.sequence * 10**6)
                self.sequence += 1

    def frame(self, kind, side=0, origin=0, payload=b""):
        self.segment.add(encode(self.sequence * 10**6, self.sequence, 0, kind, side, origin, 0, payload))
        self.sequence += 1

    def roll(self):
        self.segment.roll(self.sequence, self.sequence * 10**6, TOTALS)
        for descriptor in self.segment._retired:
            os.close(descriptor)
        self.segment._retired = []
        self.sequence += 2
        self.sealed += 1

    def finish(self, reason="client-left", **totals):
        end = {**TOTALS, **totals, "reason": reason, "duration": 1.0}
        self.segment.finish(pack(end), self.sequence, self.sequence * 10**6, TOTALS)
        self.sealed += 1


class World:
    """
    @ivar data: the data directory.
    @ivar sessions: name -> session id.
    @ivar vkey: the ledger's key; C{witness}: the witness's.
    @ivar checkpoints: every signed note so far, the oldest first.
    @ivar auditor: the age identity that reads what is encrypted.
    """

    def __init__(self, data, seed=0):
        self.data = str(data)
        self.words = random.Random(seed)
        self.files = Files()
        self.sessions = {}
        self.now = BEGAN
        os.makedirs(os.path.join(self.data, "recordings"))
        self.ledgerKey = loadKey(os.path.join(self.data, "keys"), self.files)
        self.ledger = Ledger.open(os.path.join(self.data, "ledger"), self.ledgerKey, "gw", wall=lambda: self.now)
        self.vkey = self.ledger.vkey
        self.cosigner = Cosigner("witness.example", Ed25519PrivateKey.generate())
        self.witness = self.cosigner.vkey
        self.identity = pyrage.x25519.Identity.generate()
        self.checkpoints = []

    # -- sessions

    def begin(self, name, opened=True):
        self.now += 10
        id = ulid(self.now, self.words.randbytes(10))
        path = os.path.join(self.data, "recordings", time.strftime("%Y/%m/%d", time.gmtime(self.now)), id)
        os.makedirs(path)
        key = Ed25519PrivateKey.generate()
        head = pack({
            "session": id, "format": 1, "started": self.now, "key": publicHex(key), "target": "orders", "protocol": "raw",
            "client": "198.51.100.7:50123", "identity": {"name": "alice", "kind": "human", "groups": []},
        })  # fmt: skip
        frame = encode(0, 1, 0, HEAD, payload=head)
        segment = Segment(self.files, path, id, key, False, begin(self.files, os.path.join(path, OPEN), frame), frame)
        session = Session(id, path, segment, key)
        self.sessions[name] = id
        if opened:
            self.leaf("opened", session=id, key=publicHex(key), head=sha256(head).hexdigest())
            session.frame(EVENT, payload=pack({"event": "connected"}))
        return session

    def record(self, name, segments=3):
        session = self.begin(name)
        for number in range(segments):
            session.say(self.words)
            if number < segments - 1:
                session.roll()
        session.finish()
        return session

    def keep(self, session, compress=False, encrypt=False):
        """As the curator does: pack, then tell the ledger."""
        recipients = [str(self.identity.to_public())] if encrypt else []
        for number in range(session.sealed):
            path = os.path.join(session.path, segmentName(number))
            packed = packSegment(path, compress, recipients)
            self.leaf("sealed", session=session.id, segment=number, seal=packed.seal, object=packed.object, size=packed.size)
            forget(path)

    def done(self, session, kind="done", end=None):
        if end is None:
            with open(os.path.join(session.path, segmentName(session.sealed - 1)), "rb") as file:
                end = sha256(list(readSegment(file))[-2].payload).hexdigest()
        self.leaf(kind, session=session.id, segments=session.sealed, end=end)

    def end(self, session):
        """The digest of DONE, while it can be read."""
        with open(os.path.join(session.path, segmentName(session.sealed - 1)), "rb") as file:
            return sha256(list(readSegment(file))[-2].payload).hexdigest()

    def recover(self, session):
        """As the next start does after a kill."""
        segment = session.segment
        segment.hash(segment.take())
        at = session.sequence * 10**6
        value = {
            "session": session.id, "segment": segment.number, "cut": 0, "last": session.sequence - 1, "at": at / 1e9,
            "wall": self.now, "connected": True, "key": publicHex(self.ledgerKey), **TOTALS,
        }  # fmt: skip
        session.frame(RECOVERED, payload=sign(self.ledgerKey, "recovered", value))
        segment.hash(segment.take())
        value = {
            "session": session.id, "segment": segment.number, "frames": segment._count, "sha256": segment._sha.hexdigest(),
            "salt": "00" * 16, "key": publicHex(self.ledgerKey),
        }  # fmt: skip
        session.frame(SEAL, payload=sign(self.ledgerKey, "seal", value))
        os.rename(os.path.join(session.path, OPEN), os.path.join(session.path, segmentName(segment.number)))
        segment.shut()
        session.sealed += 1

    # -- the ledger

    def leaf(self, kind, **fields):
        self.now += 0.5
        self.ledger.append([leaf(kind, self.now, **fields)])

    def sign(self, witnessed=True):
        note = self.ledger.checkpoint()
        if witnessed:
            note = self.ledger.publish(note + self.cosigner.cosign(split(note)[0], int(self.now)))
        self.checkpoints.append(note)
        return note


def build(data, seed=0):
    """@return: the L{World}, its last checkpoint signed and witnessed, its ledger open."""
    world = World(data, seed)
    for name, packing in (
        ("plain", {}),
        ("compressed", {"compress": True}),
        ("encrypted", {"compress": True, "encrypt": True}),
        ("short", {"compress": True}),
        ("sealed", {"encrypt": True}),
    ):
        session = world.record(name, 1 if name == "short" else 3)
        end = world.end(session)
        world.keep(session, **packing)
        world.done(session, end=end)
        world.sign()
    session = world.begin("recovered")
    session.say(world.words)
    session.roll()
    session.say(world.words)
    world.recover(session)
    world.keep(session)
    world.done(session, "recovered")
    world.sessions["erased"] = ulid(world.now, world.words.randbytes(10))
    world.leaf("opened", session=world.sessions["erased"], key="ab" * 32, head="cd" * 32)
    world.leaf("erased", session=world.sessions["erased"], audit=auditHash(ERASURE))
    live = world.begin("live")
    live.say(world.words)
    live.roll()
    world.keep(live, compress=True)
    live.say(world.words)
    world.live = live
    opening = world.begin("opening", opened=False)
    world.opening = opening
    world.sign()
    return world


def close(world):
    """Let go of files and locks."""
    for session in (world.live, world.opening):
        session.segment.shut()
    world.ledger.close()


def makeFixture(folder):
    """What tests/fixtures/evidence was made with, once: it stays as it is."""
    import json
    import shutil

    data = os.path.join(folder, "data")
    world = World(data, 1)
    for name, packing in (
        ("plain", {}),
        ("compressed", {"compress": True}),
        ("encrypted", {"compress": True, "encrypt": True}),
        ("sealed", {"encrypt": True}),
    ):
        session = world.record(name, 2)
        end = world.end(session)
        world.keep(session, **packing)
        world.done(session, end=end)
    session = world.begin("recovered")
    session.say(world.words)
    session.roll()
    session.say(world.words)
    world.recover(session)
    world.keep(session)
    world.done(session, "recovered")
    early = world.sign()
    erased = world.sessions["erased"] = ulid(world.now, world.words.randbytes(10))
    world.leaf("opened", session=erased, key="ab" * 32, head="cd" * 32)
    world.leaf("erased", session=erased, audit=auditHash(ERASURE))
    world.sign()
    world.ledger.close()
    states = {id: name if name in ("recovered", "erased") else "done" for name, id in world.sessions.items()}
    keys = {
        "ledger": world.vkey, "witness": world.witness, "auditor": str(world.identity), "checkpoint": early.decode(),
        "sessions": states,
    }  # fmt: skip
    with open(os.path.join(folder, "keys.json"), "w", encoding="ascii") as file:
        json.dump(keys, file, indent=1)
    shutil.rmtree(os.path.join(data, "keys"))
    for name in ("lock", "lookup.sqlite"):
        path = os.path.join(data, "ledger", name)
        if os.path.exists(path):
            os.remove(path)
