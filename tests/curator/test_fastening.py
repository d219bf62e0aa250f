"""The ledger in the store stays locked as long as a session needs it: bounded calls, whatever is there, and nothing is ever shortened."""

import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator.fastening import AWAY, BATCH, EVERY, LEAD, Fastening
from hoopx.curator.parts import Parts
from hoopx.curator.scribe import Scribe
from hoopx.curator.shipping import Shipping
from hoopx.curator.tail import Ends
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.storage.errors import StorageRefused, StorageUnavailable
from hoopx.storage.memory import MemoryBackend
from hoopx.values import Receipt
from tests.curator.rig import WALL, Now, book

DAY = 86400.0


class FasteningCase(SynchronousTestCase):
    """A ledger, and a store that keeps it."""

    def setUp(self):
        self.clock = Clock()
        self.now = WALL
        self.keep = 400 * DAY
        self.held = False
        self.book = book()
        self.addCleanup(self.book.close)
        self.backend = self.begin()
        self.alarms = []
        folder = self.mktemp()
        os.mkdir(folder)
        self.ledger = Ledger.open(os.path.join(folder, "ledger"), Ed25519PrivateKey.generate(), "gw", wall=lambda: self.now)
        self.addCleanup(self.ledger.close)
        self.put()

    def put(self, lead=LEAD):
        tell = lambda alarm, text: self.alarms.append(alarm)
        self.fastening = Fastening(
            self.book, self.backend, "gw", lambda: self.keep, lambda: self.held, Now(), self.clock, lambda: self.now, tell
        )
        parts = Parts(Now(), Now(), Now(), lambda function, *arguments: function(*arguments))
        self.shipping = Shipping(
            Scribe(self.ledger, Now(), lambda: self.ledger), self.book, self.backend, "gw", lambda: self.keep + lead, parts,
            self.clock, lambda: self.now, tell, self.fastening.shipped,
        )  # fmt: skip
        self.fastening.start()
        self.shipping.start()

    def grow(self, count):
        size = self.ledger.size
        while count:
            batch = min(count, 500)
            self.ledger.append([leaf("audit", self.now, audit=f"{size + at:064x}") for at in range(batch)])
            size, count = size + batch, count - batch
        self.shipping.published(self.ledger.size, self.ledger.checkpoint())
        self.clock.advance(EVERY)

    def session(self, name="S", ended=True):
        self.book.began(name, "/nowhere", {"target": "orders"}, 0, Ends("ab"), self.now)
        self.book.logged(name, 0, "cd", 10, 1, 2 if ended else None, self.now if ended else None)
        self.book.stored(name, 0, Receipt(f"gw/{name}/0", "v", "cd", None))

    def pass_(self, seconds, looks=5):
        self.now += seconds
        self.clock.pump([EVERY] * looks)


class FasteningTests(FasteningCase):
    def begin(self):
        self.asked = []
        backend = MemoryBackend(wall=lambda: self.now)
        retain = backend.retain
        backend.retain = lambda receipt, until: self.asked.append(receipt.name) or retain(receipt, until)
        return backend

    def needed(self):
        """What the newest checkpoint rests on: name -> until when it is locked."""
        size = self.ledger.size
        found = {}
        for name in self.fastening._names(size):
            (receipt,) = [each for each in self.successResultOf(self.backend.list(name)) if each.name == name]
            found[name] = receipt.retainUntil
        return found

    def locked(self, until):
        short = {name: (at - until) / DAY for name, at in self.needed().items() if at < until}
        self.assertEqual(short, {})

    def test_extended(self):
        """Years of sessions: at each moment all that the youngest session needs is locked for as long as it is kept."""
        for month in range(30):
            self.session(f"S{month}")
            self.grow(150)
            self.pass_(31 * DAY, looks=2)
            self.locked(self.now - 31 * DAY + self.keep)
        self.assertGreater(len([name for name in self.needed() if ".p/" not in name]), 30)
        self.assertEqual(self.alarms, [])

    def test_notNeeded(self):
        """When there is no session any more that needs it, or none has come since, nothing is asked for."""
        self.grow(600)
        self.pass_(1000 * DAY)
        self.assertEqual(self.asked, [])
        self.session()
        self.pass_(0)
        count = len(self.asked)
        self.assertEqual(count, len(self.needed()))
        self.locked(self.now + self.keep)
        self.pass_(300 * DAY)
        self.assertEqual(len(self.asked), count)
        self.book.erased("S")
        self.pass_(500 * DAY)
        self.assertEqual(len(self.asked), count)

    def test_goingAndHeld(self):
        """A session that lives, and one that is held, need it as long as that lasts."""
        self.session(ended=False)
        self.grow(300)
        for _ in range(20):
            self.pass_(29 * DAY)
            self.locked(self.now + self.keep)
        self.book.logged("S", 0, "cd", 10, 1, 2, self.now)
        self.pass_(LEAD)
        count = len(self.asked)
        self.pass_(LEAD * 3)
        self.assertEqual(len(self.asked), count)
        self.held = True
        self.pass_(LEAD)
        self.locked(self.now + self.keep)

    def test_longerRule(self):
        """Another rule keeps everything longer: so the ledger."""
        self.session()
        self.grow(300)
        self.pass_(0)
        self.keep = 4000 * DAY
        self.pass_(0)
        self.locked(self.now + self.keep)

    def test_bounded(self):
        """So many at a time, also over a new start; once through, and then not for as long as the lead lasts."""
        self.grow(256 * 120)
        self.session()
        self.now += 2 * LEAD
        whole = len(self.needed())
        self.assertGreater(whole, 2 * BATCH)
        self.clock.advance(EVERY)
        self.assertEqual(len(self.asked), BATCH)
        self.fastening.stop()
        self.shipping.stop()
        self.put()
        self.shipping.published(self.ledger.size, self.ledger.checkpoint())
        self.clock.pump([EVERY] * 10)
        self.assertEqual(len(self.asked), whole)
        self.assertEqual(len(set(self.asked)), whole)
        self.locked(self.now + self.keep)
        self.now += LEAD - DAY
        self.session("T")
        self.clock.pump([EVERY] * 5)
        self.assertEqual(len(self.asked), whole)

    def test_older(self):
        """What was stored without a lead, by a version that extended nothing, is found at the first look."""
        self.fastening.stop()
        self.shipping.stop()
        self.put(lead=-399 * DAY)
        self.session()
        self.grow(600)
        self.pass_(0)
        self.locked(self.now + self.keep)

    def test_marker(self):
        """Somebody has laid a marker over a tile, and somebody has put another one there: the first version is locked. One is gone: told."""
        self.session()
        self.grow(300)
        self.backend.hide("gw/ledger/tile/0/000")
        with open(self.mktemp(), "wb") as file:
            file.write(b"another")
        self.successResultOf(self.backend.put("gw/ledger/tile/0/000", file.name, None))
        self.backend._names.pop("gw/ledger/tile/entries/000")
        self.pass_(2 * LEAD)
        self.session("T")
        self.pass_(0)
        versions = [each for each in self.successResultOf(self.backend.list("gw/ledger/tile/0/000")) if each.name.endswith("/000")]
        self.assertEqual([(each.deleted, bool(each.retainUntil)) for each in versions], [(False, False), (True, False), (False, True)])
        self.assertGreaterEqual(versions[-1].retainUntil, self.now + self.keep)
        self.assertEqual(self.alarms, [])

    def test_unlocked(self):
        """A store that locks nothing is asked nothing."""
        self.session()
        put = self.backend.put
        self.backend.put = lambda name, path, until, checksum=None: put(name, path, None, checksum)
        self.grow(300)
        self.pass_(2 * LEAD)
        self.assertEqual(self.asked, [])

    def test_trouble(self):
        """A store that is away is asked again, with an alarm when it lasts; one that refuses, with an alarm at once; then it goes on."""
        self.session()
        self.grow(300)
        self.pass_(2 * LEAD, looks=0)
        self.session("T")
        self.backend.trouble = StorageUnavailable("503")
        self.clock.pump([EVERY] * int(AWAY / EVERY))
        self.assertEqual(self.alarms, [])
        self.clock.pump([EVERY] * 3)
        self.assertEqual(self.alarms, ["store-locks"])
        self.backend.trouble = None
        self.clock.pump([EVERY] * 3)
        self.locked(self.now + self.keep)
        self.pass_(2 * LEAD, looks=0)
        self.session("U")
        self.backend.trouble = StorageRefused("no permission")
        self.clock.advance(EVERY)
        self.assertEqual(self.alarms, ["store-locks"] * 2)
