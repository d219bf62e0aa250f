"""What a witness remembers."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.note import COSIGNATURE, Verifier
from hoopx.recording.locks import Locked
from hoopx.witness.errors import WitnessDamaged
from hoopx.witness.state import State
from tests.witness.rig import ORIGIN, checkpoint


class StateTests(SynchronousTestCase):
    def setUp(self):
        self.directory = os.path.join(self.mktemp(), "witness")

    def open(self, name="w.example"):
        state = State(self.directory, name)
        self.addCleanup(state.close)
        return state

    def test_kept(self):
        state = self.open()
        self.assertIsNone(state.latest(ORIGIN))
        state.keep(ORIGIN, checkpoint(5))
        state.close()
        self.assertEqual(self.open().latest(ORIGIN).size, 5)

    def test_key(self):
        state = self.open()
        vkey = state.cosigner.vkey
        self.assertEqual(Verifier.parse(vkey).kind, COSIGNATURE)
        self.assertEqual(os.stat(os.path.join(self.directory, "keys", "witness.key")).st_mode & 0o777, 0o600)
        state.close()
        again = self.open(None)
        self.assertEqual(again.cosigner.vkey, vkey)
        again.close()
        self.assertRaises(WitnessDamaged, self.open, "other.example")
        self.open().close()

    def test_noName(self):
        self.assertRaises(WitnessDamaged, self.open, None)

    def test_keyLost(self):
        """A witness that has lost its key does not get another one under the same name."""
        self.open().close()
        os.unlink(os.path.join(self.directory, "keys", "witness.key"))
        self.assertRaises(FileNotFoundError, self.open)

    def test_one(self):
        self.open()
        self.assertRaises(Locked, self.open)

    def test_damaged(self):
        state = self.open()
        state.keep(ORIGIN, checkpoint(5))
        state.keep("gw2.00000000", checkpoint(6))
        (name,) = [name for name in os.listdir(self.directory) if name.endswith(".checkpoint") and b"\n5\n" in self.read(name)]
        for content in (b"", checkpoint(5)[10:], checkpoint(5, origin="gw3.00000000")):
            with open(os.path.join(self.directory, name), "wb") as file:
                file.write(content)
            self.assertRaises(WitnessDamaged, state.latest, ORIGIN)

    def read(self, name):
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()
