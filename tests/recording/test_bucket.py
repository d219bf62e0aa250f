"""A store with the ledgers of several gateways: each is told for itself, and what is given speaks of the one that it means."""

from __future__ import annotations

import os
import tempfile

from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.parts import Parts
from hoopx.curator.scribe import Scribe
from hoopx.curator.shipping import EVERY, Shipping
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Verifier
from hoopx.recording.bucket import inStore
from hoopx.recording.remembered import Remembered
from hoopx.recording.stored import openSegment
from hoopx.storage.folder import FolderBackend
from hoopx.storage.memory import MemoryBackend
from hoopx.storage.reading import Here, StoredObjects
from tests.curator.rig import WALL, Now, book


class BucketTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.root = os.path.abspath(tempfile.mkdtemp(dir=os.getcwd()))
        self.backend = FolderBackend(self.root, Here(), wall=lambda: WALL)
        self.alarms = []
        self.notes = {}

    def gateway(self, name, count):
        """@return: the key of its ledger, of which so many leaves are in the store."""
        folder = self.mktemp()
        os.mkdir(folder)
        ledger = Ledger.open(os.path.join(folder, "ledger"), Ed25519PrivateKey.generate(), name, wall=lambda: WALL)
        self.addCleanup(ledger.close)
        notes = book()
        self.addCleanup(notes.close)
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        shipping = Shipping(
            Scribe(ledger, Now(), lambda: ledger), notes, self.backend, name, lambda: 1000.0, parts, self.clock, lambda: WALL,
            lambda alarm, text: self.alarms.append(alarm),
        )  # fmt: skip
        shipping.start()
        ledger.append([leaf("audit", WALL, audit=f"{at:064x}") for at in range(count)])
        self.notes[name] = ledger.checkpoint()
        shipping.published(ledger.size, self.notes[name])
        self.clock.advance(EVERY)
        self.successResultOf(shipping.stop())
        with open(os.path.join(folder, "ledger", "origin")) as file:
            return Verifier.parse(file.read().strip())

    def found(self, key=None, note=None, witnesses=(), gateway=None, inquire=None):
        """@return: name of each ledger (without its key's hash) -> (state, against what, leaves)."""
        registers, sessions = {}, []
        for evidence in inStore(StoredObjects(self.backend), openSegment, key, note, witnesses, gateway, inquire):

            def began(register):
                if register is not None:
                    registers[register.origin.partition(".")[0]] = (register.state, register.against, register.size)

            sessions += [verdict.session for verdict in evidence.run(began)]
        self.assertEqual(sessions, [])
        return registers

    def test_each(self):
        one, two = self.gateway("gw1", 5), self.gateway("gw2", 300)
        whole = {"gw1": ("consistent", "itself", 5), "gw2": ("consistent", "itself", 300)}
        self.assertEqual(self.found(), whole)
        for key in (one, two):
            self.assertEqual(self.found(key), whole)
        self.assertEqual(self.found(gateway="gw2"), {"gw2": whole["gw2"]})
        self.assertEqual(self.found(gateway="gw"), {})
        for name in whole:
            self.assertEqual(self.found(note=self.notes[name]), {**whole, name: ("consistent", "checkpoint", whole[name][2])})
        both = self.found(one, self.notes["gw2"])
        self.assertEqual((both["gw1"], both["gw2"]), (whole["gw1"], ("consistent", "checkpoint", 300)))

    def test_remembered(self):
        """Each ledger against what was seen of it the last time; one that is gone from the store is missed."""
        self.gateway("gw1", 5)
        self.gateway("gw2", 300)
        folder = self.mktemp()
        os.mkdir(folder)
        memory = Remembered(folder)

        def look():
            found = {}
            for evidence in inStore(StoredObjects(self.backend), openSegment, remembered=memory):
                list(evidence.run(lambda register: register and found.update({register.origin: register})))
            for register in found.values():
                memory.keep(register)
            return {name.partition(".")[0]: register.against for name, register in found.items()}, memory.gone(found)

        self.assertEqual(look(), ({"gw1": "itself", "gw2": "itself"}, []))
        self.assertEqual(look(), ({"gw1": "remembered", "gw2": "remembered"}, []))
        os.rename(os.path.join(self.root, "gw2"), self.mktemp())
        found, gone = look()
        self.assertEqual((found, [name.partition(".")[0] for name in gone]), ({"gw1": "remembered"}, ["gw2"]))

    def test_absent(self):
        """A ledger of which somebody has a key or a checkpoint, and which is not there: whether there are others, or none."""
        one, _ = self.gateway("gw1", 5), self.gateway("gw2", 7)
        stranger = self.elsewhere()
        found = self.found(stranger)
        self.assertEqual((found["gw9"][0], found["gw1"][0], found["gw2"][0]), ("TAMPERED", "consistent", "consistent"))
        self.assertEqual(self.found(note=self.notes["gw9"])["gw9"][0], "TAMPERED")
        self.assertEqual(self.found(stranger, gateway="gw1")["gw9"][0], "TAMPERED")
        for folder in ("gw1", "gw2"):
            os.rename(os.path.join(self.root, folder), os.path.join(self.mktemp()))
        self.assertEqual(self.found(stranger)["gw9"][0], "TAMPERED")
        self.assertEqual(self.found(witnesses=[one])[""][0], "TAMPERED")
        self.assertEqual(self.found(), {})

    def elsewhere(self):
        """@return: the key of a ledger that is in another store."""
        backend, self.backend = self.backend, FolderBackend(tempfile.mkdtemp(dir=os.getcwd()), Here(), wall=lambda: WALL)
        try:
            return self.gateway("gw9", 3)
        finally:
            self.backend = backend

    def test_foreign(self):
        """What others put beside it, whatever they call it, keeps nobody from verifying."""
        self.gateway("one", 2)
        before = self.found()
        for name in (" x/ledger/y", "one/ledger/we ird\n", "\u202e/ledger/checkpoint", ".DS_Store", "one/.nfs0001", "-/ledger/y"):
            path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(b"x")
        os.symlink("nowhere", os.path.join(self.root, "link"))
        self.assertEqual(self.found(), before)
        memory = MemoryBackend()  # tells of all that is there, as S3 does
        for name in ("one/ledger/x", " x/ledger/y", "-/ledger/y"):
            memory.hide(name)
            memory._names[name][-1].receipt = evolve(memory._names[name][-1].receipt, deleted=False)
        self.assertEqual(StoredObjects(memory).names(), ["one/ledger/x"])

    def test_sameName(self):
        """Two gateways of one name: the first has it, the second's ledger is not mixed with it, and a person is told."""
        one = self.gateway("gw1", 5)
        other = self.gateway("gw1", 600)
        self.assertNotEqual(one.name, other.name)
        self.assertEqual((self.found(), self.alarms), ({"gw1": ("consistent", "itself", 5)}, ["ledger-store"]))
