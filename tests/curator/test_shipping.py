"""The ledger in the store: what is there verifies with nothing else, and nothing is written twice over."""

import os
import shutil
import tempfile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.parts import Parts
from hoopx.curator.scribe import Scribe
from hoopx.curator.shipping import AWAY, BEHIND, EVERY, Shipping, _width
from hoopx.curator.tail import Ends
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.recording.register import verifyLedger
from hoopx.storage.errors import StorageUnavailable
from hoopx.storage.folder import FolderBackend
from hoopx.storage.reading import Here, StoredLedger, StoredObjects, ledgers
from tests.curator.rig import WALL, Now, book


class Away:
    """A backend that is away when a test says so, and counts."""

    def __init__(self, root):
        self.inner = FolderBackend(root, Here(), wall=lambda: WALL)
        self.failure = None
        self.puts = []

    def put(self, name, path, retain):
        if self.failure is not None:
            raise self.failure
        self.puts.append(name)
        return self.inner.put(name, path, retain)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class ShippingTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.data = self.mktemp()
        os.mkdir(self.data)
        self.key = Ed25519PrivateKey.generate()
        self.ledger = Ledger.open(os.path.join(self.data, "ledger"), self.key, "gw", wall=lambda: WALL)
        self.addCleanup(self.ledger.close)
        self.book = book()
        self.addCleanup(self.book.close)
        self.root = os.path.abspath(tempfile.mkdtemp(dir=self.data))
        self.backend = Away(self.root)
        self.alarms = []
        self.shipping = self.made()
        self.count = 0

    def made(self):
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        scribe = Scribe(self.ledger, Now(), lambda: self.ledger)
        shipping = Shipping(
            scribe, self.book, self.backend, "gw", lambda: 1000.0, parts, self.clock, lambda: WALL,
            lambda alarm, text: self.alarms.append(alarm),
        )  # fmt: skip
        self.addCleanup(shipping.stop)
        shipping.start()
        return shipping

    def grow(self, count):
        while count:
            batch = min(count, 200)
            self.ledger.append([leaf("audit", WALL, audit=f"{self.count + at:064x}") for at in range(batch)])
            self.count += batch
            count -= batch
        self.shipping.published(self.ledger.size, self.ledger.checkpoint())

    def verified(self):
        objects = StoredObjects(self.backend.inner)
        names = objects.names()
        self.assertEqual(ledgers(names), ["gw"])
        return verifyLedger(StoredLedger(objects, names, "gw"))

    def test_grows(self):
        """Of every size: each checkpoint that is stored verifies by what is there, and full tiles are stored once."""
        total = 0
        for count in (1, 3, 251, 1, 1, 255, 256, 700, 5000):
            self.grow(count)
            self.clock.advance(EVERY)
            total += count
            found = self.verified()
            self.assertEqual((found.state, found.problems, found.size), ("consistent", [], total))
        full = [name for name in self.backend.puts if ".p/" not in name and not name.endswith("origin")]
        self.assertEqual(len(full), len(set(full)))
        before = len(self.backend.puts)
        self.clock.pump([EVERY] * 3)
        self.assertEqual((len(self.backend.puts), self.alarms), (before, []))

    def of(self, data):
        """Another gateway's ledger, of the same key and name."""
        self.ledger, self.data = Ledger.open(os.path.join(data, "ledger"), self.key, "gw", wall=lambda: WALL), data
        self.addCleanup(self.ledger.close)
        self.shipping = self.made()

    def test_twin(self):
        """A copy of the data directory is at work: its leaves are not ours. Told once; what is ours still goes there."""
        copy = tempfile.mkdtemp(dir=self.data)
        self.grow(3)
        shutil.copytree(os.path.join(self.data, "ledger"), os.path.join(copy, "ledger"))
        self.clock.advance(EVERY)
        self.grow(2)
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, [])
        self.of(copy)
        self.count = 1000
        for _ in range(2):
            self.grow(3)
            self.clock.advance(EVERY)
        self.assertEqual(self.alarms, ["ledger-store"])
        self.assertIn("gw/ledger/checkpoint/000000000009", self.backend.puts)
        found = self.verified()
        self.assertEqual(found.state, "TAMPERED")
        self.assertEqual([what[:44] for what in found.problems], ["gw/ledger/checkpoint/000000000005 is signed "])

    def test_olderLedger(self):
        """The data directory was restored from a backup: the store has leaves that are not here. Who goes on where he was has them all."""
        for count in (3, 4):
            self.grow(count)
            self.clock.advance(EVERY)
        self.shipping = self.made()
        self.grow(1)
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, [])
        self.of(tempfile.mkdtemp(dir=self.data))
        self.count = 0
        self.grow(2)
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, ["ledger-store"])

    def test_foreign(self):
        """What somebody has put there, or that nobody may look, keeps the ledger from nothing."""
        for name in ("\u0662", "0", "256", "9" * 5000, "x/1", ""):
            self.assertEqual(_width(name), 0)
        self.assertEqual((_width("1"), _width("255")), (1, 255))
        self.patch(self.backend, "list", lambda prefix: fail(StorageUnavailable("no")))
        self.grow(3)
        self.clock.advance(EVERY)
        self.assertEqual((self.alarms, self.verified().size), ([], 3))
        for at, data in enumerate((b"", b"\0" * 100, Ledger.open(self.mktemp(), Ed25519PrivateKey.generate(), "gw").checkpoint()), 1):
            path = os.path.join(self.root, "gw", "ledger", "checkpoint", f"{at:012d}")
            with open(path, "wb") as file:
                file.write(data)
        self.grow(1)
        self.clock.advance(EVERY)
        self.assertEqual((self.verified().problems, self.verified().size), ([], 4))

    def test_tampered(self):
        """Each object is needed: changed or gone, it is named, or the store has no ledger."""
        self.grow(600)
        self.clock.advance(EVERY)
        for folder, _, files in os.walk(os.path.join(self.root, "gw")):
            for name in files:
                path = os.path.join(folder, name)
                if name.endswith(".meta"):
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                for changed in (data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], None):
                    os.chmod(path, 0o600)
                    os.unlink(path)
                    if changed is not None:
                        with open(path, "wb") as file:
                            file.write(changed)
                    found = self.verified()
                    self.assertEqual((found.state, found.book, bool(found.problems)), ("TAMPERED", None, True), path)
                    with open(path, "wb") as file:
                        file.write(data)
        self.assertEqual(self.verified().state, "consistent")

    def test_again(self):
        """A new curator goes on; one that does not know how far it was writes the same once more."""
        self.grow(300)
        self.clock.advance(EVERY)
        self.shipping.stop()
        self.book.setFact("shipped", 0)
        self.shipping = self.made()
        self.grow(0)
        self.clock.advance(EVERY)
        self.assertEqual((self.verified().size, self.alarms), (300, []))
        self.shipping.stop()
        self.shipping = self.made()
        note = self.ledger.checkpoint()
        self.shipping.published(300, note + b"\xe2\x80\x94 witness c2lnbmF0dXJl\n")
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, [])

    def test_another(self):
        """Another ledger under the same name is not mixed with the first, and a person is told."""
        self.grow(10)
        self.clock.advance(EVERY)
        self.shipping.stop()
        self.ledger.close()
        self.data = self.mktemp()
        os.mkdir(self.data)
        self.ledger = Ledger.open(os.path.join(self.data, "ledger"), Ed25519PrivateKey.generate(), "gw", wall=lambda: WALL)
        self.addCleanup(self.ledger.close)
        self.shipping = self.made()
        self.grow(5)
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, ["ledger-store"])
        self.assertEqual(self.verified().size, 10)

    def test_waits(self):
        """For the segments that it speaks of, but not for ever."""
        self.book.began("S", "/nowhere", {}, 0, Ends("ab"), WALL)
        self.book.logged("S", 0, "cd", 10, 3, None, None)
        self.grow(10)
        self.clock.pump([EVERY] * 3)
        self.assertEqual(self.backend.puts, [])
        self.clock.pump([EVERY] * int(BEHIND / EVERY))
        self.assertEqual(self.verified().size, 10)

    def test_away(self):
        self.backend.failure = StorageUnavailable("503")
        self.grow(10)
        self.clock.pump([EVERY] * int(AWAY / EVERY))
        self.assertEqual(self.alarms, [])
        self.clock.pump([EVERY] * 5)
        self.assertEqual(self.alarms, ["ledger-store"])
        self.backend.failure = None
        self.clock.advance(EVERY)
        self.assertEqual(self.verified().size, 10)

    def test_end(self):
        """What was published last is stored before it ends."""
        self.grow(10)
        self.successResultOf(self.shipping.stop())
        self.assertEqual(self.verified().size, 10)
        self.assertNotIn("ledger.ship", os.listdir(self.data))
