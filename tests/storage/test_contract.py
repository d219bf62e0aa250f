"""The contract, kept by the backends that need no server; tests/peers has S3."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from hoopx.storage.errors import NotStored, StorageUnavailable
from hoopx.storage.folder import FolderBackend
from hoopx.storage.memory import MemoryBackend
from tests.recording.rig import Now
from tests.storage.contract import NAME, Contract


class MemoryTests(Contract, SynchronousTestCase):
    def setUp(self) -> None:
        self.backend = MemoryBackend()

    def test_hidden(self) -> None:
        """A delete marker hides nothing from whoever lists; the versions below are all there."""
        receipt = self.get(self.put())
        self.backend.hide(NAME)
        found = self.get(self.backend.list(""))
        self.assertEqual([each.deleted for each in found], [True, False])
        self.assertEqual(self.read(receipt), self.read(found[1]))
        self.failed(self.backend.open(found[0]), NotStored)
        again = self.get(self.put())
        self.assertNotEqual(again.version, receipt.version)

    def test_trouble(self) -> None:
        receipt = self.get(self.put())
        self.backend.trouble = StorageUnavailable("away")
        for asked in (
            self.put(), self.backend.open(receipt), self.backend.stat(receipt), self.backend.delete(receipt),
            self.backend.hold(receipt, True), self.backend.retain(receipt, 1.0), self.backend.list(""),
        ):  # fmt: skip
            self.failed(asked, StorageUnavailable)
        self.backend.trouble = None
        self.assertEqual(self.names(), [NAME])
        self.assertEqual(self.backend.puts, [NAME])


class FolderTests(Contract, SynchronousTestCase):
    versions = False

    def setUp(self) -> None:
        root = self.mktemp()
        os.makedirs(root)
        self.backend = FolderBackend(root, Now())
