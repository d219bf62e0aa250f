"""A new key for a ledger that goes on, kept here or elsewhere."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerError, WrongKey
from hoopx.ledger.keys import encodeKey, keyring, publicBytes, publicKey
from hoopx.ledger.log import Ledger
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.rotation import rotate
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked
from tests.ledger.rig import AT, key, opened
from tests.recording.rig import FaultyFiles, Killed

OLD, NEW, OTHER = (encodeKey(key(number)) for number in (1, 2, 3))


class RotationTests(SynchronousTestCase):
    def setUp(self):
        self.make(OLD)

    def make(self, reference):
        self.data = self.mktemp()
        self.keys = os.path.join(self.data, "keys")
        self.directory = os.path.join(self.data, "ledger")
        self.begin(reference, 1).close()

    def begin(self, reference, number):
        """As the gateway does. @return: the ledger, with a leaf more."""
        ledger = Ledger.open(self.directory, keyring(self.keys, Files(), reference), "gw1", wall=lambda: AT)
        self.addCleanup(ledger.close)
        ledger.append([opened(number)])
        ledger.checkpoint()
        return ledger

    def refused(self, reference):
        """@return: what the gateway says."""
        return str(self.assertRaises(WrongKey, self.begin, reference, 99))

    def sound(self, *numbers):
        """With any of the keys alone, the ledger holds."""
        reader = LedgerReader(self.directory)
        first = reader.first()
        keys = [verifier for _, verifier in reader.chain(first)]
        self.assertEqual([one.public for one in keys], [publicBytes(key(number)) for number in numbers])
        for one in keys:
            self.assertEqual(reader.audit(reader.checkpoint([one])), [])
            self.assertEqual({each.public for each in [*reader.former(one), *[v for _, v in reader.chain(one)]]}, {each.public for each in keys})
        self.assertEqual(publicKey(self.data), keys[-1].public)

    def test_elsewhere(self):
        done = rotate(self.data, "gw1", OLD, NEW, wall=lambda: AT)
        self.assertFalse(done.before)
        self.assertEqual(os.listdir(self.keys), ["ledger.pub"])
        self.sound(1, 2)
        said = self.refused(OLD)
        self.assertIn("was replaced by a rotation: give the new one", said)
        self.assertEqual(publicKey(self.data), publicBytes(key(2)))  # a start with the wrong key changes nothing
        self.begin(NEW, 2)
        self.sound(1, 2)

    def test_notYet(self):
        """signing_key names the new key, and nobody has signed it."""
        said = self.refused(NEW)
        self.assertIn("for which no key of this ledger has signed", said)
        self.assertIn("rotate --new-key", said)
        self.assertEqual(publicKey(self.data), publicBytes(key(1)))
        self.assertIn("no key of this ledger has signed", str(self.assertRaises(WrongKey, rotate, self.data, "gw1", NEW, NEW)))
        self.begin(OLD, 2)

    def test_again(self):
        """Called again, before or after signing_key was changed, it says so and changes nothing."""
        rotate(self.data, "gw1", OLD, NEW)
        with open(os.path.join(self.directory, "checkpoint"), "rb") as file:
            note = file.read()
        for old in (OLD, NEW):
            done = rotate(self.data, "gw1", old, NEW)
            self.assertTrue(done.before)
        with open(os.path.join(self.directory, "checkpoint"), "rb") as file:
            self.assertEqual(file.read(), note)
        self.sound(1, 2)

    def test_thrice(self):
        rotate(self.data, "gw1", OLD, NEW)
        self.assertIn("was replaced", str(self.assertRaises(WrongKey, rotate, self.data, "gw1", OLD, OTHER)))
        self.assertIn("to be a new one", str(self.assertRaises(ValueError, rotate, self.data, "gw1", NEW, OLD)))
        rotate(self.data, "gw1", NEW, OTHER)
        self.sound(1, 2, 3)
        self.assertIn("was replaced", self.refused(OLD))
        self.assertIn("was replaced", self.refused(NEW))
        self.begin(OTHER, 5)

    def test_movedOut(self):
        """A key that was made here is followed by one that is kept elsewhere; it is destroyed."""
        self.make(None)
        old = publicKey(self.data)
        rotate(self.data, "gw1", None, NEW)
        self.assertEqual(os.listdir(self.keys), ["ledger.pub"])
        self.assertNotEqual(publicKey(self.data), old)
        self.assertIn("there is no key here", self.refused(None))
        self.begin(NEW, 2).close()
        self.assertTrue(rotate(self.data, "gw1", None, NEW).before)

    def test_wrong(self):
        self.assertRaises(ValueError, rotate, self.data, "gw1", OLD, b"nonsense")
        self.assertRaises(ValueError, rotate, self.data, "gw1", OLD)
        self.assertRaises(WrongKey, rotate, self.data, "gw1", OTHER, NEW)
        self.assertRaises(LedgerError, rotate, self.mktemp(), "gw1", OLD, NEW)
        ledger = self.begin(OLD, 2)
        self.assertRaises(Locked, rotate, self.data, "gw1", OLD, NEW)
        ledger.close()
        self.sound(1)

    def killed(self, reference):
        outcomes = set()
        for life in range(200):
            self.make(reference)
            files = FaultyFiles()
            files.life = life
            try:
                rotate(self.data, "gw1", reference, NEW, files)
            except Killed:
                pass
            works = []
            for each in (reference, NEW):
                try:
                    self.begin(each, 2 + len(works)).close()
                    works.append(each)
                except WrongKey as error:
                    self.assertRegex(str(error), "was replaced by a rotation|there is no key here|no key of this ledger has signed")
            self.assertEqual(len(works), 1, "either the one or the other")
            outcomes.add(works[0])
            self.assertEqual(rotate(self.data, "gw1", reference, NEW).before, works[0] == NEW)
            self.assertEqual(os.listdir(self.keys), ["ledger.pub"])
            self.begin(NEW, 7).close()
            if files.life >= 0:
                break
        self.assertEqual(outcomes, {reference, NEW})
        self.assertGreater(life, 10)

    def test_killedAtAnyCall(self):
        """Cut short anywhere, one of the two keys works and the other says why not; and it can be called again."""
        self.killed(OLD)

    def test_killedMovingOut(self):
        self.killed(None)
