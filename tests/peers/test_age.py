"""
An auditor with stock tools: age-keygen, age and zstd read what hoopx has stored.
"""

from __future__ import annotations

import os
import subprocess

from hoopx.frames import MAGIC, segmentName
from hoopx.reading import readSession
from hoopx.recording.auditors import identities
from hoopx.recording.packing import pack
from hoopx.recording.stored import WrongIdentity, opener
from tests.peers.harness.finding import require
from tests.recording.packed import PackedBase, content


class AgeTests(PackedBase):
    def setUp(self) -> None:
        self.age, self.keygen = require("age"), require("age-keygen")
        self.key = os.path.abspath(self.mktemp())
        subprocess.run([self.keygen, "-o", self.key], check=True, capture_output=True)
        self.recipient = self.run_(self.keygen, "-y", self.key).decode().strip()

    def run_(self, *argv: str, given: bytes = b"") -> bytes:
        return subprocess.run(argv, check=True, capture_output=True, input=given).stdout

    def test_decrypts(self) -> None:
        """The stock tool decrypts a stored segment, and what comes out is the segment."""
        path = self.segment()
        before = content(path)
        pack(path, False, [self.recipient])
        self.assertNotIn(MAGIC, content(path))
        self.assertEqual(self.run_(self.age, "-d", "-i", self.key, path), before)

    def test_zstd(self) -> None:
        """With compression: age, then the stock zstd."""
        zstd = require("zstd")
        path = self.segment()
        before = content(path)
        pack(path, True, [self.recipient])
        self.assertEqual(self.run_(zstd, "-dc", given=self.run_(self.age, "-d", "-i", self.key, path)), before)
        other = self.segment()
        before = content(other)
        pack(other)
        self.assertEqual(self.run_(zstd, "-dc", given=content(other)), before)

    def test_keyFile(self) -> None:
        """A key file of age-keygen is what --identity takes; a stranger's opens nothing."""
        path = self.session()
        before = list(readSession(path))
        for number in range(2):
            pack(os.path.join(path, segmentName(number)), True, [self.recipient])
        self.assertEqual(list(readSession(path, opener(identities([self.key])))), before)
        stranger = os.path.abspath(self.mktemp())
        subprocess.run([self.keygen, "-o", stranger], check=True, capture_output=True)
        self.assertRaises(WrongIdentity, list, readSession(path, opener(identities([stranger]))))

    def test_several(self) -> None:
        """Each auditor alone."""
        second = os.path.abspath(self.mktemp())
        subprocess.run([self.keygen, "-o", second], check=True, capture_output=True)
        path = self.segment()
        before = content(path)
        pack(path, False, [self.recipient, self.run_(self.keygen, "-y", second).decode().strip()])
        for key in (self.key, second):
            self.assertEqual(self.run_(self.age, "-d", "-i", key, path), before)

    def test_encryptedByAge(self) -> None:
        """And the other way: what age encrypts, hoopx reads."""
        path = self.segment()
        before = content(path)
        os.chmod(path, 0o600)
        with open(path, "wb") as file:
            file.write(self.run_(self.age, "-r", self.recipient, given=before))
        with opener(identities([self.key]))(path) as opened:
            self.assertEqual(opened.read(), before)
