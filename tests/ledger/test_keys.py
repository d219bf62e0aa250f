"""The ledger's key."""

from __future__ import annotations

import os
import stat

from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import WrongKey
from hoopx.ledger.keys import (
    encodeKey,
    finishRotation,
    keyring,
    loadKey,
    prepareRotation,
    publicBytes,
    publicKey,
    signRotation,
    verifyRotation,
)
from hoopx.ledger.log import Ledger
from hoopx.recording.files import Files
from tests.ledger.rig import AT, key, opened
from tests.recording.rig import FaultyFiles, Killed


class KeyTests(SynchronousTestCase):
    def setUp(self):
        self.data = self.mktemp()
        self.keys = os.path.join(self.data, "keys")
        self.files = Files()

    def test_made(self):
        self.assertIsNone(publicKey(self.data))
        made = loadKey(self.keys, self.files)
        path = os.path.join(self.keys, "ledger.key")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.keys).st_mode), 0o700)
        self.assertEqual(publicKey(self.data), publicBytes(made))
        self.assertEqual(publicBytes(loadKey(self.keys, self.files)), publicBytes(made))
        self.assertEqual(sorted(os.listdir(self.keys)), ["ledger.key", "ledger.pub"])

    def test_byReference(self):
        """A key that is kept elsewhere is not written here; its public half is."""
        loadKey(self.keys, self.files, encodeKey(key(7)))
        self.assertEqual(os.listdir(self.keys), ["ledger.pub"])
        self.assertEqual(publicKey(self.data), publicBytes(key(7)))
        loadKey(self.keys, self.files, encodeKey(key(8)))
        self.assertEqual(publicKey(self.data), publicBytes(key(8)))

    def test_notMade(self):
        self.assertRaises(FileNotFoundError, loadKey, self.keys, self.files, create=False)
        self.assertFalse(os.path.exists(self.keys))

    def test_notOurs(self):
        """The message holds nothing of what was given."""
        other = Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        locked = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        for pem in (b"", b"hunter2 hunter2", other, locked):
            error = self.assertRaises(ValueError, loadKey, self.keys, self.files, pem)
            self.assertNotIn("hunter2", str(error))
        os.makedirs(self.keys)
        with open(os.path.join(self.keys, "ledger.key"), "wb") as file:
            file.write(b"half a k")
        self.assertRaises(ValueError, loadKey, self.keys, self.files)

    def test_rotationSigned(self):
        signature = signRotation(key(1), "new")
        verifyRotation(publicBytes(key(1)), "new", signature)
        self.assertRaises(ValueError, verifyRotation, publicBytes(key(2)), "new", signature)
        self.assertRaises(ValueError, verifyRotation, publicBytes(key(1)), "other", signature)

    def test_keyring(self):
        choose = keyring(self.keys, self.files)
        made = choose(None)
        self.assertEqual(publicBytes(choose(publicBytes(made))), publicBytes(made))
        self.assertRaises(WrongKey, choose, publicBytes(key(9)))

    def test_wrongReferenceChangesNothing(self):
        """The public half is that of the key that signs, whatever is tried."""
        keyring(self.keys, self.files, encodeKey(key(7)))(None)
        self.assertRaises(WrongKey, keyring(self.keys, self.files, encodeKey(key(8))), publicBytes(key(7)))
        self.assertEqual(publicKey(self.data), publicBytes(key(7)))

    def test_lostKeyIsNotReplaced(self):
        """A ledger whose key is gone does not get another one."""
        choose = keyring(self.keys, self.files)
        made = choose(None)
        os.unlink(os.path.join(self.keys, "ledger.key"))
        self.assertIn("no key here", str(self.assertRaises(WrongKey, choose, publicBytes(made))))
        self.assertFalse(os.path.exists(os.path.join(self.keys, "ledger.key")))


class RotationTests(SynchronousTestCase):
    def rotate(self, data, files):
        keys = os.path.join(data, "keys")
        ledger = Ledger.open(os.path.join(data, "ledger"), keyring(keys, files), "gw1", files, wall=lambda: AT)
        try:
            new = prepareRotation(keys, files)
            ledger.rotate(new)
            finishRotation(keys, files)
            return new
        finally:
            ledger.close()

    def test_oldIsGone(self):
        data = self.mktemp()
        old = loadKey(os.path.join(data, "keys"), Files())
        new = self.rotate(data, Files())
        self.assertNotEqual(publicBytes(old), publicBytes(new))
        self.assertEqual(publicKey(data), publicBytes(new))
        self.assertEqual(sorted(os.listdir(os.path.join(data, "keys"))), ["ledger.key", "ledger.pub"])
        self.assertEqual(publicBytes(loadKey(os.path.join(data, "keys"), Files())), publicBytes(new))

    def test_killedAtAnyCall(self):
        """A rotation that is cut short anywhere has either happened or not; the ledger can be opened, and the other key is gone."""
        outcomes = set()
        for life in range(200):
            data = self.mktemp()
            keys = os.path.join(data, "keys")
            ledger = Ledger.open(os.path.join(data, "ledger"), keyring(keys, Files()), "gw1")
            ledger.append([opened(1)])
            ledger.checkpoint()
            ledger.close()
            old = publicKey(data)
            files = FaultyFiles()
            files.life = life
            try:
                self.rotate(data, files)
            except Killed:
                pass
            ledger = Ledger.open(os.path.join(data, "ledger"), keyring(keys, Files()), "gw1")
            ledger.append([opened(2)])
            ledger.checkpoint()
            happened = ledger.size == 3
            outcomes.add(happened)
            self.assertEqual(happened, publicKey(data) != old)
            self.assertEqual(sorted(os.listdir(keys)), ["ledger.key", "ledger.pub"])
            ledger.close()
            if files.life >= 0:
                break
        self.assertEqual(outcomes, {True, False})
        self.assertGreater(life, 20)
