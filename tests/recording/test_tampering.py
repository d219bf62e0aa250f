"""
Random tampering with what is sealed and witnessed: all of it is found, and called what it is. HOOPX_LONG=1 does it 10,000 times.
"""

from __future__ import annotations

import os
import random
import shutil
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import CHECK, HEAD, HEADER, LINK, RECOVERED, SEAL, START, encode, pack, segmentName, unpack
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Verifier
from hoopx.ledger.reader import LedgerReader
from hoopx.reading import readSegment
from hoopx.recording.evidence import GOOD, Evidence
from hoopx.recording.register import verifyLedger
from hoopx.recording.signing import publicHex, sign
from hoopx.recording.stored import opener
from tests.recording.world import build, close

ROUNDS = 10_000 if os.environ.get("HOOPX_LONG") else 300
SIGNED = (CHECK, SEAL, RECOVERED)
SOUND = 25
"""After so many tamperings the untouched whole is looked at, too."""

KINDS = (
    ["flip"] * 6 + ["cut"] * 3 + ["frameDropped", "framesSwapped", "frameForged", "segmentRemoved", "segmentReplaced", "segmentsSwapped"] * 2
    + ["sessionRemoved", "sessionReplaced", "resealed", "rewritten", "rolledBack", "ledgerFlipped", "ledgerReplaced", "leafForged"]
)  # fmt: skip


class TamperingBase(SynchronousTestCase):
    def setUp(self):
        self.folder = os.path.abspath(self.mktemp())
        self.data = os.path.join(self.folder, "data")
        self.world = build(self.data, seed=7)
        self.addCleanup(close, self.world)
        self.kept = os.path.join(self.folder, "kept")
        shutil.copytree(self.data, self.kept, symlinks=True)
        self.names = {id: name for name, id in self.world.sessions.items()}
        self.words = random.Random(20_240_229)
        self.key = Verifier.parse(self.world.vkey)
        self.witness = Verifier.parse(self.world.witness)
        self.readers = [opener(), opener([self.world.identity])]
        self.touched = []

    # -- looking

    def look(self, reader, data=None, checkpoint=True):
        """@return: (session name -> verdict, register)"""
        data = data or self.data
        registers = []
        note = self.world.checkpoints[-1] if checkpoint else None

        def inquire():
            return verifyLedger(os.path.join(data, "ledger"), self.key, note, [self.witness])

        found = list(Evidence(data, inquire, reader).run(registers.append))
        return {self.names.get(verdict.session, verdict.session): verdict for verdict in found}, registers[-1]

    def sound(self):
        for reader in self.readers:
            found, register = self.look(reader)
            self.assertEqual(register.problems, [])
            self.assertEqual([verdict for verdict in found.values() if verdict.state not in GOOD or verdict.problems], [])
            self.assertEqual(set(found), set(self.world.sessions))

    def restore(self):
        for path in self.touched:
            there, kept = os.path.join(self.data, path), os.path.join(self.kept, path)
            if os.path.isdir(there) and not os.path.islink(there):
                shutil.rmtree(there)
            elif os.path.lexists(there):
                os.remove(there)
            if os.path.exists(kept):
                (shutil.copytree if os.path.isdir(kept) else shutil.copy2)(kept, there)
        self.touched = []

    # -- touching

    def session(self, *names):
        name = self.words.choice(names or ("plain", "compressed", "encrypted", "short", "sealed", "recovered"))
        id = self.world.sessions[name]
        (path,) = [place for place, folders, _ in os.walk(self.data) for place in [place] if os.path.basename(place) == id]
        if os.path.relpath(path, self.data) not in self.touched:
            self.touched.append(os.path.relpath(path, self.data))
        return name, path

    def segment(self, *names):
        name, path = self.session(*names)
        return name, path, self.words.choice(sorted(each for each in os.listdir(path) if each[:-4].isdigit()))

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def write(self, path, data):
        if os.path.lexists(path):
            os.remove(path)
        with open(path, "wb") as file:
            file.write(data)

    def frames(self, path):
        with open(path, "rb") as file:
            return list(readSegment(file))

    def writeFrames(self, path, frames):
        self.write(path, START + b"".join(encode(*frame) for frame in frames))

    def leaves(self):
        reader = LedgerReader(os.path.join(self.kept, "ledger"))
        reader.checkpoint()
        return list(reader.entries())


class TamperingTests(TamperingBase):
    def flip(self):
        name, path, segment = self.segment()
        data = bytearray(self.read(os.path.join(path, segment)))
        at = self.words.randrange(len(data))
        data[at] ^= 1 << self.words.randrange(8)
        frame, end = None, len(START)
        if name in ("plain", "recovered"):
            for frame, each in enumerate(self.frames(os.path.join(path, segment))):  # noqa: B007
                end += HEADER + len(each.payload)
                if at < end:
                    break
        self.write(os.path.join(path, segment), bytes(data))
        return name, segment, frame if at >= len(START) else None, ""

    def cut(self):
        name, path, segment = self.segment()
        data = self.read(os.path.join(path, segment))
        self.write(os.path.join(path, segment), data[: self.words.randrange(len(data))])
        return name, segment, None, ""

    def frameDropped(self):
        name, path, segment = self.segment("plain", "recovered")
        frames = self.frames(os.path.join(path, segment))
        del frames[self.words.randrange(len(frames))]
        self.writeFrames(os.path.join(path, segment), frames)
        return name, segment, None, ""

    def framesSwapped(self):
        name, path, segment = self.segment("plain", "recovered")
        frames = self.frames(os.path.join(path, segment))
        one, other = sorted(self.words.sample(range(len(frames)), 2))
        frames[one], frames[other] = frames[other], frames[one]
        self.writeFrames(os.path.join(path, segment), frames)
        if not one or frames[one].kind in SIGNED:
            return name, segment, one, ""
        return name, segment, one + 1, "sequence"

    def frameForged(self):
        """A payload changed, with a right checksum."""
        name, path, segment = self.segment("plain", "recovered")
        frames = self.frames(os.path.join(path, segment))
        at = self.words.randrange(1, len(frames))
        payload = bytearray(frames[at].payload or b"x")
        payload[self.words.randrange(len(payload))] ^= 1 << self.words.randrange(8)
        frames[at] = frames[at]._replace(payload=bytes(payload))
        self.writeFrames(os.path.join(path, segment), frames)
        return name, segment, None, ""

    def segmentRemoved(self):
        name, path, segment = self.segment()
        os.remove(os.path.join(path, segment))
        if name == "short":  # its only one
            return name, segment, None, "ledger has this session", "missing"
        return name, segment, None, "missing"

    def segmentReplaced(self):
        """By one of another session, or of the same."""
        name, path, segment = self.segment()
        other, source, from_ = self.segment()
        if (other, from_) == (name, segment):
            return self.segmentReplaced()
        self.write(os.path.join(path, segment), self.read(os.path.join(source, from_)))
        return name, segment, None, ""

    def segmentsSwapped(self):
        name, path = self.session("plain", "compressed", "encrypted", "sealed", "recovered")
        first, second = sorted(self.words.sample([each for each in os.listdir(path) if each[:-4].isdigit()], 2))
        one, other = self.read(os.path.join(path, first)), self.read(os.path.join(path, second))
        self.write(os.path.join(path, first), other)
        self.write(os.path.join(path, second), one)
        return name, first, None, ""

    def sessionRemoved(self):
        name, path = self.session()
        shutil.rmtree(path)
        return name, None, None, "ledger has this session", "missing"

    def sessionReplaced(self):
        """Another one's files under its name."""
        name, path = self.session()
        other, source = self.session()
        if other == name:
            return self.sessionReplaced()
        shutil.rmtree(path)
        shutil.copytree(source, path)
        return name, None, None, ""

    def resealed(self):
        """Changed, hashed and signed again with another key."""
        name, path, segment = self.segment("plain")
        frames = self.frames(os.path.join(path, segment))
        seal = unpack(frames[-1].payload)
        del seal["signature"]
        frames[-1] = frames[-1]._replace(payload=sign(Ed25519PrivateKey.generate(), "seal", seal))
        self.writeFrames(os.path.join(path, segment), frames)
        return name, segment, len(frames) - 1, "signature does not match"

    def rewritten(self):
        """A whole recording made anew, right in itself, with a key of the thief's."""
        name, path = self.session("plain")
        key = Ed25519PrivateKey.generate()
        before = ""
        for number in range(3):
            found = [frame for frame in self.frames(os.path.join(path, segmentName(number))) if frame.kind not in (SEAL, CHECK)]
            data = START
            for frame in found:
                if frame.kind == HEAD:
                    frame = frame._replace(payload=pack({**unpack(frame.payload), "key": publicHex(key)}))
                if frame.kind == LINK:
                    frame = frame._replace(payload=pack({**unpack(frame.payload), "sha256": before}))
                data += encode(*frame)
            seal = {
                "session": os.path.basename(path), "segment": number, "frames": len(found), "salt": "00" * 16,
                "sha256": sha256(data).hexdigest(),
            }  # fmt: skip
            data += encode(found[-1].at, found[-1].sequence + 5, 0, SEAL, payload=sign(key, "seal", seal))
            before = sha256(data).hexdigest()
            self.write(os.path.join(path, segmentName(number)), data)
        return name, segmentName(0), 0, "another key than the ledger"

    # -- the ledger

    def rolledBack(self):
        """An older state of the ledger, right in itself: what the checkpoint given has seen is not there."""
        self.touched.append("ledger")
        directory = os.path.join(self.data, "ledger")
        count = self.words.randrange(1, 30)
        shutil.rmtree(directory)
        lines = [line for _, line in self.leaves()][:count]
        ledger = Ledger.open(directory, self.world.ledgerKey, "gw")
        ledger.append(lines)
        note = ledger.checkpoint()
        ledger.publish(note + self.world.cosigner.cosign(note.partition(b"\n\n")[0] + b"\n", 1_700_000_000))
        ledger.close()
        return None, None, None, "rolled back"

    def ledgerReplaced(self):
        """The whole ledger again, signed with another key."""
        self.touched.append("ledger")
        directory = os.path.join(self.data, "ledger")
        shutil.rmtree(directory)
        ledger = Ledger.open(directory, Ed25519PrivateKey.generate(), "gw")
        ledger.append([line for _, line in self.leaves()])
        ledger.checkpoint()
        ledger.close()
        return None, None, None, "another ledger"

    def leafForged(self):
        """A leaf changed, or one about another session put in its place, and the tree made anew with the right key."""
        self.touched.append("ledger")
        directory = os.path.join(self.data, "ledger")
        lines = [line for _, line in self.leaves()]
        at = self.words.randrange(len(lines))
        lines[at] = lines[at].replace(b'"at":17000000', b'"at":17000001')
        shutil.rmtree(directory)
        ledger = Ledger.open(directory, self.world.ledgerKey, "gw")
        ledger.append(lines)
        ledger.checkpoint()
        ledger.close()
        return None, None, None, "not those of the checkpoint"

    def ledgerFlipped(self):
        """One bit of a tile, of the entries, or of what the checkpoint says."""
        names = ["checkpoint", "tile/0/000.p/31", "tile/entries/000.p/31"]
        name = self.words.choice(names)
        path = os.path.join(self.data, "ledger", name)
        self.touched.append(os.path.join("ledger", name))
        data = bytearray(self.read(path))
        # Behind the checkpoint's text some bits of base64 mean nothing.
        size = data.index(b"\n\n") if name == "checkpoint" else len(data)
        data[self.words.randrange(size)] ^= 1 << self.words.randrange(8)
        self.write(path, bytes(data))
        return None, None, None, ""

    # -- judging

    def test_found(self):
        self.sound()
        counts = {}
        for number in range(ROUNDS):
            kind = self.words.choice(KINDS)
            name, segment, frame, reason, *state = getattr(self, kind)()
            counts[kind] = counts.get(kind, 0) + 1
            found, register = self.look(self.words.choice(self.readers))
            said = f"round {number}: {kind} {name} {segment} {frame}: {register.problems} {found.get(name)}"
            if name is None:
                self.assertEqual(register.state, "TAMPERED", said)
                self.assertIn(reason, "; ".join(register.problems), said)
                self.assertTrue(all(verdict.state in GOOD | {"unchecked"} for verdict in found.values()), said)
            else:
                verdict = found[name]
                self.assertEqual(verdict.state, *state or ["TAMPERED"], said)
                if segment is not None:
                    self.assertEqual(verdict.problems[0].segment, segment, said)
                if frame is not None:
                    self.assertEqual(verdict.problems[0].frame, frame, said)
                self.assertIn(reason, verdict.problems[0].reason, said)
                self.assertEqual(register.problems, [], said)
                others = [other for other in found if other != name and found[other].state not in GOOD]
                self.assertEqual(others, [], said)
            self.restore()
            if number % SOUND == 0:
                self.sound()
        self.sound()
        self.assertGreaterEqual(len(counts), 10)
        if os.environ.get("HOOPX_LONG"):
            print(counts)

    def test_copied(self):
        """A copy somewhere else says the same, but that nothing lives there."""
        found, register = self.look(self.readers[1], self.kept)
        self.assertEqual((register.state, register.against), ("consistent", "checkpoint"))
        states = {name: verdict.state for name, verdict in found.items()}
        self.assertEqual({states.pop("live"), states.pop("opening")}, {"interrupted"})
        self.assertEqual(states.pop("recovered"), "recovered")
        self.assertEqual(states.pop("erased"), "erased")
        self.assertEqual(set(states.values()), {"complete"})

    def test_rolledBackBlindly(self):
        """Without a checkpoint from elsewhere: the sessions that the ledger has forgotten give it away, unless they went with it."""
        self.rolledBack()
        os.remove(os.path.join(self.data, "ledger", "checkpoint"))
        shutil.rmtree(os.path.join(self.data, "ledger"))
        ledger = Ledger.open(os.path.join(self.data, "ledger"), self.world.ledgerKey, "gw")
        ledger.append([line for _, line in self.leaves()][:5])
        ledger.checkpoint()
        ledger.close()
        registers = []
        found = Evidence(self.data, lambda: verifyLedger(os.path.join(self.data, "ledger"))).run(registers.append)
        wrong = {self.names[verdict.session]: verdict.problems[0].reason for verdict in found if verdict.state == "TAMPERED"}
        self.assertEqual(registers[-1].against, "itself")
        self.assertEqual(wrong["recovered"], "the ledger does not know this session")
