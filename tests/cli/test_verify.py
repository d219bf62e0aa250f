"""
C{hoopx verify}, and what C{sessions export --proof} writes for it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pyrage

from hoopx.cli import verify
from hoopx.cli.sessions import command as sessions
from hoopx.cli.verdicts import Report
from hoopx.cli.verify import command
from hoopx.config.settings import GatewaySettings, StoreSettings
from hoopx.ledger.note import Cosigner, parseCheckpoint, split
from hoopx.state.store import Store
from hoopx.storage.names import checkpointName
from hoopx.values import Reference
from tests.cli.gateway import GatewayCase
from tests.ledger.rig import key
from tests.recording import test_bucket
from tests.recording.world import ERASURE, World, build, close


class VerifyCase(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.data
        self.data = self.folder / "data"
        self.configure(gateway=GatewaySettings(data=str(self.data)))
        self.world = build(self.data)
        self.addCleanup(close, self.world)
        store = Store.open("sqlite:", self.data)
        store.addAudit([ERASURE])
        store.close()
        self.note = self.folder / "checkpoint"
        self.note.write_bytes(self.world.checkpoints[2])
        self.keyfile = self.folder / "auditor.txt"
        self.keyfile.write_text(f"# an auditor\n{self.world.identity}\n")
        self.keys = ["--ledger-key", self.world.vkey, "--witness-key", self.world.witness, "--checkpoint", str(self.note)]

    def path(self, name: str) -> str:
        (found,) = [place for place, _, _ in os.walk(self.data) if os.path.basename(place) == self.world.sessions[name]]
        return found

    async def verified(self, *arguments: str) -> tuple[int, list, str]:
        status, out, err = await self.hoopx(command, "--json", *arguments)
        return status, json.loads(out), err


class VerifyTests(VerifyCase):
    async def test_shape(self) -> None:
        status, found, err = await self.verified(*self.keys)
        self.assertEqual((status, err), (0, ""))
        ledger = found.pop()
        states = {line["session"]: line["state"] for line in found}
        self.assertEqual({name: states[id] for name, id in self.world.sessions.items()}, {
            "plain": "complete", "compressed": "complete", "encrypted": "complete", "short": "complete", "sealed": "complete",
            "recovered": "recovered", "erased": "erased", "live": "live", "opening": "live",
        })  # fmt: skip
        for line in found:
            self.assertTrue({"session", "state", "problem", "segment", "frame"} <= line.keys())
        self.assertEqual((ledger["session"], ledger["state"], ledger["against"]), (None, "consistent", "checkpoint"))
        self.assertEqual(ledger["witnesses"]["witness.example"]["size"], ledger["size"])

    async def test_text(self) -> None:
        status, out, err = await self.hoopx(command)
        self.assertEqual(status, 0)
        self.assertIn(f"{self.world.sessions['recovered']}  recovered, signed until 0.0", out)
        self.assertIn("consistent with itself only", err)
        _, _, err = await self.hoopx(command, "--witness-key", self.world.witness)
        self.assertIn("consistent with itself and what witnesses have signed", err)
        self.assertIn("5 complete", err)

    async def test_noOpening(self) -> None:
        """One that was refused needs none, and nothing is said of it; one that is older than the ledger is told."""
        refused = self.world.begin("refused", opened=False)
        refused.finish("refused")
        end = self.world.end(refused)
        self.world.keep(refused, compress=True)
        self.world.done(refused, end=end)
        self.world.sign()
        status, _, err = await self.hoopx(command)
        self.assertEqual(status, 0)
        self.assertNotIn("older", err)
        now, self.world.now = self.world.now, self.world.now - 10_000
        older = self.world.begin("older", opened=False)
        self.world.now = now
        older.say(self.world.words)
        older.finish(frames_from_client=6, frames_from_target=6)
        status, _, err = await self.hoopx(command)
        self.assertEqual(status, 0)
        self.assertIn("1 session is older than the ledger", err)

    async def test_audit(self) -> None:
        """What operators did is in the ledger: a row that is gone, or forged, is told, and nothing is well."""
        world = World(self.folder / "own")
        self.addCleanup(world.ledger.close)
        store = Store.open("sqlite:", self.folder / "own")
        for subject in ("S1", "S2"):
            row = {"at": 1.5, "actor": "uid 0 (root)", "action": "session.show", "subject": subject, "details": {}}
            world.leaf("audit", audit=store.addAudit([row])[0])
        world.sign()
        store.close()
        status, found, _ = await self.verified(world.data)
        self.assertEqual((status, found[-1]["audit"]), (0, {"state": "consistent", "rows": 2, "logged": 2, "problem": None}))
        self.assertIn("audit: 2 rows, 2 of them in the ledger", (await self.hoopx(command, world.data))[2])
        database = sqlite3.connect(self.folder / "own" / "state.sqlite")
        database.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE id = 2")
        database.close()
        status, found, _ = await self.verified(world.data)
        self.assertEqual((status, found[-1]["state"], found[-1]["audit"]["state"]), (1, "consistent", "TAMPERED"))
        status, _, err = await self.hoopx(command, world.data)
        self.assertEqual(status, 1)
        self.assertIn("audit: TAMPERED\n    1 row is missing, which the ledger has", err)

    async def test_noAudit(self) -> None:
        """The gateway's own is missed when the file is gone; that of a copy may have been left behind."""
        (self.data / "state.sqlite").unlink()
        status, found, _ = await self.verified()
        self.assertEqual((status, found[-1]["audit"]["state"]), (1, "missing"))
        status, found, _ = await self.verified(str(self.data))
        self.assertEqual((status, found[-1]["audit"]["state"]), (0, "unchecked"))
        self.assertIn("which is not in this folder: run hoopx verify at the gateway", found[-1]["audit"]["problem"])

    async def test_auditInServer(self) -> None:
        """One that is kept in a database server is asked for there. It should have been checked: that it could not be is a failure."""
        (self.folder / "url").write_text("postgresql://hoopx:hunter2@127.0.0.1:1/hoopx")
        for name, said in (("url", "127.0.0.1:1/hoopx, which can not be read"), ("nothing", "where that is can not be read")):
            self.configure(
                gateway=GatewaySettings(data=str(self.data)), state=StoreSettings(url=Reference("file", str(self.folder / name)))
            )
            status, out, err = await self.hoopx(command)
            self.assertEqual(status, 1)
            self.assertIn("audit: unchecked\n    it is in ", err)
            self.assertIn(said, err)
            self.assertNotIn("hunter2", out + err)

    async def test_auditOfAStore(self) -> None:
        """In a store there is no audit, and that is said."""
        shutil.copytree(self.data / "ledger", self.folder / "ledger")
        bucket = self.folder / "bucket" / "gw" / "2023" / "11" / "14"
        bucket.mkdir(parents=True)
        _, found, _ = await self.verified(f"file:{self.folder / 'bucket'}", "--ledger", str(self.folder / "ledger"))
        self.assertEqual(found[-1]["audit"]["state"], "unchecked")
        self.assertIn("which is not in a store or bundle", found[-1]["audit"]["problem"])

    async def test_identities(self) -> None:
        """What no identity has opened is told, and what of it was checked; an identity that opens nothing is an error."""
        status, found, _ = await self.verified(*self.keys)
        unopened = {line["session"]: line["unopened"] for line in found[:-1] if line["unopened"]}
        self.assertEqual((status, unopened.keys()), (0, {self.world.sessions[name] for name in ("encrypted", "sealed")}))
        status, out, err = await self.hoopx(command)
        said = "segments are encrypted and were not opened: the stored files are the ones in the ledger, their frames and seals were not checked"
        count = unopened[self.world.sessions["encrypted"]]
        self.assertEqual(status, 0)
        self.assertIn(f"{self.world.sessions['encrypted']}  complete\n    {count} {said}\n", out)
        self.assertIn(f"{sum(unopened.values())} {said}; give --identity", err)
        status, found, _ = await self.verified("--identity", str(self.keyfile))
        self.assertEqual((status, [line for line in found[:-1] if line["unopened"]]), (0, []))
        wrong = self.folder / "wrong.txt"
        wrong.write_text(f"{pyrage.x25519.Identity.generate()}\n")
        status, out, err = await self.hoopx(command, "--identity", str(wrong))
        self.assertEqual(status, 1)
        self.assertIn("none of the identities given opens anything here", err)
        status, _, _ = await self.hoopx(command, "--identity", str(wrong), "--identity", str(self.keyfile))
        self.assertEqual(status, 0)
        # Where nothing is encrypted there is nothing to open.
        status, _, _ = await self.hoopx(command, self.path("plain"), "--identity", str(wrong))
        self.assertEqual(status, 0)

    async def test_pipeCloses(self) -> None:
        """Whoever reads has had enough: that says nothing of the recordings."""
        with patch.object(Report, "session", side_effect=BrokenPipeError(errno.EPIPE, "Broken pipe")):
            status, _, err = await self.hoopx(command)
        self.assertEqual((status, err), (1, ""))

    async def test_tampered(self) -> None:
        name = os.path.join(self.path("plain"), "000001.hxr")
        with open(name, "rb") as file:
            data = bytearray(file.read())
        data[100] ^= 1
        os.remove(name)
        with open(name, "wb") as file:
            file.write(data)
        shutil.rmtree(self.path("short"))
        status, found, _ = await self.verified()
        self.assertEqual(status, 1)
        wrong = {line["state"]: (line["session"], line["segment"], line["frame"]) for line in found if line["problem"]}
        self.assertEqual(wrong, {
            "TAMPERED": (self.world.sessions["plain"], "000001.hxr", 0), "missing": (self.world.sessions["short"], "000000.hxr", None),
        })  # fmt: skip
        status, out, err = await self.hoopx(command)
        self.assertEqual(status, 1)
        self.assertIn("    000001.hxr: frame 0: checksum does not match", out)

    async def test_ledger(self) -> None:
        """Another ledger, no ledger, a witness that has not signed: the ledger is told, and exit status 1."""
        for arguments, said in (
            (["--ledger-key", self.world.witness], None),
            (["--witness-key", self.world.vkey], None),
            (["--ledger-key", "nonsense"], None),
            (["--ledger", str(self.data / "keys"), "--ledger-key", self.world.vkey], "there is no ledger"),
        ):
            status, out, err = await self.hoopx(command, "--json", *arguments)
            self.assertEqual(status, 2 if said is None else 1, err)
        os.remove(self.data / "ledger" / "checkpoint")
        status, found, _ = await self.verified(*self.keys)
        self.assertEqual((status, found[-1]["state"]), (1, "TAMPERED"))
        self.assertIn("no checkpoint any more", found[-1]["problem"])

    async def test_withoutLedger(self) -> None:
        """A copy of some folders: by their own keys; what is encrypted is read with an identity, and else is not checked."""
        elsewhere = self.folder / "elsewhere"
        for name in ("plain", "encrypted", "compressed"):
            shutil.copytree(self.path(name), elsewhere / "bucket" / self.world.sessions[name])
        status, found, _ = await self.verified(str(elsewhere))
        self.assertEqual((status, sorted(line["state"] for line in found)), (1, ["complete", "complete", "unchecked"]))
        status, found, _ = await self.verified(str(elsewhere), "--identity", str(self.keyfile))
        self.assertEqual((status, {line["state"] for line in found}), (0, {"complete"}))
        status, found, _ = await self.verified(str(elsewhere), "--ledger", str(self.data / "ledger"))
        self.assertEqual((status, {line["state"] for line in found}), (1, {"complete", "missing", "erased", "consistent"}))
        status, found, _ = await self.verified(str(elsewhere / "bucket" / self.world.sessions["plain"]))
        self.assertEqual((status, [line["state"] for line in found]), (0, ["complete"]))

    async def test_twins(self) -> None:
        """A second ledger of the same name, signed and sound, such as an old copy, does not speak for one that was tampered with."""
        maker = test_bucket.BucketTests()
        maker.setUp()
        self.addCleanup(maker.doCleanups)
        ledgerKey = maker.gateway("gw1", 5)
        bucket = Path(maker.root)
        shutil.copytree(bucket / "gw1", bucket / "zz")
        checkpoint = bucket / checkpointName("gw1", 5)
        checkpoint.chmod(0o600)
        checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n5\n", b"\n6\n"))
        memory = self.folder / "seen"
        memory.mkdir()
        for arguments in ([], ["--ledger-key", ledgerKey.vkey], ["--remember", str(memory)]):
            status, found, err = await self.verified(f"file:{bucket}", *arguments)
            self.assertEqual((status, sorted(line["state"] for line in found)), (1, ["TAMPERED", "consistent"]), err)
        self.assertEqual(list(memory.iterdir()), [])

    async def test_store(self) -> None:
        """A store as the configuration names it, a folder of its objects, and one that is not there."""
        bucket = self.folder / "bucket" / "gw" / "2023" / "11" / "14"
        for name in ("plain", "encrypted"):
            shutil.copytree(self.path(name), bucket / self.world.sessions[name])
            objects = {each: f"gw/2023/11/14/{self.world.sessions[name]}/{each}" for each in os.listdir(self.path(name))}
            for each in objects:
                os.remove(os.path.join(self.path(name), each))
            with open(os.path.join(self.path(name), "stored.json"), "w", encoding="ascii") as file:
                json.dump({"store": "s3:x", "objects": objects}, file)
        status, found, _ = await self.verified()
        self.assertEqual((status, sum(line["state"] == "unchecked" for line in found)), (1, 2))
        for store in (str(self.folder / "bucket"), f"file:{self.folder / 'bucket'}"):
            self.assertEqual((await self.verified("--store", store, *self.keys))[0], 0)
        status, found, _ = await self.verified(f"file:{self.folder / 'bucket'}")
        self.assertEqual((status, sorted(line["state"] for line in found)), (1, ["complete", "unchecked"]))
        for arguments in (["nowhere"], ["nonsense:x"], ["--store", "nonsense:x"]):
            self.assertIn((await self.hoopx(command, *arguments))[0], (1, 2), arguments)

    async def test_unconfigured(self) -> None:
        """Who was given a copy has no configuration, and needs none: of a data directory, or of a store."""
        bucket = self.folder / "bucket"
        folder = bucket / "gw" / "2023" / "11" / "14"
        shutil.copytree(self.path("plain"), folder / self.world.sessions["plain"])
        shutil.copytree(self.data / "ledger", bucket / "gw" / "ledger")
        (bucket / "gw" / "ledger" / "checkpoint").unlink()
        (bucket / "gw" / "ledger" / "checkpoint").mkdir()
        (bucket / "gw" / "ledger" / "checkpoint" / f"{self.world.ledger.size:012d}").write_bytes(self.world.checkpoints[-1])
        for arguments in ([str(bucket)], [f"file:{bucket}"], [str(bucket), "--gateway", "gw"]):
            self.settings = None
            _, found, _ = await self.verified(*arguments)
            (plain,) = [line for line in found if line["session"] == self.world.sessions["plain"]]
            self.assertEqual((plain["state"], plain["logged"], found[-1]["state"]), ("complete", True, "consistent"))
        self.assertEqual((await self.verified(str(self.data), "--store", f"file:{bucket}"))[0], 0)
        status, _, err = await self.hoopx(command, "s3:recordings/production")
        self.assertEqual(status, 2)
        self.assertIn("my.toml", err)

    async def test_strict(self) -> None:
        """The exit status that a cron job of an auditor wants: less than all of it is a failure; a session and the ledger say what is missing."""
        self.patch(verify, "time", SimpleNamespace(time=lambda: self.world.now + 60))
        self.world.keep(self.world.live)
        full = [*self.keys, "--strict", "--identity", str(self.keyfile)]
        status, found, err = await self.verified(*full)
        self.assertEqual((status, err, [line["short"] for line in found if line["short"]]), (0, "", []))
        status, found, _ = await self.verified(*full[2:])
        self.assertEqual((status, found[-1]["state"]), (1, "consistent"))
        self.assertIn("no key of it was given", found[-1]["short"])
        status, found, _ = await self.verified(*full, "--grace", "30s")
        short = {line["session"]: line["short"] for line in found if line["short"]}
        self.assertEqual((status, set(short)), (1, {self.world.sessions["live"], self.world.sessions["opening"]}))
        status, out, err = await self.hoopx(command, *full, "--grace", "30s")
        self.assertIn("    SHORT: it is in no ledger", out)
        status, _, err = await self.hoopx(command, *full, "--max-age", "10s")
        self.assertEqual(status, 1)
        self.assertIn("    SHORT: the quorum's newest signatures", err)
        shutil.rmtree(self.data / "ledger")
        status, found, _ = await self.verified("--strict")
        self.assertEqual((status, found[-1]["session"] is None), (1, False))
        self.assertIn("no ledger that could be believed has it", [line["short"] for line in found])

    async def test_quorum(self) -> None:
        """Of the witnesses given so many must have signed."""
        other = ["--witness-key", Cosigner("w.example", key()).vkey]
        self.assertEqual((await self.verified(*self.keys, *other))[0], 1)
        self.assertEqual((await self.verified(*self.keys, *other, "--quorum", "1"))[0], 0)
        status, found, _ = await self.verified(*other, *other, *self.keys[2:4], "--quorum", "2")
        self.assertEqual((status, found[-1]["state"]), (1, "TAMPERED"))
        self.assertIn("1 of the witnesses given", found[-1]["problem"])

    async def test_noTime(self) -> None:
        """What a witness takes for the time may be no time: its signature counts all the same, and says so."""
        late = Cosigner("late.example", key(9))
        checkpoint = self.data / "ledger" / "checkpoint"
        note = checkpoint.read_bytes()
        for at, said in ((1 << 62, "at no time"), (253402300799, "at no time"), (0, "1970-01-01T00:00:00+00:00")):
            checkpoint.write_bytes(note + late.cosign(split(note)[0], at))
            status, out, err = await self.hoopx(command, "--witness-key", late.vkey)
            self.assertEqual(status, 0, err)
            self.assertIn(f"witnessed by late.example up to leaf {parseCheckpoint(split(note)[0]).size}, {said}", out + err)

    async def test_remember(self) -> None:
        """An auditor without witnesses: the newest sessions go, and the ledger with them back to where they were not."""
        memory = str(self.folder / "seen")
        status, found, err = await self.verified("--remember", memory)
        self.assertEqual((status, found[-1]["against"]), (0, "itself"))
        self.assertIn("remembered from now on", err)
        status, found, err = await self.verified("--remember", memory)
        self.assertEqual((status, found[-1]["against"], err), (0, "remembered", ""))
        shutil.copytree(self.data, self.folder / "before")
        self.world.record("newer", 1)
        self.world.sign(witnessed=False)
        self.assertEqual((await self.verified("--remember", memory))[0], 0)
        self.assertEqual((await self.verified(str(self.folder / "before")))[0], 0)  # nothing in it contradicts itself
        status, found, _ = await self.verified(str(self.folder / "before"), "--remember", memory)
        self.assertEqual((status, found[-1]["state"]), (1, "TAMPERED"))
        self.assertIn("it was rolled back", found[-1]["problem"])
        self.assertEqual((await self.verified("--remember", memory))[0], 0)

    async def test_rememberFolder(self) -> None:
        """One for each ledger; one that is gone is told, in JSON, too."""
        folder = self.folder / "seen"
        folder.mkdir()
        self.assertEqual((await self.verified("--remember", str(folder)))[0], 0)
        origin = self.world.ledger.origin
        self.assertEqual(os.listdir(folder), [f"{origin}.checkpoint"])
        shutil.copy(folder / f"{origin}.checkpoint", folder / "other.checkpoint")
        status, found, err = await self.verified("--remember", str(folder))
        self.assertEqual((status, found[-1]["state"], found[-1]["ledger"]), (1, "missing", "other"))
        _, _, err = await self.hoopx(command, "--remember", str(folder))
        self.assertIn("ledger other: it is remembered, and not there any more", err)

    async def test_usage(self) -> None:
        """Wrong questions: exit status 2, and nothing is looked at."""
        bad = self.folder / "bad"
        bad.write_text("no checkpoint")
        for arguments in (
            ["--quorum", "1"], ["--quorum", "0"], ["--grace", "1h"], ["--max-age", "1h"], ["--strict", "--grace", "soon"],
            ["--remember", str(bad)], ["--checkpoint", str(bad)], [str(self.folder / "nowhere")],
        ):  # fmt: skip
            status, out, err = await self.hoopx(command, *arguments)
            self.assertEqual((status, out), (2, ""), (arguments, err))
        bundle = str(self.folder / "bundle.zip")
        await self.hoopx(sessions, "export", self.world.sessions["plain"], "--proof", "-o", bundle)
        self.assertEqual((await self.hoopx(command, bundle, "--remember", str(self.folder / "seen")))[0], 2)
        self.assertEqual((await self.hoopx(command, "--remember", str(self.folder / "no" / "folder")))[0], 1)
        empty = self.folder / "empty"
        empty.mkdir()
        status, _, err = await self.hoopx(command, str(empty))
        self.assertEqual(status, 1)
        self.assertIn("nothing was verified", err)

    async def test_wrongIdentity(self) -> None:
        self.keyfile.write_text(str(pyrage.x25519.Identity.generate()))
        status, found, _ = await self.verified(self.path("encrypted"), "--identity", str(self.keyfile))
        self.assertEqual((status, found[0]["state"]), (1, "unchecked"))

    async def test_unreadable(self) -> None:
        for path in (self.note, self.keyfile):
            status, out, err = await self.hoopx(command, str(path))
            self.assertEqual(status, 1)
            self.assertIn("no bundle", err)
        self.assertEqual((await self.hoopx(command, "--checkpoint", str(self.data / "none")))[0], 1)

    async def test_noCheckpoint(self) -> None:
        """Whoever names a wrong file is told so: nothing is tampered with."""
        for content in (b"", b"no\n", self.world.checkpoints[2].split(b"\n\n")[0], b"\xff" + self.world.checkpoints[2]):
            self.note.write_bytes(content)
            status, out, err = await self.hoopx(command, "--checkpoint", str(self.note))
            self.assertEqual((status, out), (2, ""), content)
            self.assertIn("no checkpoint", err)

    async def test_nothingThere(self) -> None:
        """A wrong folder, or one that somebody has emptied, is not one in which everything is in order."""
        empty = self.folder / "empty"
        empty.mkdir()
        status, out, err = await self.hoopx(command, str(empty))
        self.assertEqual((status, out), (1, ""))
        self.assertIn(f"neither recordings nor a ledger are in {empty}", err)


class BundleTests(VerifyCase):
    async def bundle(self, name: str) -> str:
        path = str(self.folder / f"{name}.zip")
        status, out, err = await self.hoopx(sessions, "export", self.world.sessions[name], "--proof", "-o", path)
        self.assertEqual((status, out), (0, ""), err)
        return path

    async def test_proven(self) -> None:
        """With nothing but the bundle and keys from elsewhere."""
        paths = {name: await self.bundle(name) for name in ("plain", "compressed", "encrypted", "recovered")}
        shutil.rmtree(self.data / "ledger")
        for name, path in paths.items():
            for more in ([], self.keys[:4]):
                status, found, err = await self.verified(path, *more)
                wanted = ["recovered" if name == "recovered" else "complete", "consistent"]
                self.assertEqual((status, [line["state"] for line in found]), (0, wanted))
                self.assertEqual(found[0]["logged"], True)

    async def test_unpacked(self) -> None:
        path = await self.bundle("plain")
        folder = self.folder / "unpacked"
        with zipfile.ZipFile(path) as bundle:
            self.assertIn("hoopx verify", bundle.read("README.txt").decode())
            bundle.extractall(folder)
        self.assertEqual((await self.verified(str(folder)))[0], 0)
        os.remove(folder / self.world.sessions["plain"] / "000002.hxr")
        status, found, _ = await self.verified(str(folder))
        self.assertEqual((status, found[0]["problem"]), (1, "the segment is missing, which the ledger has"))
        shutil.rmtree(folder / self.world.sessions["plain"])
        status, found, _ = await self.verified(str(folder))
        self.assertEqual((status, found[0]["state"]), (1, "missing"))

    def changed(self, path: str, change: dict[str, bytes | None]) -> str:
        """The bundle with other things in it."""
        other = path + ".changed.zip"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
            for entry in old.infolist():
                if entry.filename not in change:
                    new.writestr(entry, old.read(entry))
            for name, data in change.items():
                if data is not None:
                    new.writestr(name, data)
        return other

    async def test_rotated(self) -> None:
        """What an earlier key has recovered is believed by who knows the newest key alone, in a bundle, too."""
        self.world.ledger.rotate(key())
        self.world.leaf("audit", audit="00" * 32)
        self.world.sign()
        path = await self.bundle("recovered")
        for vkey in (self.world.vkey, self.world.ledger.vkey):
            status, found, _ = await self.verified(path, "--ledger-key", vkey, *self.keys[2:4])
            self.assertEqual((status, found[0]["state"], found[-1]["problem"]), (0, "recovered", None))

    async def test_forged(self) -> None:
        path = await self.bundle("plain")
        other = await self.bundle("compressed")
        with zipfile.ZipFile(path) as mine, zipfile.ZipFile(other) as theirs:
            proofs = [name for name in mine.namelist() if name.endswith(".tlog-proof")]
            foreign = next(name for name in theirs.namelist() if name.endswith(".tlog-proof"))
            changes = [
                {proofs[0]: mine.read(proofs[1])[:-20]},
                {proofs[0]: theirs.read(foreign).replace(b"index ", b"index 1")},
                {"checkpoint": mine.read("checkpoint").replace(b"\n31\n", b"\n30\n")},
                {"checkpoint": None},
                {"../out": b"x"},
                {"proofs/../../out": b"x"},
            ]
        for change in changes:
            status, out, err = await self.hoopx(command, "--json", self.changed(path, change), *self.keys[:4])
            self.assertEqual(status, 1, change)
        self.assertFalse((self.folder / "out").exists())

    async def test_smuggled(self) -> None:
        """Sessions in it that its proofs do not prove: one that claims to be older than the ledger, and one of which only a hold is proven."""
        session = self.world.record("held", 1)
        self.world.leaf("hold-set", session=session.id, audit="00" * 32)
        self.world.sign()
        path = await self.bundle("held")
        name = f"{session.id}/000000.hxr"
        with zipfile.ZipFile(path) as bundle:
            proofs = sorted(name for name in bundle.namelist() if name.endswith(".tlog-proof"))
        status, found, _ = await self.verified(self.changed(path, {proofs[0]: None}), *self.keys[:4])
        self.assertEqual((status, found[0]["problem"]), (1, "the ledger does not know this session"))
        self.world.now -= 10**6
        older = self.world.record("older", 1)
        with open(os.path.join(older.path, "000000.hxr"), "rb") as file:
            other = self.changed(path, {name.replace(session.id, older.id): file.read()})
        status, found, _ = await self.verified(other, *self.keys[:4])
        self.assertEqual((status, sorted(line["state"] for line in found)), (1, ["TAMPERED", "complete", "consistent"]))

    async def test_noFile(self) -> None:
        """A pipe that nobody writes to, or a device without an end: neither is waited for nor read."""
        pipe = str(self.folder / "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDWR)  # who opened it as well would not wait for a writer, but for what he has to say
        self.addCleanup(os.close, reader)
        os.write(reader, b"no zip")
        for path in (pipe, "/dev/null"):
            status, out, err = await self.hoopx(command, path)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("not a regular file", err)
        self.assertEqual(os.read(reader, 100), b"no zip")

    async def test_bomb(self) -> None:
        """Entries that claim more than there is, or stand in it twice: nothing is unpacked."""
        path = await self.bundle("plain")
        with open(path, "rb") as file:
            data = bytearray(file.read())
        at = data.rfind(b"PK\x01\x02")
        data[at + 20 : at + 28] = b"\xff\xff\xff\x7f" * 2
        with open(path + ".big", "wb") as file:
            file.write(data)
        status, _, err = await self.hoopx(command, path + ".big")
        self.assertEqual(status, 1)
        self.assertIn("there is more in it than it has bytes", err)
        with zipfile.ZipFile(path, "a") as bundle, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bundle.writestr("README.txt", b"")
        status, _, err = await self.hoopx(command, path)
        self.assertEqual(status, 1)
        self.assertIn("twice", err)

    async def test_refused(self) -> None:
        """Nothing in the ledger, an output that is there, formats: said, and nothing is written."""
        id = self.world.sessions["opening"]
        status, out, err = await self.hoopx(sessions, "export", id, "--proof", "-o", str(self.folder / "x.zip"))
        self.assertEqual(status, 1)
        self.assertIn("no leaf of session", err)
        path = await self.bundle("plain")
        status, out, err = await self.hoopx(sessions, "export", self.world.sessions["plain"], "--proof", "-o", path)
        self.assertEqual(status, 1)
        self.assertIn("exists", err)
        self.assertEqual((await self.hoopx(sessions, "export", id, "--proof", "--format", "csv"))[0], 2)
