"""Partial tiles of earlier checkpoints: right ones, missing ones and those that the power has cut say nothing wrong; others do."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.leftover import SECTOR, WRONG
from hoopx.ledger.log import Ledger
from hoopx.ledger.reader import LedgerReader
from tests.ledger.rig import open_, opened

SIZES = (3, 40, 255, 256, 300, 512, 520, 600)


class LeftoverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.ledger: Ledger = open_(self.directory)
        self.addCleanup(self.ledger.close)
        self.kept: dict[str, str] = {}
        for size in SIZES:
            self.grow(size)

    def grow(self, size: int) -> None:
        self.ledger.append([opened(number) for number in range(self.ledger.size, size)])
        self.ledger.checkpoint()
        # What a crash leaves beside a full tile: it was about to be removed.
        for folder, _, names in os.walk(self.directory):
            for name in names:
                if folder.endswith(".p"):
                    path = os.path.relpath(os.path.join(folder, name), self.directory)
                    if path not in self.kept:
                        self.kept[path] = self.mktemp()
                        shutil.copy(os.path.join(self.directory, path), self.kept[path])

    def restore(self) -> None:
        for path, kept in self.kept.items():
            os.makedirs(os.path.join(self.directory, os.path.dirname(path)), exist_ok=True)
            shutil.copy(kept, os.path.join(self.directory, path))

    def audit(self) -> list[tuple[str, str]]:
        reader = LedgerReader(self.directory)
        return [(where, what) for where, what in reader.audit(reader.checkpoint())]

    def write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write(data)

    def read(self, name: str) -> bytes:
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()

    def older(self) -> list[str]:
        return [name for name in self.kept if not name.endswith(("002.p/88", "1/000.p/2"))]

    def test_right(self) -> None:
        """All of them, also those beside full ones; or none."""
        self.assertEqual(self.audit(), [])
        self.restore()
        self.assertGreater(len(self.older()), 10)
        self.assertEqual(self.audit(), [])
        for name in self.older():
            os.remove(os.path.join(self.directory, name))
        self.assertEqual(self.audit(), [])

    def test_wrong(self) -> None:
        """Changed, exchanged, garbage, longer, or no file: named, each by itself."""
        self.restore()
        other = self.read("tile/0/000.p/40")
        for name in self.older():
            right = self.read(name)
            changed = bytearray(right)
            changed[-1] ^= 1
            wrongs = [bytes(changed), b"x", right + b"\0", right + b"x", other[:31] + b"y", b"\0" * SECTOR + right]
            for data in wrongs:
                self.write(name, data)
                self.assertEqual(self.audit(), [(name, WRONG)])
            os.remove(os.path.join(self.directory, name))
            os.mkfifo(os.path.join(self.directory, name))
            self.assertEqual(self.audit(), [(name, "not a regular file, but a named pipe")])
            os.remove(os.path.join(self.directory, name))
            self.write(name, right)
        self.assertEqual(self.audit(), [])

    def test_torn(self) -> None:
        """Nothing waited until they were on the disk: what the power has cut is nobody's change."""
        self.restore()
        for name in self.older():
            right = self.read(name)
            for data in (b"", right[:10], right[:-1], b"\0" * len(right), right[:SECTOR] + b"\0" * (len(right) - SECTOR)):
                self.write(name, data)
                self.assertEqual(self.audit(), [], name)
            self.write(name, right)

    def test_newer(self) -> None:
        """The writer is ahead of the checkpoint that is looked at: of its tiles the beginning is known, and has to fit."""
        note = self.read("checkpoint")
        self.grow(610)
        reader = LedgerReader(self.directory)
        signed = LedgerReader(lambda name: note if name == "checkpoint" else self.read(name)).checkpoint()
        self.assertEqual(signed.checkpoint.size, 600)
        self.assertEqual(reader.audit(signed), [])
        for name in ("tile/0/002.p/98", "tile/entries/002.p/98"):
            right = self.read(name)
            self.write(name, right[:-1] + b"?")
            self.assertEqual(reader.audit(signed), [])
            self.write(name, b"?" + right[1:])
            self.assertEqual([(name, WRONG)], list(map(tuple, reader.audit(signed))))
            self.write(name, right)

    def test_otherNames(self) -> None:
        """What is called otherwise is no tile, such as one that is being written."""
        for name in ("7.new", "0", "256", "07", "\u0667", "x"):
            self.write(f"tile/0/002.p/{name}", b"x")
        self.write("tile/0/001.p", b"x")
        self.assertEqual(self.audit(), [])
