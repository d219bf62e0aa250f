"""What an auditor without witnesses remembers of a ledger."""

from __future__ import annotations

import os
import shutil

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Verifier, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader
from hoopx.recording.register import Register, verifyLedger
from hoopx.recording.remembered import Remembered
from tests.recording.rig import FaultyFiles, Killed
from tests.recording.test_evidence import EvidenceBase


class RememberedTests(EvidenceBase):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(self.data, "ledger")
        self.path = self.mktemp()

    def look(self, key=None):
        memory = Remembered(self.path)
        register = verifyLedger(self.directory, key, remembered=memory)
        memory.keep(register)
        return register

    def remembered(self):
        with open(self.path, "rb") as file:
            return parseCheckpoint(split(file.read())[0]).size

    def refused(self, part):
        with open(self.path, "rb") as file:
            before = file.read()
        register = self.look()
        self.assertEqual((register.state, register.book), ("TAMPERED", None))
        self.assertIn(part, "; ".join(register.problems))
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), before)  # it is found the next time, too

    def again(self, lines, key=None):
        """Another ledger in its place, right in itself."""
        shutil.rmtree(self.directory)
        ledger = Ledger.open(self.directory, key or self.world.ledgerKey, "gw")
        self.addCleanup(ledger.close)
        ledger.append(lines)
        ledger.checkpoint()
        return ledger

    def test_grows(self):
        self.assertEqual((self.look().against, self.remembered()), ("itself", self.world.ledger.size))
        self.assertEqual(self.look().against, "remembered")
        self.world.leaf("audit", audit="00" * 32)
        self.world.sign(witnessed=False)
        self.assertEqual((self.look(Verifier.parse(self.world.vkey)).problems, self.remembered()), ([], self.world.ledger.size))

    def test_rolledBack(self):
        """An older state, whole and right in itself, witnesses' file and all; without this nobody misses what was newer."""
        lines = self.world.ledger.entries(0, 100)
        self.look()
        self.again(lines[:20])
        self.assertEqual(verifyLedger(self.directory).problems, [])
        self.refused("and the ledger 20: it was rolled back")

    def test_forked(self):
        """Rolled back, and grown again beyond what was seen."""
        lines = self.world.ledger.entries(0, 100)
        self.look()
        ledger = self.again(lines[:20])
        ledger.append([line.replace(b'"at":17', b'"at":18') for line in lines[19:]])
        self.assertGreaterEqual(ledger.size, len(lines))
        ledger.checkpoint()
        self.refused("are not those of the checkpoint")

    def test_emptied(self):
        self.look()
        os.remove(os.path.join(self.directory, "checkpoint"))
        self.refused("it was rolled back")
        shutil.rmtree(self.directory)
        self.refused("there is no ledger")

    def test_anotherKey(self):
        """The auditor gives no key; what was remembered is signed by none that the ledger names now."""
        lines = self.world.ledger.entries(0, 100)
        self.look()
        self.again(lines, Ed25519PrivateKey.generate())
        self.refused("is of another ledger")

    def test_folder(self):
        """A file for each ledger; one that is not there any more is missed."""
        os.mkdir(self.path)
        register = self.look()
        memory = Remembered(self.path)
        self.assertEqual((memory.origins(), memory.gone([register.origin])), ([register.origin], []))
        self.assertEqual(memory.gone(["other.00000000"]), [register.origin])
        odd = Register(origin="../a b/\u00e9", note=memory(register.origin))
        self.assertTrue(memory.keep(odd))
        self.assertEqual(memory.origins(), sorted([odd.origin, register.origin]))
        self.assertEqual(os.listdir(os.path.dirname(os.path.abspath(self.path))), [os.path.basename(self.path)])

    def test_notSound(self):
        """What is wrong is not remembered, and nothing is nothing."""
        memory = Remembered(self.path)
        self.assertFalse(memory.keep(Register(state="TAMPERED", note=b"x")))
        self.assertFalse(memory.keep(Register()))
        self.assertEqual(memory.origins(), [])
        with open(self.path, "w") as file:
            file.write("no checkpoint")
        self.assertRaises(ValueError, memory, "gw")

    def test_killed(self):
        """Cut short, the old one is there, or the new one."""
        register = self.look()
        with open(self.path, "rb") as file:
            old = file.read()
        self.world.leaf("audit", audit="00" * 32)
        self.world.sign(witnessed=False)
        register = verifyLedger(self.directory)
        for life in range(20):
            files = FaultyFiles()
            files.life = life
            try:
                Remembered(self.path, files).keep(register)
            except Killed:
                pass
            with open(self.path, "rb") as file:
                self.assertIn(file.read(), (old, register.note))
            if files.life >= 0:
                break
        self.assertGreater(life, 3)
        self.assertEqual(self.remembered(), LedgerReader(self.directory).checkpoint().checkpoint.size)
