"""A new ledger in place of one that can not go on."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerDamaged, LedgerError
from hoopx.ledger.keys import encodeKey, keyring, publicBytes, publicKey
from hoopx.ledger.leaf import parse
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Cosigner, Verifier, makeNote, openNote, split
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.renewal import renew
from hoopx.recording.files import Files
from hoopx.recording.locks import Locked
from tests.ledger.rig import AT, key, opened
from tests.recording.rig import FaultyFiles, Killed


class RenewalTests(SynchronousTestCase):
    def setUp(self):
        self.make()

    def make(self):
        self.data = self.mktemp()
        self.directory = os.path.join(self.data, "ledger")
        ledger = self.open()
        ledger.append([opened(number) for number in range(300)])
        text, lines = split(ledger.checkpoint())
        ledger.publish(makeNote(text, [lines[0][3], *[Cosigner(f"w{n}", key(n)).cosign(text, 1) for n in range(1, 15)]]))
        self.old = ledger.vkey
        self.origin = ledger.origin
        ledger.close()

    def open(self):
        return Ledger.open(self.directory, keyring(os.path.join(self.data, "keys"), Files()), "gw1", wall=lambda: AT)

    def continued(self):
        """Nothing but what a new ledger has: its leaf names the old one's last checkpoint."""
        ledger = self.open()
        self.addCleanup(ledger.close)
        value = parse(ledger.entries(0, 1)[0])
        self.assertEqual((value["type"], value["origin"]), ("continued", self.origin))
        text, _ = openNote(value["checkpoint"].encode(), [Verifier.parse(self.old)])
        self.assertIn(b"\n300\n", text)
        self.assertNotEqual(ledger.origin, self.origin)
        self.assertEqual(publicKey(self.data), Verifier.parse(ledger.vkey).public)
        reader = LedgerReader(self.directory)
        self.assertEqual(reader.audit(reader.checkpoint()), [])
        old = LedgerReader(os.path.join(self.data, f"ledger.old-{self.origin}"))
        self.assertEqual(len(list(old.entries()) if old.checkpoint() else []), 300)

    def test_renew(self):
        vkey = renew(self.data, "gw1", wall=lambda: AT)
        self.assertTrue(vkey.startswith("gw1."))
        self.assertEqual(sorted(os.listdir(self.data)), ["keys", "ledger", f"ledger.old-{self.origin}"])
        self.continued()

    def test_damaged(self):
        """That is what it is for."""
        os.unlink(os.path.join(self.directory, "tail"))
        self.assertRaises(LedgerDamaged, self.open)
        renew(self.data, "gw1")
        self.continued()

    def test_keyLost(self):
        os.unlink(os.path.join(self.data, "keys", "ledger.key"))
        renew(self.data, "gw1")
        self.continued()

    def test_refused(self):
        ledger = self.open()
        self.assertRaises(Locked, renew, self.data, "gw1")
        ledger.close()
        self.assertRaises(LedgerError, renew, self.mktemp(), "gw1")
        for name in ("checkpoint", "witnessed"):
            os.unlink(os.path.join(self.directory, name))
        self.assertRaises(LedgerError, renew, self.data, "gw1")
        self.open().close()

    def test_elsewhere(self):
        """A key that is kept elsewhere: the new ledger's is, too, and it is another one."""
        renew(self.data, "gw1", wall=lambda: AT, key=encodeKey(key(3)))
        self.assertEqual(publicKey(self.data), publicBytes(key(3)))
        shutil.rmtree(os.path.join(self.data, "keys"))
        ledger = Ledger.open(self.directory, keyring(os.path.join(self.data, "keys"), Files(), encodeKey(key(3))), "gw1")
        self.assertEqual(parse(ledger.entries(0, 1)[0])["origin"], self.origin)
        ledger.close()
        self.assertIn("a key of its own", str(self.assertRaises(ValueError, renew, self.data, "gw1", key=encodeKey(key(3)))))
        self.assertRaises(ValueError, renew, self.data, "gw1", key=b"nonsense")

    def test_between(self):
        """Cut short where no ledger is in its place: none is begun there that does not name the old one."""
        renew(self.data, "gw1", wall=lambda: AT)
        os.rename(self.directory, self.directory + ".new")
        self.assertIn("renewal was cut short", str(self.assertRaises(LedgerError, self.open)))
        renew(self.data, "gw1")
        self.continued()

    def test_killedAtAnyCall(self):
        """Cut short anywhere, it can be done again."""
        for life in range(200):
            self.make()
            files = FaultyFiles()
            files.life = life
            try:
                renew(self.data, "gw1", files)
            except Killed:
                aside = os.path.isdir(os.path.join(self.data, f"ledger.old-{self.origin}"))
                if not aside or not os.path.isdir(self.directory):
                    renew(self.data, "gw1")
            self.continued()
            if files.life >= 0:
                break
        self.assertGreater(life, 20)
