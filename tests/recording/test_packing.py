"""Packing in place: what comes out, what it says of itself, and a crash at every call."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from hashlib import sha256

import pyrage
import zstandard

from hoopx.frames import OPEN, START, segmentName
from hoopx.reading import readSession
from hoopx.recording import packing
from hoopx.recording.auditors import KeyProblem
from hoopx.recording.files import Files
from hoopx.recording.packing import NotPackable, NotYet, Packed, forget, pack
from hoopx.recording.stored import opener
from hoopx.recording.verify import verifySession
from hoopx.values import CLIENT, PASSED
from tests.recording.packed import AUDITOR, RECIPIENT, PackedBase, content
from tests.recording.rig import FaultyFiles, Killed, Rig, crash, letGo

WAYS = [(False, ()), (True, ()), (False, (RECIPIENT,)), (True, (RECIPIENT,))]


class PackTests(PackedBase):
    def test_digests(self):
        """What pack says is what lies there, whichever way it is packed; and what unpacks is what was there."""
        plain = self.segment(segments=1)
        before, seal = content(plain), self.sealOf(plain)
        for compress, recipients in WAYS:
            path = shutil.copy2(plain, os.path.join(self.folder(), "000000.hxr"))
            packed = pack(path, compress, recipients)
            now = content(path)
            self.assertEqual(packed, Packed(sha256(now).hexdigest(), len(now), seal))
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o440)
            self.assertEqual(os.stat(path).st_mtime_ns, os.stat(plain).st_mtime_ns)
            inner = pyrage.decrypt(now, [AUDITOR]) if recipients else now
            self.assertEqual(zstandard.ZstdDecompressor().decompress(inner) if compress else inner, before)
            self.assertEqual(now == before, (compress, recipients) == (False, ()))
            if compress:
                self.assertLess(len(now), len(before) / 10)

    def folder(self):
        path = self.mktemp()
        os.makedirs(path)
        return path

    def test_again(self):
        """One that is packed stays as it is, whatever is asked now; its digests are told again."""
        plain = self.segment(segments=1)
        for compress, recipients in WAYS:
            path = shutil.copy2(plain, os.path.join(self.folder(), "000000.hxr"))
            packed, now = pack(path, compress, recipients), content(path)
            if compress or recipients:
                for again in WAYS:
                    self.assertEqual(pack(path, *again), packed)
                    self.assertEqual(content(path), now)
            self.assertEqual([name for name in os.listdir(os.path.dirname(path)) if name.endswith(".new")], [])

    def test_forget(self):
        """What lies beside an encrypted segment tells its seal until the ledger has it."""
        path = self.segment()
        packed = pack(path, True, [RECIPIENT])
        self.assertEqual(pack(path, True, [RECIPIENT]), packed)
        forget(path)
        forget(path)
        self.assertEqual([name for name in os.listdir(os.path.dirname(path)) if not name.endswith(".hxr")], [])
        self.assertIn("known to the ledger", str(self.assertRaises(NotPackable, pack, path, True, [RECIPIENT])))

    def test_changedBehindUs(self):
        """An encrypted segment that is not the one that was packed is none of ours."""
        path = self.segment()
        pack(path, True, [RECIPIENT])
        os.chmod(path, 0o600)
        with open(path, "ab") as file:
            file.write(b"x")
        self.assertIn("not what was packed", str(self.assertRaises(NotPackable, pack, path, True, [RECIPIENT])))

    def test_sealNotHashed(self):
        """The seal is found at the end; a DATA frame that looks like one is not taken for it."""
        rig = self.rig()
        recording = self.open(rig)
        recording.append(0, CLIENT, PASSED, bytes((0, 0, 0, 0, 7, 0, 0, 0)) * 300)
        self.close(recording)
        path = os.path.join(recording.path, segmentName(0))
        seal = self.sealOf(path)
        self.assertEqual(pack(path).seal, seal)

    def test_notSealed(self):
        path = self.segment()
        for broken in (content(path)[:-1], content(path) + b"\0", START, b"", b"something else", b"\x28\xb5\x2f\xfd1234"):
            other = os.path.join(self.folder(), "000000.hxr")
            with open(other, "wb") as file:
                file.write(broken)
            self.assertRaises(NotPackable, pack, other, True, [RECIPIENT])
            self.assertEqual((os.listdir(os.path.dirname(other)), content(other)), (["000000.hxr"], broken))

    def test_badRecipient(self):
        path = self.segment()
        before = content(path)
        self.assertRaises(KeyProblem, pack, path, True, [RECIPIENT, "age1x"])
        self.assertEqual(content(path), before)

    def test_stillOpen(self):
        """Between its seal and its successor a segment has two names: recovery relies on both being one file."""
        path = self.session(segments=1, close=False)
        sealed = os.path.join(path, segmentName(0))
        self.assertTrue(os.path.exists(sealed))
        shutil.copy(os.path.join(path, OPEN), os.path.join(path, "kept"))
        os.unlink(os.path.join(path, OPEN))
        os.link(sealed, os.path.join(path, OPEN))
        for compress, recipients in WAYS:
            self.assertRaises(NotYet, pack, sealed, compress, recipients)
        os.rename(os.path.join(path, "kept"), os.path.join(path, OPEN))
        pack(sealed)
        crash(self.recording)
        letGo(self.rig_.store)

    def test_successorFirst(self):
        """Before a segment becomes unreadable here, the LINK behind it is on the disk."""
        path = self.session(segments=2, close=False)
        files = FaultyFiles()
        done = []
        files.fsync = lambda descriptor: done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        files.rename = lambda old, new: (done.append("renamed"), os.rename(old, new))
        pack(os.path.join(path, segmentName(0)), True, [RECIPIENT], files)
        folder = os.path.basename(path)
        self.assertEqual(
            done, [OPEN, segmentName(1), folder, "000000.hxr.new", "000000.seal", folder, "renamed", folder]
        )
        crash(self.recording)
        letGo(self.rig_.store)

    def test_recoveryFirst(self):
        """Power loss took what continues a segment: it stays readable until recovery has been there, and can be encrypted then."""
        path = self.session(segments=1, close=False)
        sealed, name = os.path.join(path, segmentName(0)), os.path.join(path, OPEN)
        crash(self.recording)
        letGo(self.rig_.store)
        for size in (50, 9, 0):
            os.truncate(name, size)
            self.assertRaises(NotYet, pack, sealed, True, [RECIPIENT])
        self.assertEqual(content(sealed)[: len(START)], START)
        self.successResultOf(Rig(self.rig_.data).store.start())
        for number in range(2):
            pack(os.path.join(path, segmentName(number)), True, [RECIPIENT])
        verdict = verifySession(path, opener=opener([AUDITOR]))
        self.assertEqual((verdict.state, verdict.problems), ("recovered", []))

    def test_nothingBehind(self):
        path = self.session(segments=1, close=False)
        crash(self.recording)
        letGo(self.rig_.store)
        os.unlink(os.path.join(path, OPEN))
        self.assertRaises(NotYet, pack, os.path.join(path, segmentName(0)), True, [RECIPIENT])
        pack(os.path.join(path, segmentName(0)))

    def test_memory(self):
        """A large segment streams: no piece is near its size."""
        path = self.segment(size=4 << 20, segments=1)
        files = FaultyFiles()
        pack(path, False, [RECIPIENT], files)
        self.assertGreater(sum(files.writes), 4 << 20)
        self.assertLess(max(files.writes), 1 << 19)


class FaultTests(PackedBase):
    def test_killed(self):
        """Killed at any call: the old file or the new one stands there, and the next run comes to the same end."""
        plain = self.segment(segments=1)
        before, seal = content(plain), self.sealOf(plain)
        for compress, recipients in WAYS:
            ended = False
            life = 0
            while not ended:
                folder = self.mktemp()
                os.makedirs(folder)
                path = shutil.copy2(plain, os.path.join(folder, "000000.hxr"))
                os.chmod(path, 0o440)
                files = FaultyFiles()
                files.life = life
                try:
                    pack(path, compress, recipients, files)
                    ended = True
                except Killed:
                    pass
                self.assertEqual(self.plain(path), before)
                packed = pack(path, compress, recipients)
                self.assertEqual(packed, Packed(sha256(content(path)).hexdigest(), os.path.getsize(path), seal))
                self.assertEqual(self.plain(path), before)
                names = sorted(os.listdir(folder))
                self.assertEqual(names, ["000000.hxr", "000000.seal"] if recipients else ["000000.hxr"])
                life += 1
            self.assertGreater(life, 6 if compress or recipients else 1)

    def plain(self, path):
        with opener([AUDITOR])(path) as file:
            return file.read()

    def test_faults(self):
        """A disk that fails: the segment is as it was, nothing is left beside it, and the error is the disk's own."""
        for compress, recipients in WAYS[1:]:
            for call in ("write", "fsync", "create", "fchmod", "utime", "rename"):
                path = self.segment()
                before = content(path)
                files = FaultyFiles()
                files.faults[call] = errno.EIO
                error = self.assertRaises(OSError, pack, path, compress, recipients, files)
                self.assertEqual(error.errno, errno.EIO, call)
                self.assertEqual(content(path), before)
                self.assertEqual([name for name in os.listdir(os.path.dirname(path)) if name.endswith(".new")], [])
                self.assertEqual(pack(path, compress, recipients).size, os.path.getsize(path))

    def test_full(self):
        """A disk that fills up in the middle."""
        path = self.segment(size=1 << 20)
        before = content(path)
        files = FaultyFiles()
        files.room = 1000
        error = self.assertRaises(OSError, pack, path, False, [RECIPIENT], files)
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(content(path), before)
        self.assertNotIn("000000.hxr.new", os.listdir(os.path.dirname(path)))

    def test_sourceFails(self):
        """What can not be read is told as such, also through age."""
        path = self.segment()
        before = content(path)

        class Broken:
            def stream_reader(self, *arguments, **more):
                return self

            def read(self, size=-1):
                raise OSError(errno.EIO, "broken")

        self.patch(packing.zstandard, "ZstdCompressor", lambda **_: Broken())
        for recipients in ((), (RECIPIENT,)):
            error = self.assertRaises(OSError, pack, path, True, recipients)
            self.assertEqual(error.errno, errno.EIO)
            self.assertEqual(content(path), before)


class SessionTests(PackedBase):
    def test_whole(self):
        """A session is the same before and after, for everything that reads it."""
        for compress, recipients in WAYS:
            path = self.session(segments=3)
            before = list(readSession(path))
            for number in range(3):
                pack(os.path.join(path, segmentName(number)), compress, recipients)
            opening = opener([AUDITOR])
            self.assertEqual(list(readSession(path, opening)), before)
            verdict = verifySession(path, opener=opening)
            self.assertEqual((verdict.state, verdict.problems), ("complete", []))
            self.rig_.store.stop()

    def test_recoveredBehindCompressed(self):
        """Power loss takes the open segment, behind one that is compressed: recovery reads that."""
        path = self.session(segments=1, close=False)
        pack(os.path.join(path, segmentName(0)))
        with open(os.path.join(path, segmentName(0) + ".new"), "wb"):
            pass  # what a killed packer has left
        crash(self.recording)
        letGo(self.rig_.store)
        os.truncate(os.path.join(path, OPEN), 0)
        self.successResultOf(Rig(self.rig_.data).store.start())
        verdict = verifySession(path)
        self.assertEqual((verdict.state, verdict.problems), ("recovered", []))

    def test_recoveredBehindEncrypted(self):
        """The same behind one that is encrypted can only come of damage: it is put aside, and not made up."""
        path = self.session(segments=1, close=False)
        pack(os.path.join(path, segmentName(0)), True, [RECIPIENT])
        crash(self.recording)
        letGo(self.rig_.store)
        os.truncate(os.path.join(path, OPEN), 0)
        self.successResultOf(Rig(self.rig_.data).store.start())
        self.assertFalse(os.path.exists(path))
        kept = os.path.join(self.rig_.data, "quarantine", os.path.basename(path))
        self.assertIn(segmentName(0), os.listdir(kept))
        self.flushLoggedErrors()

    def test_recoveredEncrypted(self):
        """A crash with encrypted segments before the open one: that goes on from its own LINK."""
        path = self.session(segments=2, close=False)
        for number in range(2):
            pack(os.path.join(path, segmentName(number)), True, [RECIPIENT])
        crash(self.recording)
        letGo(self.rig_.store)
        self.successResultOf(Rig(self.rig_.data).store.start())
        verdict = verifySession(path, opener=opener([AUDITOR]))
        self.assertEqual((verdict.state, verdict.problems), ("recovered", []))

    def test_files(self):
        self.assertTrue(callable(Files.utime))
