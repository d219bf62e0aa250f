"""Objects as files: what lies on the disk, faults and crashes; and in place."""

from __future__ import annotations

import errno
import os
import stat
import time

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.interfaces import IStorageBackend
from hoopx.storage.errors import NotStored, StorageConflict, StorageRefused, StorageUnavailable
from hoopx.storage.folder import FolderBackend, InPlace
from tests.recording.rig import FaultyFiles, Killed, Now
from tests.storage.contract import CONTENT, DIGEST, NAME, Contract


class Dying(Now):
    """Threads in which somebody may be killed."""

    def call(self, work, *arguments):
        done: Deferred = Deferred()
        try:
            done.callback(work(*arguments))
        except Exception:
            done.errback()
        return done


class FolderTests(Contract, SynchronousTestCase):
    versions = False

    def setUp(self) -> None:
        self.root = self.mktemp()
        os.makedirs(self.root)
        self.files = FaultyFiles()
        self.backend = FolderBackend(self.root, Dying(), self.files)

    def lying(self):
        return sorted(name for _, _, names in os.walk(self.root) for name in names)

    def test_onTheDisk(self) -> None:
        self.get(self.put())
        path = os.path.join(self.root, *NAME.split("/"))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o440)
        self.assertEqual(self.lying(), ["000000.hxr", "000000.hxr.meta"])
        synced = [name for name, _ in self.files.calls if name == "fsync"]
        self.assertGreaterEqual(len(synced), 2 + 6)  # the object, what is known of it, and every folder that is new

    def test_faults(self) -> None:
        """Whatever fails: no object that is not whole, an error by what is to be done, and the next try succeeds."""
        path = self.file()
        for call in ("mkdir", "create", "write", "fchmod", "fsync", "link", "rename"):
            for number, kind in ((errno.EIO, StorageUnavailable), (errno.ENOSPC, StorageUnavailable), (errno.EROFS, StorageRefused)):
                self.setUp()
                self.files.faults[call] = number
                error = self.failed(self.backend.put(NAME, path, None), kind)
                self.assertIn(os.strerror(number), str(error))
                self.files.faults.clear()
                for found in self.get(self.backend.list("")):
                    self.assertEqual(self.read(found), CONTENT)
                self.assertEqual(self.read(self.get(self.backend.put(NAME, path, None))), CONTENT)
                self.assertEqual(self.lying(), ["000000.hxr", "000000.hxr.meta"])

    def test_killed(self) -> None:
        """Killed at any call: what can be listed is whole, and putting again comes to the same end."""
        path = self.file()
        life, killed = 0, True
        while killed:
            self.setUp()
            self.files.life = life
            try:
                self.backend.put(NAME, path, 5.0).addErrback(lambda failure: failure.trap(Exception))
                killed = False
            except Killed:
                pass
            self.files.life = None
            for found in self.get(self.backend.list("")):
                self.assertEqual(self.read(found), CONTENT)
            receipt = self.get(self.backend.put(NAME, path, 5.0))
            self.assertEqual((receipt.checksum, receipt.retainUntil), (DIGEST, 5.0))
            self.assertEqual(self.lying(), ["000000.hxr", "000000.hxr.meta"])
            life += 1
        self.assertGreater(life, 10)

    def test_faster(self) -> None:
        """Two at once: one name, one object; other bytes lose."""
        real = self.files.link
        for content, fails in ((CONTENT, False), (b"other", True)):
            self.setUp()
            target = os.path.join(self.root, *NAME.split("/"))

            def link(old, new, target=target, content=content):
                with open(target, "wb") as file:
                    file.write(content)
                real(old, new)

            self.files.link = link
            if fails:
                self.failed(self.put(), StorageConflict)
            else:
                self.get(self.put())

    def test_notThere(self) -> None:
        """A mount that is away is not made up on the disk below it."""
        root = self.mktemp()
        backend = FolderBackend(root, Now())
        self.assertIn("mounted", str(self.failed(backend.put(NAME, self.file(), None), StorageUnavailable)))
        self.failed(backend.list(""), StorageUnavailable)
        self.assertFalse(os.path.exists(root))

    def test_localGone(self) -> None:
        self.failed(self.backend.put(NAME, self.mktemp(), None), NotStored)
        self.assertEqual(self.lying(), [])

    def test_badMeta(self) -> None:
        """Nobody deletes what he does not know to be free."""
        receipt = self.get(self.put())
        with open(os.path.join(self.root, *NAME.split("/")) + ".meta", "wb") as file:
            file.write(b"{")
        self.failed(self.backend.delete(receipt), StorageRefused)
        self.assertIn("000000.hxr", self.lying())

    def test_reserved(self) -> None:
        for ending in (".meta", ".new"):
            self.failed(self.backend.put(NAME + ending, self.file(), None), ValueError)

    def test_expired(self) -> None:
        """What was to be kept until then can go afterwards."""
        receipt = self.get(self.put(until=time.time() - 3600))
        self.get(self.backend.delete(receipt))
        self.assertEqual(self.lying(), [])


class InPlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = self.mktemp()
        self.folder = os.path.join(self.data, "recordings", *NAME.split("/")[1:-1])
        os.makedirs(self.folder)
        self.path = os.path.join(self.folder, "000000.hxr")
        with open(self.path, "wb") as file:
            file.write(CONTENT)
        self.backend = InPlace(self.data, "gw1", Now())

    def test_put(self) -> None:
        """Nothing is copied, nothing is written."""
        verifyObject(IStorageBackend, self.backend)
        for checksum in (None, DIGEST):
            receipt = self.successResultOf(self.backend.put(NAME, self.path, 1e12, checksum))
            self.assertEqual((receipt.name, receipt.checksum, receipt.retainUntil), (NAME, DIGEST, None))
        self.assertEqual(os.listdir(self.folder), ["000000.hxr"])
        with self.successResultOf(self.backend.open(receipt)) as file:
            self.assertEqual(file.read(), CONTENT)

    def test_elsewhere(self) -> None:
        other = os.path.join(self.folder, "000001.hxr")
        with open(other, "wb") as file:
            file.write(CONTENT)
        self.failureResultOf(self.backend.put(NAME, other, None), StorageConflict)
        self.failureResultOf(self.backend.put(NAME.replace("gw1", "gw2"), self.path, None), NotStored)

    def test_list(self) -> None:
        for name in ("open.hxr", "next.hxr", "000000.seal", "000001.hxr.new"):
            with open(os.path.join(self.folder, name), "wb"):
                pass
        os.mkdir(os.path.join(self.folder, "we ird"))
        with open(os.path.join(self.folder, "we ird", "000000.hxr"), "wb"):
            pass
        os.symlink("nowhere", os.path.join(self.folder, "000009.hxr"))
        for prefix, names in (("", [NAME]), ("gw1/", [NAME]), ("gw1/2026/01/02/", [NAME]), ("gw1/2027", []), ("gw2/", [])):
            self.assertEqual([each.name for each in self.successResultOf(self.backend.list(prefix))], names)
        (found,) = self.successResultOf(self.backend.list(""))
        self.assertEqual(self.successResultOf(self.backend.stat(found)).checksum, DIGEST)
        self.assertEqual(self.successResultOf(InPlace(self.mktempFolder(), "gw1", Now()).list("")), [])

    def mktempFolder(self) -> str:
        path = self.mktemp()
        os.makedirs(path)
        return path

    def test_locks(self) -> None:
        """Kept beside the segment, where somebody asks for it."""
        receipt = self.successResultOf(self.backend.put(NAME, self.path, None))
        self.successResultOf(self.backend.hold(receipt, True))
        self.failureResultOf(self.backend.delete(receipt), StorageRefused)
        self.successResultOf(self.backend.hold(receipt, False))
        self.successResultOf(self.backend.delete(receipt))
        self.assertEqual(os.listdir(self.folder), [])
