"""Nothing is hashed twice: the gateway hashes what is said, the curator what it makes of it."""

import hashlib
import os

import pyrage
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.curator import tail
from hoopx.frames import segmentName
from hoopx.recording import opening, packing, segment
from tests.curator.rig import Recorded, bench, book

BESIDE = 2048
"""Bytes of payloads of a segment's HEAD, SEAL and DONE, which have digests of their own."""


class Told:
    """@ivar digests: (segment, digest) of what the gateway has sealed."""

    def __init__(self):
        self.digests = []

    def recover(self, progress):
        return succeed([])

    def sealed(self, session, path, segment, digest):
        self.digests.append((segment, digest))

    recordingEnded = sealed


class HashingTests(SynchronousTestCase):
    def counted(self, *modules):
        """@return: a list whose sum is how many bytes these modules hash from here on."""
        found = []

        class Counting:
            def __init__(self, data=b""):
                self._hash = hashlib.sha256()
                self.update(data)

            def update(self, data):
                found.append(len(data))
                self._hash.update(data)

            def __getattr__(self, name):
                return getattr(self._hash, name)

        for module in modules:
            self.patch(module, "sha256", Counting)
        return found

    def once(self, **how):
        gateway = self.counted(segment, opening)
        told = Told()
        recording = Recorded(self.mktemp(), told).session(3)
        names = [os.path.join(recording.path, segmentName(number)) for number in range(3)]
        plain = sum(map(os.path.getsize, names))
        self.assertGreaterEqual(sum(gateway), plain)
        self.assertLess(sum(gateway) - plain, BESIDE)
        before = sum(gateway)

        curator = self.counted(packing, tail)
        kept = book()
        self.addCleanup(kept.close)
        table = bench(kept, **how)
        for number, digest in told.digests:
            table.told(recording.session, number, digest)
        leaves = 0
        while (step := table.step(recording.session, recording.path)) is not None:
            table.logged(step, list(range(leaves, leaves + len(step.leaves))))
            leaves += len(step.leaves)
        self.assertEqual(leaves, 4)
        packed = sum(map(os.path.getsize, names))
        self.assertGreater(packed, BESIDE * 6, "it would be seen")
        if not how.get("compress", True) and not how.get("recipients"):
            packed = 0  # the gateway's digest is the file's
        self.assertGreaterEqual(sum(curator), packed)
        self.assertLess(sum(curator) - packed, BESIDE * 3)
        self.assertEqual(sum(gateway), before)

    def test_compressed(self):
        self.once()

    def test_both(self):
        self.once(recipients=(str(pyrage.x25519.Identity.generate().to_public()),))

    def test_asItIs(self):
        self.once(compress=False)

    def test_encrypted(self):
        self.once(compress=False, recipients=(str(pyrage.x25519.Identity.generate().to_public()),))
