"""
Sealed segments to be packed, made by the writer itself.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Any

import pyrage

from hoopx.frames import SEAL, segmentName
from hoopx.reading import readSegment
from hoopx.values import CLIENT, PASSED, TARGET
from tests.recording.rig import KIB
from tests.recording.test_writer import Base

AUDITOR = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()
RECIPIENT = str(AUDITOR.to_public())


class PackedBase(Base):
    def session(self, segments: int = 2, close: bool = True, size: int = 100 * KIB, rig: Any = None) -> str:
        """@return: the directory of a recording of so many segments, the last one closed or open."""
        rig = rig or self.rig()
        recording = self.open(rig)
        recording.note("connected")
        for number in range(segments):
            recording.append(0, CLIENT, PASSED, b"%d" % number * size)
            recording.append(0, TARGET, PASSED, os.urandom(100))
            if number < segments - 1 or not close:
                rig.advance(11)
        if close:
            self.close(recording)
        self.rig_ = rig
        self.recording = recording
        path: str = recording.path
        return path

    def segment(self, number: int = 0, **more: Any) -> str:
        """@return: the path of a sealed segment."""
        return os.path.join(self.session(**more), segmentName(number))

    def sealOf(self, path: str) -> str:
        """What the ledger is to be told, found the long way."""
        with open(path, "rb") as file:
            (seal,) = [frame for frame in readSegment(file) if frame.kind == SEAL]
        return sha256(seal.payload).hexdigest()


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
