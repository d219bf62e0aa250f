"""Sessions of which there is nothing in the data directory any more: the store has them, and commands read them from there."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

from hoopx.cli.stock import ENOUGH
from hoopx.cli.verify import command as verify
from hoopx.config.settings import GatewaySettings, Name, RecordingSettings
from hoopx.curator.indexing import Indexing
from hoopx.curator.settings import CuratorSettings
from hoopx.frames import segmentName
from hoopx.index.store import address, openForWriting
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.registry import protocols
from hoopx.storage.folder import FolderBackend
from hoopx.ulid import ulid, ulidTime
from tests.cli.test_away import MovedCase


class LostTests(MovedCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure(
            gateway=GatewaySettings(name=Name("gw1"), data=str(self.data)),  # type: ignore[arg-type]
            recording=RecordingSettings(store=f"file:{self.bucket}"),
        )

    def lost(self, **more: Any) -> str:
        """@return: a session that was recorded, indexed and stored here, and of which the store has all that is left."""
        session = self.moved(**more).session
        shutil.rmtree(self.data / "recordings")
        return str(session)

    async def fails(self, *arguments: str) -> str:
        status, out, err = await self.sessions(*arguments)
        self.assertEqual((status, out), (1, ""), arguments)
        self.assertEqual(list(self.temporary.iterdir()), [])
        return " ".join(err.split())

    async def test_everyLook(self) -> None:
        """Shown, replayed, exported, as if it were here, and nothing stays of that."""
        session = self.lost()
        for command in ("show", "replay"):
            status, out, err = await self.sessions(command, session)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("alice (human)", out)
            self.assertIn("state    complete (client-left)", out)
        target = Path(self.mktemp())
        status, _, err = await self.sessions("export", session, "--format", "raw", "--from", "client", "-o", str(target))
        self.assertEqual(status, 0, err)
        self.assertEqual((target.stat().st_size, target.read_bytes()[-7:]), (2 * 5 * 1024 + 7, b"the end"))
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertFalse((self.data / "recordings").exists())

    async def test_listed(self) -> None:
        """What the index lists can be looked at."""
        indexing = Indexing(CuratorSettings(str(self.data), "gw1", index="full"), protocols())
        session = self.lost(index=indexing)
        indexing.close()
        (line,) = await self.listed()
        self.assertEqual((await self.sessions("show", line["session"], "--json"))[0], 0)
        self.assertEqual(line["session"], session)

    async def test_beginning(self) -> None:
        """Of an id, as with what is here; but for two letters not the whole store is looked through."""
        asked: list[str] = []
        original = FolderBackend.list

        def list_(backend: Any, prefix: str) -> Any:
            asked.append(prefix)
            return original(backend, prefix)

        self.patch(FolderBackend, "list", list_)
        session = self.lost()
        day = time.strftime("%Y/%m/%d", time.gmtime(ulidTime(session)))
        for length in (26, 20, 10, ENOUGH):
            self.assertEqual((await self.sessions("show", session[:length].lower()))[0], 0)
        self.assertEqual(asked[:3], [f"gw1/{day}/{session[:length]}" for length in (26, 20, 10)])
        asked.clear()
        for unknown in (session[: ENOUGH - 1], "", "not-an-id", "ZZZZZZZZ", session[:-1] + ("0" if session[-1] != "0" else "1")):
            self.assertIn("there is no session", await self.fails("show", unknown))
        self.assertEqual(len(asked), 1)

    async def test_ambiguous(self) -> None:
        first = self.lost()
        twin = ulid(ulidTime(first))
        folder = next(self.bucket.rglob(first))
        shutil.copytree(folder, folder.with_name(twin))
        self.assertIn("could be any of", await self.fails("show", first[:10]))

    async def test_hereFirst(self) -> None:
        """The store is not asked for what is here."""
        session = self.moved().session
        shutil.rmtree(self.bucket / "gw1")
        await self.listed()
        (line,) = await self.listed()
        self.assertEqual(line["session"], session)
        self.assertIn("is not in", await self.fails("show", session))

    async def test_emptyDirectory(self) -> None:
        """A directory of which all files are gone."""
        session = self.moved().session
        next(self.data.rglob("stored.json")).unlink()
        self.assertEqual((await self.sessions("show", session))[0], 0)

    async def test_storeAway(self) -> None:
        """It is said which store was asked, and not that there is no such session."""
        session = self.lost()
        self.bucket.rename(f"{self.bucket}-away")
        for arguments in (["show"], ["replay"], ["export", "--format", "jsonl"], ["export", "--proof"], ["tag", "--list"], ["review", "--list"]):
            said = await self.fails(*arguments, session)
            self.assertIn("can not be looked through", said)
            self.assertIn(f"file:{self.bucket}", said.replace(" ", ""))

    async def test_noStore(self) -> None:
        session = self.lost()
        self.configure(recording=RecordingSettings())
        self.assertIn("there is no session", await self.fails("show", session))

    async def test_ofAnother(self) -> None:
        """What another gateway keeps in the same store is not ours."""
        session = self.lost()
        (self.bucket / "gw1").rename(self.bucket / "gw2")
        self.assertIn("there is no session", await self.fails("show", session))

    async def test_erased(self) -> None:
        """An object that was put back from a copy is not shown: the ledger says that it was erased."""
        session = self.lost()
        ledger = Ledger.open(str(self.data / "ledger"), self.key(), "gw1")
        ledger.append([leaf("erased", 1.0, session=session, audit="0" * 64)])
        ledger.checkpoint()
        ledger.close()
        self.assertIn("was erased", await self.fails("show", session))

    def key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.generate()

    async def test_endMissing(self) -> None:
        """The gateway was lost before the last segments were stored: what there is is shown, and that it is not all."""
        session = self.lost(segments=4)
        for number in (2, 3):
            next(self.bucket.rglob(segmentName(number))).unlink()
        status, out, err = await self.sessions("show", session)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("damaged (its end is missing: 000001.hxr is the last", " ".join(out.split()))

    async def test_marks(self) -> None:
        """Tagged and reviewed."""
        session = self.lost()
        status, _, err = await self.sessions("tag", session, "odd")
        self.assertEqual((status, err), (0, ""))
        status, out, _ = await self.sessions("tag", session, "--list", "--json")
        self.assertEqual([each["tag"] for each in json.loads(out)], ["odd"])
        status, _, err = await self.sessions("review", session, "--note", "looked at")
        self.assertEqual(status, 0, err)

    async def test_proof(self) -> None:
        """The ledger is lost, too: the store's copy proves it."""
        recorded = self.moved()
        session = recorded.session
        key = self.key()
        ledger = Ledger.open(str(self.data / "ledger"), key, "gw1")
        self.prove(ledger, recorded)
        shutil.rmtree(self.data / "recordings")
        target = Path(self.mktemp())
        status, _, err = await self.sessions("export", session, "--proof", "-o", str(target))
        self.assertEqual(status, 0, err)
        ledger.close()
        top = self.bucket / "gw1" / "ledger"
        for path in (self.data / "ledger").rglob("*"):
            if path.is_file() and path.name not in ("lock", "checkpoint"):
                copy = top / path.relative_to(self.data / "ledger")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        (top / "checkpoint").mkdir()
        shutil.copy(self.data / "ledger" / "checkpoint", top / "checkpoint" / f"{1:012d}")
        shutil.rmtree(self.data / "ledger")
        again = Path(self.mktemp())
        status, _, err = await self.sessions("export", session, "--proof", "-o", str(again))
        self.assertEqual(status, 0, err)
        one, other = ({name: bundle.read(name) for name in bundle.namelist()} for bundle in map(zipfile.ZipFile, (target, again)))
        self.assertEqual(one, other)
        self.assertEqual(len([name for name in one if name.endswith(".hxr")]), 3)

    def prove(self, ledger: Ledger, recorded: Any) -> None:
        ledger.append([leaf("opened", 1.0, session=recorded.session, key="0" * 64, head="1" * 64)])
        ledger.checkpoint()

    async def test_verified(self) -> None:
        """The store as a whole, with nothing of it here."""
        session = self.lost()
        status, out, err = await self.hoopx(verify, f"file:{self.bucket}", "--json")
        (line,) = [line for line in json.loads(out) if "session" in line]
        self.assertEqual((line["session"], line["state"]), (session, "complete"))
        self.assertEqual(status, 0, err)

    async def test_unindexed(self) -> None:
        """An index that knows nothing of it changes nothing."""
        session = self.lost()
        openForWriting(address("sqlite:", self.data)).dispose()
        self.assertEqual((await self.sessions("replay", session))[0], 0)
