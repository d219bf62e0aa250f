"""Opening a segment however it is stored: bounded, streamed, and clear about what is wrong."""

from __future__ import annotations

import gc
import io
import os
import threading

import pyrage
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import MAGIC, START, FrameError
from hoopx.reading import Unreadable, readSegment, readSession
from hoopx.recording import stored
from hoopx.recording.packing import pack
from hoopx.recording.stored import Encrypted, WrongIdentity, kindOf, opener, openSegment, unpacked
from tests.recording.packed import AUDITOR, OTHER, RECIPIENT, PackedBase, content
from tests.recording.test_packing import WAYS


class Files(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        return path

    def read(self, data: bytes, *identities) -> bytes:
        with openSegment(self.file(data), identities) as file:
            return file.read()


def compressed(data: bytes, **more) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, **more).compress(data)


def encrypted(data: bytes, key=AUDITOR) -> bytes:
    return pyrage.encrypt(data, [key.to_public()])


PLAIN = START + b"x" * 300_000 + os.urandom(1000)


class OpenTests(Files):
    def test_kinds(self):
        self.assertEqual(
            [kindOf(data[:32]) for data in (PLAIN, compressed(PLAIN), encrypted(PLAIN), b"", b"hello")],
            ["plain", "zstd", "age", "unknown", "unknown"],
        )

    def test_all(self):
        for data in (PLAIN, compressed(PLAIN), encrypted(PLAIN), encrypted(compressed(PLAIN))):
            self.assertEqual(self.read(data, OTHER, AUDITOR), PLAIN)

    def test_fileno(self):
        """The readers of sessions ask which file it is."""
        for data in (PLAIN, compressed(PLAIN), encrypted(PLAIN), encrypted(compressed(PLAIN))):
            path = self.file(data)
            with openSegment(path, [AUDITOR]) as file:
                self.assertTrue(os.path.samestat(os.fstat(file.fileno()), os.stat(path)))

    def test_noIdentity(self):
        error = self.assertRaises(Encrypted, self.read, encrypted(PLAIN))
        self.assertNotIsInstance(error, WrongIdentity)
        self.assertIn("--identity KEYFILE", str(error))

    def test_wrongIdentity(self):
        error = self.assertRaises(WrongIdentity, self.read, encrypted(PLAIN), OTHER)
        self.assertIn("none of the identities", str(error))

    def test_missing(self):
        self.assertRaises(FileNotFoundError, openSegment, self.mktemp())

    def test_newer(self):
        """Formats of the future are named as such, and nothing is changed."""
        self.assertIn("not known to this version", str(self.assertRaises(Unreadable, self.read, b"age-encryption.org/v2\nxyz", AUDITOR)))
        newer = MAGIC + b"\0\x02" + b"rest"
        for data in (newer, compressed(newer), encrypted(newer)):
            path = self.file(data)
            with openSegment(path, [AUDITOR]) as file:
                error = self.assertRaises(FrameError, list, readSegment(file, "000000.hxr"))
            self.assertIn("format 2 is not known to this version", str(error))
            self.assertEqual(content(path), data)

    def test_foreign(self):
        for data in (b"", b"hello" * 100, compressed(b"hello" * 100), encrypted(b"hello"), encrypted(b"")):
            with openSegment(self.file(data), [AUDITOR]) as file:
                self.assertRaises(FrameError, list, readSegment(file))

    def test_torn(self):
        """Cut anywhere: an error, never a shorter segment. (The last bytes of zstd are a checksum of what is there.)"""
        for data, spare in ((compressed(PLAIN), 4), (encrypted(PLAIN), 0), (encrypted(compressed(PLAIN)), 0)):
            for cut in [*range(spare + 1, 60), *range(60, len(data) - 40, 997)]:
                self.assertRaises((Unreadable, Encrypted), self.read, data[:-cut], AUDITOR)

    def test_trailing(self):
        """Bytes behind the end are not passed over."""
        for more in (b"x", b"garbage!" * 10, compressed(b"more")):
            self.assertRaises(Unreadable, self.read, compressed(PLAIN) + more)
            self.assertRaises(Unreadable, self.read, encrypted(PLAIN) + more, AUDITOR)

    def test_flipped(self):
        for data in (compressed(PLAIN), encrypted(compressed(PLAIN))):
            for place in (*range(20, 60), len(data) // 2, len(data) - 2):
                changed = bytearray(data)
                changed[place] ^= 1
                try:
                    self.assertEqual(self.read(bytes(changed), AUDITOR), PLAIN)  # a bit that says nothing
                except (Unreadable, Encrypted):
                    continue
                self.assertLess(place, 26)

    @given(st.binary(max_size=200))
    @settings(max_examples=150, deadline=None)
    def test_anything(self, tail):
        """Any bytes are read or refused, with no other exception."""
        for begin in (b"", stored.ZSTD_MAGIC, stored.AGE_MAGIC, b"age-encryption.org/", encrypted(b"x")[:80]):
            try:
                with openSegment(self.file(begin + tail), [AUDITOR]) as file:
                    list(readSegment(file))
            except (Unreadable, Encrypted, FrameError):
                pass


class BoundTests(Files):
    def test_bomb(self):
        """A little file that would be large: told before it is read, or where it passes what it said."""
        self.patch(stored, "LARGEST", 1 << 20)
        bomb = compressed(START + bytes(2 << 20))
        self.assertLess(len(bomb), 1000)
        self.assertIn("at most", str(self.assertRaises(Unreadable, self.read, bomb)))
        self.assertIn("at most", str(self.assertRaises(Unreadable, self.read, encrypted(bomb), AUDITOR)))
        self.assertIn("more than", str(self.assertRaises(Unreadable, self.read, encrypted(START + bytes(2 << 20)), AUDITOR)))
        self.assertIn("more than", str(self.assertRaises(Unreadable, self.read, compressed(START) + compressed(bytes(1 << 20)))))

    def test_unsaid(self):
        """One that does not say its size may be anything."""
        silent = zstandard.ZstdCompressor(write_content_size=False).compress(PLAIN)
        self.assertIn("does not say", str(self.assertRaises(Unreadable, self.read, silent)))

    def test_window(self):
        """One that wants much memory is refused."""
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, write_content_size=True)
        large = zstandard.ZstdCompressor(compression_params=parameters)
        source = bytes(20 << 20)
        data = large.compress(START + source)
        if zstandard.get_frame_parameters(data).window_size <= stored.WINDOW:
            self.fail("the example wants little")
        self.assertIn("damaged", str(self.assertRaises(Unreadable, self.read, data)))

    def test_streams(self):
        """Large segments come in pieces, and the thread that decrypts goes when its reader goes."""
        large = START + os.urandom(4 << 20)
        before = set(threading.enumerate())  # others of the process may end at any time

        def more():
            return len(set(threading.enumerate()) - before)

        file = openSegment(self.file(encrypted(compressed(large))), [AUDITOR])
        self.assertEqual(file.read(1000), large[:1000])
        self.assertEqual(more(), 1)
        file.close()
        self.assertEqual(more(), 0)
        file = openSegment(self.file(encrypted(large)), [AUDITOR])
        del file
        gc.collect()
        self.assertEqual(more(), 0)

    def test_descriptors(self):
        """Nothing stays open, whatever went wrong."""
        def descriptors():
            found = set()
            for name in os.listdir("/proc/self/fd"):
                try:
                    found.add((name, os.readlink(f"/proc/self/fd/{name}")))
                except FileNotFoundError:  # that of the list itself
                    pass
            return found

        gc.collect()
        before = descriptors()
        for data in (compressed(PLAIN)[:30], encrypted(PLAIN), encrypted(PLAIN)[:-5], b"age-encryption.org/v9\n", compressed(PLAIN)):
            for identity in (AUDITOR, OTHER):
                try:
                    self.read(data, identity)
                except (Unreadable, Encrypted):
                    pass
        gc.collect()
        self.assertEqual(descriptors() - before, set())  # what others have closed meanwhile is not ours

    def test_plainSize(self):
        """For progress: as much as will be read, where that is told."""
        for data in (PLAIN, compressed(PLAIN), encrypted(compressed(PLAIN))):
            self.assertEqual(stored.plainSize(self.file(data), opener([AUDITOR])), len(PLAIN))
        for data in (encrypted(PLAIN), encrypted(compressed(PLAIN)), compressed(PLAIN)[:6]):
            self.assertEqual(stored.plainSize(self.file(data), opener([OTHER])), len(data))

    def test_object(self):
        """A stored object is read like a file."""
        with unpacked(io.BufferedReader(io.BytesIO(encrypted(compressed(PLAIN)))), "x", [AUDITOR]) as file:
            self.assertEqual(file.read(), PLAIN)


class SessionTests(PackedBase):
    def test_damaged(self):
        """Where a packed segment is damaged, the frames before are read, and the error names segment, byte and frame."""
        for compress, recipients in WAYS[1:]:
            path = self.segment(1, segments=3, size=600_000)
            pack(path, compress, recipients)
            os.chmod(path, 0o600)
            os.truncate(path, os.path.getsize(path) // 2)
            error = self.assertRaises(FrameError, list, readSession(os.path.dirname(path), opener([AUDITOR])))
            self.assertEqual(error.segment, "000001.hxr")
            self.assertIn("damaged" if recipients else "cut off", error.reason)
            self.rig_.store.stop()

    def test_encryptedSession(self):
        path = self.session(segments=2)
        pack(os.path.join(path, "000001.hxr"), True, [RECIPIENT])
        found = []
        self.assertRaises(Encrypted, lambda: [found.append(frame) for frame in readSession(path, openSegment)])
        self.assertGreater(len(found), 2)
