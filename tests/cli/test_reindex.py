"""The index made again: from what is here, and from what is only in the store."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyrage
from attrs import evolve

from hoopx.cli import reindex as module
from hoopx.cli.reindex import command
from hoopx.cli.search import command as search
from hoopx.config.settings import GatewaySettings, Name, RecordingSettings
from hoopx.curator.indexing import Indexing
from hoopx.curator.settings import CuratorSettings
from hoopx.frames import segmentName
from hoopx.index.store import address, openForReading
from hoopx.ledger.leaf import leaf
from hoopx.recording.elsewhere import MARKER
from hoopx.registry import protocols
from hoopx.storage import reading
from hoopx.storage.errors import StorageUnavailable
from hoopx.storage.folder import FolderBackend
from tests.cli.gateway import GatewayCase
from tests.cli.recordings import NoRoom
from tests.cli.test_away import MovedCase
from tests.index.rig import BEGAN, asked, contents, folder, record


class ReindexTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.first = record(self.data, [asked("SELECT 'one'")])
        self.second = record(self.data, [asked("SELECT 'two'")], started=BEGAN + 1)

    async def found(self, said: str) -> int:
        _, out, _ = await self.hoopx(search, said, "--json")
        return len(json.loads(out))

    async def test_reindex(self) -> None:
        for arguments in ([], [], ["--fresh"]):
            self.assertEqual(await self.hoopx(command, *arguments), (0, "", "2 sessions are in the index.\n"))
            self.assertEqual(await self.found("select"), 2)

    async def test_metadata(self) -> None:
        """What is said stays out of an index of metadata."""
        self.configure(recording=evolve(self.settings.recording, index="metadata"))
        await self.hoopx(command)
        self.assertEqual(await self.found("select"), 0)

    async def test_damaged(self) -> None:
        """The others are in it, and the command says no."""
        path = Path(folder(self.data, self.first)) / "000000.hxr"
        path.write_bytes(path.read_bytes()[:-10])
        status, _, err = await self.hoopx(command)
        self.assertEqual(status, 1)
        self.assertIn(self.first, err)
        self.assertEqual((await self.found("one"), await self.found("two")), (0, 1))


class StoredTests(MovedCase):
    """Sessions of which there is nothing here but a marker, or not even that."""

    def setUp(self) -> None:
        super().setUp()
        self.configure(
            gateway=GatewaySettings(name=Name("gw1"), data=str(self.data)),  # type: ignore[arg-type]
            recording=RecordingSettings(store=f"file:{self.bucket}"),
        )
        self.patch(reading, "PAUSES", ())

    def indexed(self, count: int = 2, full: bool = True, **more: Any) -> list[str]:
        """Sessions that the curator has indexed before they went away."""
        indexing = Indexing(CuratorSettings(str(self.data), "gw1", index="full" if full else "metadata"), protocols())
        try:
            return [self.moved(index=indexing, **more).session for _ in range(count)]
        finally:
            indexing.close()

    def contents(self) -> Any:
        engine = openForReading(address("sqlite:", self.data))
        try:
            return contents(engine)
        finally:
            engine.dispose()

    def lose(self) -> None:
        for path in self.data.glob("index.sqlite*"):
            path.unlink()

    async def reindex(self, *arguments: str, status: int = 0) -> str:
        found, out, err = await self.hoopx(command, *arguments)
        self.assertEqual((found, out), (status, ""), err)
        self.assertEqual(list(self.temporary.iterdir()), [])
        return " ".join(err.split())

    async def test_markers(self) -> None:
        """Local copies are gone: the index is the same, also from nothing, and anew."""
        self.indexed()
        before = self.contents()
        self.assertTrue(before[0] and before[1])
        for arguments in ([], ["--fresh"]):
            self.assertIn("2 sessions are in the index", await self.reindex(*arguments))
            self.assertEqual(self.contents(), before)
        self.lose()
        await self.reindex()
        self.assertEqual(self.contents(), before)

    async def test_nothingHere(self) -> None:
        """The data directory is lost."""
        self.indexed(3)
        before = self.contents()
        for path in self.data.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.assertIn("3 sessions are in the index", await self.reindex())
        self.assertEqual(self.contents(), before)
        self.assertEqual(len(await self.listed()), 3)

    async def test_noMarker(self) -> None:
        """Half of a session is here, and nothing says where the rest is: the store's own list does."""
        (session,) = self.indexed(1)
        before = self.contents()
        path = Path(folder(self.data, session))
        (path / MARKER).unlink()
        shutil.copy(next(self.bucket.rglob(f"{session}/{segmentName(1)}")), path)
        self.lose()
        await self.reindex()
        self.assertEqual(self.contents(), before)

    async def test_others(self) -> None:
        """What another gateway keeps in the same store is not ours."""
        self.indexed(1)
        shutil.copytree(self.bucket / "gw1", self.bucket / "gw2")
        other = self.moved()
        for path in self.bucket.rglob(other.session):
            os.renames(path, str(path).replace("/gw1/", "/gw2/"))
        shutil.rmtree(other.path)
        self.assertIn("1 session is in the index", await self.reindex())

    async def test_metadata(self) -> None:
        self.configure(recording=evolve(self.settings.recording, index="metadata"))
        self.indexed(full=False)
        before = self.contents()
        self.assertEqual(before[2], [])
        self.lose()
        await self.reindex()
        self.assertEqual(self.contents(), before)

    async def test_encrypted(self) -> None:
        """With an auditor's key; without one they are named, and what the index knows stays."""
        identity = pyrage.x25519.Identity.generate()
        keyfile = Path(self.mktemp())
        keyfile.write_text(str(identity))
        several = self.indexed(recipients=[str(identity.to_public())])
        before = self.contents()
        said = await self.reindex(status=1)
        for session in several:
            self.assertIn(session, said)
        self.assertIn("--identity", said)
        self.assertEqual(self.contents(), before)
        await self.reindex("--identity", str(keyfile))
        self.assertEqual(self.contents(), before)
        self.lose()
        await self.reindex("--identity", str(keyfile))
        self.assertEqual(self.contents(), before)
        # Without a key and an index: what the markers say.
        self.lose()
        await self.reindex(status=1)
        self.assertEqual([row[0] for row in self.contents()[0]], sorted(several))

    async def test_away(self) -> None:
        """The store can not be had: what is only there stays as it was, what is here is made anew, and it is said what to do."""
        self.indexed()
        local = record(self.data, [asked("SELECT 'here'")], node="gw1")
        await self.reindex()
        before = self.contents()
        self.bucket.rename(f"{self.bucket}-away")
        for _ in range(2):
            said = await self.reindex(status=1)
            self.assertIn("run hoopx reindex again", said)
            self.assertEqual(self.contents(), before)
        self.assertIn("Nothing was changed", await self.reindex("--fresh", status=1))
        self.assertEqual(self.contents(), before)
        self.lose()
        await self.reindex(status=1)
        self.assertIn(local, {row[0] for row in self.contents()[0]})
        Path(f"{self.bucket}-away").rename(self.bucket)
        await self.reindex()
        self.assertEqual(self.contents(), before)

    async def test_goesAwayMeanwhile(self) -> None:
        """It is not asked for each of thousands of sessions, nor waited for each time."""
        several = self.indexed(4)
        before = self.contents()
        opened: list[str] = []
        slept: list[float] = []
        self.patch(reading, "PAUSES", (1.0, 2.0))
        self.patch(reading.Patient.__init__, "__defaults__", (slept.append,))
        real = FolderBackend.open

        def open_(backend: Any, receipt: Any) -> Any:
            opened.append(receipt.name)
            if len(opened) > 4:
                raise StorageUnavailable("it is burning")
            return real(backend, receipt)

        self.patch(FolderBackend, "open", open_)
        said = await self.reindex(status=1)
        self.assertIn("it is burning", said)
        self.assertIn("run hoopx reindex again", said)
        self.assertEqual(self.contents(), before)
        self.assertEqual((slept, len(opened)), ([1.0, 2.0], 7))
        self.assertEqual(sum(session in said for session in several), 3)

    async def test_hiccup(self) -> None:
        """A store that is back after a moment costs nothing but the moment."""
        self.indexed(1)
        before = self.contents()
        self.lose()
        self.patch(reading, "PAUSES", (1.0, 2.0))
        self.patch(reading.Patient.__init__, "__defaults__", (lambda seconds: None,))
        real, fails = FolderBackend.open, [1, 0, 1, 1, 0, 0, 0, 0, 0]

        def open_(backend: Any, receipt: Any) -> Any:
            if fails.pop(0):
                raise StorageUnavailable("not now")
            return real(backend, receipt)

        self.patch(FolderBackend, "open", open_)
        await self.reindex()
        self.assertEqual(self.contents(), before)

    async def test_room(self) -> None:
        """No more than one session's segments are on the disk a second time, and of those but two when there is room for none."""
        self.indexed(3)
        room = NoRoom(self)
        await self.reindex()
        self.assertEqual(room.most, 2)

    async def test_erased(self) -> None:
        """What the ledger calls erased stays away, whoever has put its objects back."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from hoopx.ledger.log import Ledger

        gone, stays = self.indexed()
        for session in (gone, stays):
            shutil.rmtree(folder(self.data, session))
        ledger = Ledger.open(str(self.data / "ledger"), Ed25519PrivateKey.generate(), "gw1")
        ledger.append([leaf("erased", 1.0, session=gone, audit="ab" * 32)])
        ledger.checkpoint()
        ledger.close()
        await self.reindex("--fresh")
        self.assertEqual([row[0] for row in self.contents()[0]], [stays])

    def alone(self) -> tuple[str, str]:
        """@return: two sessions, of which there is nothing but the store's objects; the one that is read first comes first."""
        older, newer = self.indexed()
        for session in (older, newer):
            shutil.rmtree(folder(self.data, session))
        self.lose()
        return newer, older

    def objects(self, session: str) -> Path:
        (found,) = self.bucket.rglob(session)
        return found

    async def test_erasedThereMeanwhile(self) -> None:
        """The same where there is nothing but the objects: when it is looked again, they are gone."""
        gone, stays = self.alone()

        def erasing(total: int) -> Any:
            return nullcontext(lambda path: shutil.rmtree(self.objects(gone)) if path.endswith(stays) else None)

        self.patch(module, "_progress", erasing)
        self.assertIn("1 session is in the index", await self.reindex())
        self.assertEqual([row[0] for row in self.contents()[0]], [stays])

    async def test_planted(self) -> None:
        """Others may write into the bucket: what lies somewhere else under a segment's name does not take its place."""
        first, second = self.alone()
        await self.reindex()
        before = self.contents()
        (self.bucket / "gw1" / "zzz").mkdir()
        shutil.copytree(self.objects(first), self.bucket / "gw1" / "zzz" / second)
        await self.reindex()
        self.assertEqual(self.contents(), before)
        (self.bucket / "gw1" / "zzz" / second).rename(self.bucket / "gw1" / "zzz" / ("0" * 26))
        self.assertIn("2 sessions are in the index", await self.reindex("--fresh"))

    async def test_erasedMeanwhile(self) -> None:
        """A session that is erased after it was read does not come back, nor any word of it."""
        gone = record(self.data, [asked("SELECT 'zanzibar'")], started=BEGAN)
        record(self.data, [asked("SELECT 'trumpet'")], started=BEGAN - 5)

        def erasing(total: int) -> Any:
            def step(path: str) -> None:
                if not path.endswith(gone) and os.path.isdir(folder_):
                    shutil.rmtree(folder_)

            return nullcontext(step)

        folder_ = folder(self.data, gone)
        self.patch(module, "_progress", erasing)
        self.assertIn("1 session is in the index", await self.reindex())
        raw = b"".join(path.read_bytes() for path in self.data.glob("index.sqlite*"))
        self.assertIn(b"trumpet", raw)
        self.assertNotIn(b"zanzibar", raw)
