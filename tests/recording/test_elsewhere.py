"""Segments that are in a store, and no longer where they were written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile

from hoopx.config.loader import parse
from hoopx.recording.elsewhere import MARKER, Place, inStore, placed
from hoopx.recording.evidence import Evidence
from hoopx.recording.stored import opener
from hoopx.storage import reading
from hoopx.storage.declared import DeclaredBackend
from hoopx.storage.errors import StorageUnavailable
from hoopx.storage.names import objectName
from hoopx.storage.reading import Here, StoredFiles, StoredObjects
from hoopx.storage.select import backend
from tests.recording.test_evidence import EvidenceBase


class ElsewhereTests(EvidenceBase):
    def setUp(self):
        super().setUp()
        self.bucket = os.path.join(self.folder, "bucket")
        os.mkdir(self.bucket)
        settings = parse(f'[gateway]\nname = "gw"\ndata = "{self.data}"\n', os.path.join(self.folder, "x.toml"))
        declared = {"file": DeclaredBackend("file", "hoopx.storage.folder.make")}
        self.backend = backend(f"file:{self.bucket}", settings, Here(), None, declared)

    def move(self, name, keep=()):
        """As the curator does when a local copy has lain long enough."""
        path = self.path(name)
        objects = {}
        for each in sorted(os.listdir(path)):
            if each[:-4].isdigit():
                objects[each] = objectName("gw", os.path.join(path, each))
                self.successResultOf(self.backend.put(objects[each], os.path.join(path, each), None))
        with open(os.path.join(path, MARKER), "w", encoding="ascii") as file:
            json.dump({"session": self.world.sessions[name], "store": f"file:{self.bucket}", "objects": objects}, file)
        for each in objects:
            if each not in keep:
                os.remove(os.path.join(path, each))
        return objects

    def judged(self, store, objects=None, identities=()):
        found = Evidence(self.data, self.inquire, opener(identities), store, objects).run()
        return {self.names.get(verdict.session, verdict.session): verdict for verdict in found}

    def stores(self):
        """The same objects, by their backend and as a copy of the bucket."""
        copy = os.path.join(self.folder, "copy")
        shutil.copytree(self.bucket, copy)
        return StoredObjects(self.backend), StoredFiles(copy)

    def test_away(self):
        """Without the store they can not be checked; with it every byte is, and nothing is left behind."""
        self.move("plain", keep=("000000.hxr",))
        self.move("compressed")
        self.move("encrypted")
        self.assertWrong(self.judged(None), plain="say where that is with --store", compressed="000000.hxr", encrypted="000000.hxr")
        self.assertEqual(self.judged(None)["plain"].state, "unchecked")
        tempfile.tempdir = os.path.join(self.folder, "temporary")
        self.addCleanup(setattr, tempfile, "tempdir", None)
        os.mkdir(tempfile.tempdir)
        for store in self.stores():
            for identities in ((), [self.world.identity]):
                found = self.judged(store, identities=identities)
                self.assertWrong(found)
                self.assertEqual({found[name].state for name in ("plain", "compressed", "encrypted")}, {"complete"})
        self.assertEqual(os.listdir(tempfile.tempdir), [])

    def test_linked(self):
        """A link that somebody has put into the directory is not followed, whatever is fetched beside it."""
        path = os.path.join(self.path("plain"), "000000.hxr")
        self.move("plain", keep=("000000.hxr",))
        os.rename(path, os.path.join(self.folder, "kept"))
        os.symlink(os.path.join(self.folder, "kept"), path)
        for store in self.stores():
            self.assertWrong(self.judged(store), plain="000000.hxr: not a regular file, but a symbolic link")

    def test_tampered(self):
        """In the store: an object that is not there, is another one, is changed."""
        objects = self.move("plain")
        self.move("short")
        path = os.path.join(self.bucket, objects["000001.hxr"])
        with open(path, "rb") as file:
            kept = bytearray(file.read())
        os.remove(path)
        for store in self.stores():
            self.assertWrong(self.judged(store), plain="000001.hxr: the segment is missing")
        shutil.rmtree(os.path.join(self.folder, "copy"))
        kept[100] ^= 1
        with open(path, "wb") as file:
            file.write(kept)
        self.assertWrong(self.judged(StoredFiles(self.bucket)), plain="000001.hxr: frame 0")

    def test_bucket(self):
        """Nothing but the store and the ledger; what was never stored is missed."""
        for name in ("plain", "compressed", "encrypted", "short", "sealed", "recovered"):
            self.move(name)
        objects = StoredObjects(self.backend)
        found = self.judged(objects, objects.names())
        self.assertWrong(found, live="the ledger has this session")
        self.assertEqual(found["recovered"].state, "recovered")
        self.assertEqual(found["erased"].state, "erased")

    def test_planted(self):
        """Under a segment's name, but not where a gateway puts it: it takes nothing's place."""
        objects = self.move("plain")
        planted = os.path.join(self.bucket, "gw", "zzz", self.world.sessions["plain"], "000000.hxr")
        os.makedirs(os.path.dirname(planted))
        with open(planted, "wb") as file:
            file.write(b"x" * 1000)
        stored = StoredObjects(self.backend)
        verdicts = self.judged(stored, stored.names())
        self.assertEqual(verdicts["plain"].state, "complete")
        os.remove(os.path.join(self.bucket, objects["000000.hxr"]))
        self.assertNotIn(objects["000000.hxr"], stored.names(), "what is gone is not told again")
        # A name that is ours is no reason to fill the disk.
        self.patch(reading, "HUGE", 999)
        self.assertRaises(ValueError, stored.fetch, planted[len(self.bucket) + 1 :], self.mktemp())

    def test_unavailable(self):
        class Gone:
            def fetch(self, name, path):
                raise StorageUnavailable("the store is away")

        self.move("plain")
        found = self.judged(Gone())
        self.assertWrong(found, plain="can not be read: the store is away")
        self.assertEqual(found["plain"].state, "unchecked")

    def test_marker(self):
        """One that is nonsense hides nothing: the segments are missed."""
        marker = os.path.join(self.path("plain"), MARKER)
        self.move("plain")
        for text in ("nonsense", "[]", '{"objects": 1}', '{"objects": {"../../etc/passwd": "x"}}'):
            os.remove(marker)
            with open(marker, "w", encoding="ascii") as file:
                file.write(text)
            self.assertWrong(self.judged(StoredFiles(self.bucket)), plain="the ledger has")
        os.remove(marker)
        with open(marker, "w", encoding="ascii") as file:
            json.dump({"objects": {"000000.hxr": "../../outside"}}, file)
        verdict = self.judged(StoredFiles(self.bucket))["plain"]
        self.assertNotIn(verdict.state, ("complete", "live"))

    def test_places(self):
        names = ["gw/2023/11/14/01HF7YB3RGYPRPA8JAB2VS3WER/000000.hxr", "gw/2023/11/14/01HF7YB3RGYPRPA8JAB2VS3WER/000001.hxr", "other"]
        (place,) = inStore(names)
        self.assertEqual(place, Place("01HF7YB3RGYPRPA8JAB2VS3WER", None, {"000000.hxr": names[0], "000001.hxr": names[1]}))
        self.assertEqual(placed(self.path("plain")), Place(self.world.sessions["plain"], self.path("plain")))
