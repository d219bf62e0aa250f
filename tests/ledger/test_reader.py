"""Reading a ledger with public keys alone."""

from __future__ import annotations

import os
import shutil

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerDamaged, LedgerError
from hoopx.ledger.keys import signRotation
from hoopx.ledger.leaf import leaf
from hoopx.ledger.note import Checkpoint, Cosigner, NoteError, Signer, makeNote, parseCheckpoint, split
from hoopx.ledger.proof import verify
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.tiles import encodeBundle
from hoopx.ledger.tree import ProofError
from tests.ledger.rig import AT, key, mth, open_, opened, sealed
from tests.ledger.test_log import Base

SESSION = "%026d"


class ReadTests(Base):
    def test_nothing(self):
        reader = LedgerReader(self.directory)
        self.assertRaises(LedgerError, reader.checkpoint)
        self.assertRaises(LedgerError, reader.first)

    def test_entries(self):
        ledger, lines = self.filled(600)
        ledger.checkpoint()
        ledger.append([opened(1000)])
        reader = LedgerReader(self.directory)
        reader.checkpoint()
        self.assertEqual([line for _, line in reader.entries()], lines)
        self.assertEqual(list(reader.entries(250, 260)), list(enumerate(lines))[250:260])
        self.assertEqual(reader.pending(), [opened(1000)])
        self.assertEqual(reader.find(SESSION % 7)[0][0], 7)
        self.assertEqual(reader.find("0"), [])

    def test_whileItGrows(self):
        """A reader that has its checkpoint reads on while partial tiles become full and go."""
        ledger, lines = self.filled(200)
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        signed = reader.checkpoint()
        ledger.append([opened(number) for number in range(200, 900)])
        ledger.checkpoint()
        self.assertEqual(reader.audit(signed), [])
        self.assertEqual([line for _, line in reader.entries()], lines)

    def test_elsewhere(self):
        """From anything that gives bytes for names."""
        ledger, _ = self.filled(300)
        ledger.checkpoint()
        asked = []

        def read(name):
            asked.append(name)
            try:
                with open(os.path.join(self.directory, name), "rb") as file:
                    return file.read()
            except FileNotFoundError:
                return None

        reader = LedgerReader(read)
        self.assertEqual(reader.audit(reader.checkpoint()), [])
        self.assertIn("tile/entries/001.p/44", asked)

    def test_proof(self):
        ledger, lines = self.filled(600)
        ledger.append([sealed(7, 0)])
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        signed = reader.checkpoint()
        for index, _ in reader.find(SESSION % 7):
            proof = reader.proof(index, signed)
            verify(proof, proof.extra, [reader.first()])
        self.assertEqual([index for index, _ in reader.find(SESSION % 7)], [7, 600])
        self.assertRaises(ProofError, reader.proof, 601, signed)


class TrustTests(Base):
    def test_writtenDownElsewhere(self):
        """The ledger's own word for its key is worth nothing against one that was written down."""
        ledger, _ = self.filled(3)
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        reader.checkpoint([reader.first()])
        self.assertRaises(NoteError, reader.checkpoint, [Signer(ledger.origin, key(2)).verifier])

    def test_witnesses(self):
        ledger, _ = self.filled(3)
        text, lines = split(ledger.checkpoint())
        witness = Cosigner("w.example", key(5))
        ledger.publish(makeNote(text, [lines[0][3], witness.cosign(text, 7)]))
        reader = LedgerReader(self.directory)
        self.assertEqual(reader.checkpoint().witnesses, [])
        self.assertEqual([one.timestamp for one in reader.checkpoint([witness.verifier]).witnesses], [7])
        self.assertEqual(reader.checkpoint([Cosigner("w.example", key(6)).verifier]).witnesses, [])
        # a witness alone does not make a checkpoint
        only = makeNote(text, [witness.cosign(text, 7)])
        self.assertRaises(NoteError, reader.verify, only, [witness.verifier])

    def test_rotated(self):
        """From the first key or any later one; a former key's word counts no longer."""
        ledger, _ = self.filled(300)
        first = Signer(ledger.origin, key())
        ledger.rotate(key(2))
        second = Signer(ledger.origin, key(2))
        ledger.append([opened(500)])
        ledger.rotate(key(3))
        ledger.append([opened(501)])
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        for signer in (first, second, Signer(ledger.origin, key(3))):
            self.assertEqual(reader.checkpoint([signer.verifier]).checkpoint.size, 304)
        self.assertEqual([since for since, _ in reader.chain(first.verifier)], [0, 301, 303])
        text = Checkpoint(ledger.origin, 304, bytes(32)).text()
        for former in (first, second):
            self.assertRaises(NoteError, reader.verify, makeNote(text, [former.sign(text)]), [first.verifier])
        # of the time when it was the key's to sign
        old = Checkpoint(ledger.origin, 300, ledger.root(300))
        reader.checkpoint()
        reader.compare(reader.verify(makeNote(old.text(), [first.sign(old.text())]), [first.verifier]).checkpoint)

    def test_rotationByAThief(self):
        """A leaf that says so without the old key's signature changes nothing."""
        ledger, _ = self.filled(3)
        thief = Signer(ledger.origin, key(9))
        ledger._places.add([leaf("key-rotated", AT, key=thief.vkey, signature=signRotation(key(9), thief.vkey))], {})
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        self.assertEqual(len(reader.chain(reader.first())), 1)
        reader.checkpoint()


class CompareTests(Base):
    def test_older(self):
        ledger, lines = self.filled(600)
        ledger.checkpoint()
        reader = LedgerReader(self.directory)
        reader.checkpoint()
        for size in (0, 1, 255, 256, 300, 600):
            root = mth([bytes.fromhex(one) for one in _hashes(lines[:size])])
            reader.compare(Checkpoint(ledger.origin, size, root))
            self.assertRaises(ProofError, reader.compare, Checkpoint(ledger.origin, size, bytes(32)))
        self.assertRaises(ProofError, reader.compare, Checkpoint(ledger.origin, 601, bytes(32)))
        self.assertRaises(ProofError, reader.compare, Checkpoint("gw2.00000000", 600, ledger.root(600)))


class AuditTests(SynchronousTestCase):
    def setUp(self):
        self.directory = os.path.join(self.mktemp(), "ledger")
        ledger = open_(self.directory)
        self.lines = [opened(number) for number in range(600)]
        ledger.append(self.lines)
        ledger.checkpoint()
        ledger.close()

    def audit(self):
        reader = LedgerReader(self.directory)
        seen = []
        problems = reader.audit(reader.checkpoint(), lambda index, line: seen.append(line))
        return problems, seen

    def test_sound(self):
        self.assertEqual(self.audit(), ([], self.lines))

    def test_missing(self):
        for name in ("tile/entries/001", "tile/entries/002.p/88", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"):
            path = os.path.join(self.directory, name)
            os.rename(path, path + ".away")
            problems, _ = self.audit()
            self.assertEqual([(where, what) for where, what in problems], [(name, "missing")])
            os.rename(path + ".away", path)

    def test_leafReplaced(self):
        """Named by bundle, by tile, and by the root that was signed."""
        lines = self.lines[256:512]
        lines[10] = opened(9999)
        with open(os.path.join(self.directory, "tile/entries/001"), "wb") as file:
            file.write(encodeBundle(lines))
        problems, _ = self.audit()
        self.assertEqual({where for where, _ in problems}, {"tile/0/001", "tile/1/000.p/2", "checkpoint"})
        self.assertIn("from leaf 266", str(problems))

    def test_everythingRewritten(self):
        """Even when all tiles fit each other: the checkpoint that is out does not fit them."""
        forged = os.path.join(self.mktemp(), "ledger")
        ledger = open_(forged)
        ledger.append([opened(number) for number in range(1, 601)])
        ledger.checkpoint()
        ledger.close()
        shutil.copy(os.path.join(self.directory, "checkpoint"), forged)
        reader = LedgerReader(forged)
        problems = reader.audit(reader.checkpoint())
        self.assertEqual([where for where, _ in problems], ["checkpoint"])
        self.assertRaises(ProofError, reader.compare, parseCheckpoint(split(reader.checkpoint().note)[0]))

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_anyBit(self, data):
        """A bit changed anywhere in tiles, bundles or checkpoint is found."""
        if not hasattr(self, "names"):
            self.names = sorted(
                os.path.join(folder, name)
                for folder, _, files in os.walk(self.directory)
                for name in files
                if name == "checkpoint" or "tile" in folder
            )
        path = data.draw(st.sampled_from(self.names))
        with open(path, "rb") as file:
            whole = file.read()
        at = data.draw(st.integers(0, len(whole) - 1))
        changed = bytearray(whole)
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
        try:
            with open(path, "wb") as file:
                file.write(changed)
            try:
                problems, _ = self.audit()
            except (LedgerError, NoteError):
                problems = ["refused"]
            self.assertTrue(problems, (path, at))
        finally:
            with open(path, "wb") as file:
                file.write(whole)

    def test_cutBundle(self):
        with open(os.path.join(self.directory, "tile/entries/001"), "r+b") as file:
            file.truncate(1000)
        problems, seen = self.audit()
        self.assertEqual((problems[0].where, len(seen)), ("tile/entries/001", 256))

    def test_originGone(self):
        with open(os.path.join(self.directory, "origin"), "wb") as file:
            file.write(b"nonsense")
        self.assertRaises(LedgerDamaged, LedgerReader(self.directory).checkpoint)


def _hashes(lines):
    from hoopx.ledger.tree import leafHash

    return [leafHash(line).hex() for line in lines]
