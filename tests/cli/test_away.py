"""
Sessions whose segments are only in a store, read as if they were here.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pyrage

from hoopx.curator.storing import Storing
from hoopx.frames import segmentName
from hoopx.recording.elsewhere import MARKER
from hoopx.recording.files import Files
from hoopx.storage.folder import FolderBackend
from hoopx.storage.reading import Here
from tests.cli.recordings import NoRoom
from tests.cli.test_sessions import Case
from tests.curator.rig import Clock, Recorded, bench, book


class MovedCase(Case):
    """Recordings of the real store, through the real bench and the real C{file:} backend, until nothing is left of them here."""

    def setUp(self) -> None:
        super().setUp()
        self.recorded: Any = None
        self.bucket = Path(self.mktemp()).absolute()
        self.bucket.mkdir()
        self.temporary = Path(self.mktemp()).absolute()
        self.temporary.mkdir()
        self.patch(tempfile, "tempdir", str(self.temporary))

    def moved(self, recipients: Any = (), segments: int = 3, index: Any = None, **head: Any) -> Any:
        """@return: a recording that is in the store alone."""
        head = {"identity": {"name": "alice", "kind": "human"}, "account": "app", "client": "127.0.0.1:5", **head}
        if self.recorded is None:
            self.recorded = Recorded(str(self.data))
        recording = self.recorded.session(segments, head=head)
        listed = book()
        self.addCleanup(listed.close)
        table, leaf = bench(listed, recipients=recipients, index=index), 0
        while (step := table.step(recording.session, recording.path)) is not None:
            table.logged(step, [leaf, leaf + 1][: len(step.leaves)])
            leaf += len(step.leaves)
        clock = Clock()
        backend = FolderBackend(str(self.bucket), Here())
        storing = Storing(
            listed, backend, f"file:{self.bucket}", "gw1", lambda target, labels: 0.0, 0.0, Here(), clock, lambda: 9e9,
            lambda alarm, text: None, Files(),
        )  # fmt: skip
        storing.start()
        clock.pump([60] * 3)
        self.assertEqual(os.listdir(recording.path), [MARKER])
        return recording


class AwayTests(MovedCase):
    async def shown(self, session: str, *arguments: str) -> list[Any]:
        status, out, err = await self.sessions("export", session, "--format", "raw", "--from", "client", *arguments)
        self.assertEqual((status, err), (0, ""))
        return [out]

    async def test_list(self) -> None:
        """Nothing is fetched for a list, with the store away as well: the marker tells."""
        recording = self.moved()
        self.bucket.rename(f"{self.bucket}-away")
        (line,) = await self.listed()
        self.assertEqual((line["session"], line["user"], line["target"], line["state"]), (recording.session, "alice", "orders", "complete"))
        self.assertEqual((line["reason"], line["bytes_from_client"]), ("client-left", 2 * 5 * 1024 + 7))
        self.assertIsNotNone(line["ended"])
        self.assertEqual([each["session"] for each in await self.listed("--target", "orders", "--label", "run=7")], [recording.session])

    async def test_listEncrypted(self) -> None:
        """What the index would say, too: no more than names and times."""
        recording = self.moved([str(pyrage.x25519.Identity.generate().to_public())])
        (line,) = await self.listed()
        self.assertEqual((line["session"], line["user"], line["target"], line["state"]), (recording.session, "alice", "orders", "complete"))

    async def test_showAndReplay(self) -> None:
        recording = self.moved()
        for name in ("show", "replay"):
            status, out, err = await self.sessions(name, recording.session)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("alice (human)", out)
        self.assertEqual(list(self.temporary.iterdir()), [])

    async def test_export(self) -> None:
        """Every byte, a segment at a time: with room for none, two are on the disk at once."""
        recording = self.moved(segments=5)
        room = NoRoom(self)
        target = Path(self.mktemp())
        status, _, err = await self.sessions("export", recording.session, "--format", "raw", "--from", "client", "-o", str(target))
        self.assertEqual(status, 0, err)
        self.assertEqual(target.stat().st_size, 4 * 5 * 1024 + 7)
        self.assertEqual(target.read_bytes()[-7:], b"the end")
        self.assertEqual((room.most, list(self.temporary.iterdir())), (2, []))

    async def test_identity(self) -> None:
        identity = pyrage.x25519.Identity.generate()
        recording = self.moved([str(identity.to_public())])
        keyfile = Path(self.mktemp())
        keyfile.write_text(str(identity))
        status, _, err = await self.sessions("show", recording.session)
        self.assertEqual(status, 1)
        self.assertIn("--identity", err)
        status, out, err = await self.sessions("show", recording.session, "--identity", str(keyfile), "--json")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(json.loads(out.splitlines()[-1])["reason"], "client-left")

    async def test_storeAway(self) -> None:
        """It is said where the segments are."""
        recording = self.moved()
        self.bucket.rename(f"{self.bucket}-away")
        for arguments in (["show"], ["replay"], ["export", "--format", "jsonl"]):
            status, _, err = await self.sessions(*arguments, recording.session)
            self.assertEqual(status, 1, arguments)
            self.assertIn(f"file:{self.bucket}", " ".join(err.split()).replace(" ", ""))
        self.assertEqual(list(self.temporary.iterdir()), [])

    async def test_gone(self) -> None:
        """One object is missing: what is before it is shown, then what is wrong; nothing ends as if that were all."""
        recording = self.moved()
        for path in self.bucket.rglob(segmentName(1)):
            path.unlink()
        target = Path(self.mktemp())
        status, _, err = await self.sessions("export", recording.session, "--format", "raw", "--from", "client", "-o", str(target))
        self.assertEqual(status, 1)
        self.assertIn("000001.hxr", err)
        self.assertIn("any more", " ".join(err.split()))

    async def test_private(self) -> None:
        """Copies are the user's alone."""
        from hoopx.storage.reading import StoredObjects

        recording = self.moved()
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        objects = StoredObjects(FolderBackend(str(self.bucket), Here()))
        copy = self.temporary / "copy"
        told: list[int] = []
        objects.fetch(objects.names()[0], str(copy), told.append)
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        self.assertEqual(sum(told), copy.stat().st_size)
        self.assertTrue(recording.session)
