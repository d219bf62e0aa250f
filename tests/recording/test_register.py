"""A ledger against what was signed, witnessed and kept elsewhere."""

from __future__ import annotations

import errno
import os
import shutil

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.ledger import reader
from hoopx.ledger.disk import CHECKPOINT, WITNESSED
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Cosigner, NoteError, Verifier, split
from hoopx.ledger.reader import MAX_PROBLEMS, LedgerReader
from hoopx.ledger.tail import Tail
from hoopx.recording.register import isLedger, verifyLedger
from tests.recording.test_evidence import EvidenceBase
from tests.recording.world import publicHex


class RegisterTests(EvidenceBase):
    def setUp(self):
        super().setUp()
        self.directory = os.path.join(self.data, "ledger")
        self.key = Verifier.parse(self.world.vkey)
        self.witness = Verifier.parse(self.world.witness)

    def verify(self, key=True, checkpoint=None, witnesses=None):
        return verifyLedger(self.directory, self.key if key is True else key, checkpoint, witnesses or [])

    def assertProblem(self, register, part):
        self.assertEqual((register.state, register.book), ("TAMPERED", None))
        self.assertIn(part, "; ".join(register.problems))

    def test_sound(self):
        """With every checkpoint that there ever was."""
        for note in self.world.checkpoints:
            register = self.verify(checkpoint=note, witnesses=[self.witness])
            self.assertEqual((register.state, register.against, register.problems), ("consistent", "checkpoint", []))
            self.assertEqual(register.witnesses, {"witness.example": (register.size, int(self.world.now))})
        self.assertEqual(self.verify(key=None).against, "itself")

    def test_rotated(self):
        """The first key, written down long ago, leads to the one that signs now; the checkpoints of both hold."""
        fresh = Ed25519PrivateKey.generate()
        self.world.ledger.rotate(fresh)
        self.world.leaf("audit", audit="00" * 32)
        self.world.sign()
        for note in (self.world.checkpoints[0], self.world.checkpoints[-1]):
            register = self.verify(checkpoint=note)
            self.assertEqual(register.problems, [])
        self.assertEqual({key.hex() for key in register.keys}, {publicHex(self.world.ledgerKey), publicHex(fresh)})
        found = self.look(inquire=self.verify)
        self.assertWrong(found)  # what the old key has recovered, too

    def test_lastKeyOnly(self):
        """Who was told the newest key alone is led back: to what the old one has recovered, and to checkpoints that it has signed."""
        for number in range(2):
            self.world.ledger.rotate(Ed25519PrivateKey.generate())
            self.world.leaf("audit", audit=f"{number:064x}")
        self.world.sign(witnessed=False)
        self.key = Verifier.parse(self.world.ledger.vkey)
        for note in (None, self.world.checkpoints[0], self.world.checkpoints[-1]):
            register = self.verify(checkpoint=note, witnesses=[self.witness])
            self.assertEqual(register.problems, [])
        self.assertEqual(len(register.keys), 3)
        self.assertWrong(self.look(inquire=self.verify))

    def test_forked(self):
        """Another ledger by the same key: it has its leaves, and the witness has signed other ones."""
        lines = self.world.ledger.entries(0, 100)
        shutil.rmtree(self.directory)
        ledger = Ledger.open(self.directory, self.world.ledgerKey, "gw")
        ledger.append(lines[:-2] + lines[-1:])
        ledger.checkpoint()
        ledger.close()
        register = self.verify(checkpoint=self.world.checkpoints[-1])
        self.assertProblem(register, "rolled back")
        register = self.verify(witnesses=[self.witness])
        self.assertProblem(register, "the witness witness.example has signed none")

    def test_ownWitnessed(self):
        """Rolled back but for the witnessed checkpoint, which was forgotten there."""
        keep = self.world.checkpoints[-1]
        lines = self.world.ledger.entries(0, 100)
        shutil.rmtree(self.directory)
        ledger = Ledger.open(self.directory, self.world.ledgerKey, "gw")
        ledger.append(lines[:-5])
        ledger.checkpoint()
        ledger.close()
        with open(os.path.join(self.directory, "witnessed"), "wb") as file:
            file.write(keep)
        self.assertProblem(self.verify(), "the file witnessed: the checkpoint has 31 leaves and the ledger 26: it was rolled back")

    def test_grows(self):
        """A newer checkpoint is witnessed when one of before has been read: that is no ledger that was rolled back."""
        before = LedgerReader(self.directory).checkpoint([self.key]).note
        self.world.leaf("audit", audit="00" * 32)
        read = []

        def file(name):
            if name == CHECKPOINT:
                read.append(name)
                return before
            if name == WITNESSED and not read:
                return before
            return reader.directory(self.directory)(name)

        self.world.sign()
        register = verifyLedger(file, self.key, None, [self.witness])
        self.assertEqual((register.state, register.problems), ("consistent", []))
        self.assertLess(register.size, self.world.ledger.size)

    def test_given(self):
        """Checkpoints that are none of this ledger's."""
        text = split(self.world.checkpoints[0])[0]
        for note, part in (
            (b"nonsense", "can not be read"),
            (self.world.checkpoints[0].replace(b"gw.", b"gx."), "of another ledger"),
            (text + b"\n" + self.world.cosigner.cosign(text, 1), "not signed by this ledger's key"),
            (text.replace(b"\n", b"\n", 1) + b"\n" + Cosigner("x", Ed25519PrivateKey.generate()).sign(text), "not signed"),
        ):
            self.assertProblem(self.verify(checkpoint=note), part)

    def test_otherKey(self):
        other = Verifier(self.key.name, self.key.kind, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
        self.assertProblem(self.verify(key=other), "not signed by the key given")
        other = Verifier("elsewhere", self.key.kind, self.key.public)
        self.assertProblem(self.verify(key=other), "it is another ledger")

    def test_begins(self):
        """Leaves, and no checkpoint yet; nothing at all; only a checkpoint."""
        directory = self.directory
        self.directory = os.path.join(self.folder, "new")
        self.assertFalse(isLedger(self.directory))
        self.assertProblem(self.verify(key=None), "there is no ledger")
        ledger = Ledger.open(self.directory, self.world.ledgerKey, "gw")
        ledger.append(self.world.ledger.entries(0, 3))
        ledger.close()
        self.assertTrue(isLedger(self.directory))
        register = self.verify(key=None)
        self.assertEqual((register.state, register.size, register.pending), ("consistent", 0, 3))
        self.assertProblem(self.verify(), "nothing in it is signed by the key given")
        self.assertProblem(self.verify(checkpoint=self.world.checkpoints[0]), "rolled back")
        self.assertProblem(self.verify(witnesses=[self.witness]), "has signed none")
        shutil.rmtree(os.path.join(directory, "tile"))
        self.directory = directory
        self.assertProblem(self.verify(), "missing")

    def test_nothingSigned(self):
        """No checkpoint, and leaves that anybody could have written: the key given has signed none of that."""
        os.remove(os.path.join(self.directory, "checkpoint"))
        self.assertProblem(self.verify(), "it has no checkpoint: nothing in it is signed by the key given")
        self.assertProblem(self.verify(key=None), "one was witnessed")
        shutil.rmtree(self.directory)
        self.assertProblem(self.verify(), "nothing in it is signed by the key given")

    def test_unsignedLeaves(self):
        """What stands behind the checkpoint may be anything: nobody has signed it."""
        for line in (b"x", b"{}", b'{"at":1.0,"session":[],"type":"opened","v":1}', b'{"at":1.0,"session":"x","type":"sealed","v":1}'):
            tail = Tail.prepare(self.directory, self.world.files, 0, [*self.world.ledger.entries(0, 100), line])
            tail.commit(self.directory)
            tail.close()
            self.assertProblem(self.verify(), "tail: ")

    def test_immense(self):
        """A checkpoint that nobody has signed says a size: we do not look for so many leaves."""
        path = os.path.join(self.directory, "checkpoint")
        with open(path, "rb") as file:
            note = file.read()
        with open(path, "wb") as file:
            file.write(note.replace(b"\n%d\n" % self.world.ledger.size, b"\n%d\n" % (10**18 - 1)))
        looked = []

        def read(name):
            looked.append(name)
            if len(looked) > 10 * MAX_PROBLEMS:
                raise AssertionError("it would look for ever")
            return LedgerReader(self.directory)._read(name)

        self.assertRaises(NoteError, LedgerReader(read).checkpoint, [self.key])

    def test_noFiles(self):
        """In a folder from elsewhere may be anything: opening it must not wait, and what is no file is no ledger's."""
        bundle = os.path.join("tile", "entries", "000.p", "31")
        for name in ("checkpoint", "witnessed", "origin", "tail", bundle, os.path.join("tile", "0", "000.p", "31")):
            path = os.path.join(self.directory, name)
            os.rename(path, path + ".kept")
            for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)):
                make(path)
                self.assertProblem(self.verify(), f"{name}: ")
                os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
            os.rename(path + ".kept", path)
        self.assertEqual(self.verify().problems, [])

    def test_mayNotBeRead(self):
        """That is nobody's tampering."""
        def refuse(path, follow):
            raise PermissionError(errno.EACCES, "Permission denied", path)

        self.patch(reader, "openRegular", refuse)
        self.assertRaises(PermissionError, self.verify)

    def test_tooMuch(self):
        """A partial tile or bundle has as many as its name says: what stands behind them nobody has signed."""
        for name, more in (("0", b"\0" * 32), ("entries", b"\0\x02{}")):
            path = os.path.join(self.directory, "tile", name, "000.p", "31")
            with open(path, "rb") as file:
                kept = file.read()
            with open(path, "wb") as file:
                file.write(kept + more)
            self.assertProblem(self.verify(), f"tile/{name}/000.p/31: ")
            with open(path, "wb") as file:
                file.write(kept)

    def test_namesakes(self):
        """Two witnesses of one name: what one has signed the other has not."""
        other = Verifier.parse(Cosigner(self.witness.name, Ed25519PrivateKey.generate()).vkey)
        self.assertProblem(self.verify(witnesses=[self.witness, other]), "has signed none")

    def test_witness(self):
        """Each one that is asked for must have signed; and its key be a witness's."""
        other = Verifier.parse(Cosigner("other.example", Ed25519PrivateKey.generate()).vkey)
        register = self.verify(witnesses=[self.witness, other])
        self.assertProblem(register, "the witness other.example has signed none")
        self.assertRaises(ValueError, self.verify, witnesses=[self.key])

    def test_line(self):
        line = self.verify(witnesses=[self.witness]).line()
        self.assertEqual((line["session"], line["state"], line["problem"]), (None, "consistent", None))
