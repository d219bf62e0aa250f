"""``hoopx ledger``."""

from __future__ import annotations

import json
import os
from typing import Any
from unittest.mock import patch

from attrs import evolve

from hoopx.cli.ledger import command
from hoopx.config.settings import RecordingSettings, WitnessSettings
from hoopx.ledger.keys import encodeKey, keyring, publicKey
from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Cosigner, Verifier, makeNote, split
from hoopx.ledger.proof import decode, verify
from hoopx.recording.files import Files
from hoopx.state.store import Store
from hoopx.values import Reference
from tests.cli.gateway import GatewayCase
from tests.ledger.rig import AT, done, key, opened, sealed

SESSION = f"{7:026d}"
WITNESS = Cosigner("w.example", key(5))


class LedgerCase(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.keys = os.path.join(self.data, "keys")
        self.directory = os.path.join(self.data, "ledger")

    def open(self) -> Ledger:
        return Ledger.open(self.directory, keyring(self.keys, Files()), "gw1", wall=lambda: AT)

    def fill(self, witnessed: bool = True) -> str:
        """@return: the vkey."""
        ledger = self.open()
        try:
            ledger.append([opened(number) for number in range(300)])
            ledger.append([sealed(7, 0)])
            text, lines = split(ledger.checkpoint())
            if witnessed:
                ledger.publish(makeNote(text, [lines[0][3], WITNESS.cosign(text, 1790000000)]))
            ledger.append([done(7)])
            ledger.checkpoint()
            ledger.append([opened(1000)])
            return ledger.vkey
        finally:
            ledger.close()

    def witnesses(self) -> None:
        self.configure(recording=RecordingSettings(witnesses=(WitnessSettings("https://w.example", WITNESS.vkey),)))

    async def said(self, *arguments: str) -> Any:
        status, out, err = await self.hoopx(command, *arguments)
        self.assertEqual(status, 0, err)
        return out


class BeginningTests(LedgerCase):
    async def test_beginning(self) -> None:
        """A session is named by as much of its id as tells it from others, as everywhere."""
        self.fill()
        ledger = self.open()
        ledger.append([leaf("opened", AT, session="01M85F0DQ" + "0" * 16 + "A", key="ab" * 32, head="ab" * 32)])
        ledger.checkpoint()
        ledger.close()
        (row,) = (json.loads(line) for line in (await self.said("proof", "01m85F", "--json")).splitlines())
        self.assertEqual(row["leaf"]["session"], "01M85F0DQ" + "0" * 16 + "A")
        status, out, err = await self.hoopx(command, "proof", SESSION[:-1])
        self.assertEqual((status, out), (1, ""))
        self.assertIn(f"could be any of {9:026d}, {8:026d}, ", err)


class PermissionTests(LedgerCase):
    async def test_others(self) -> None:
        """Somebody who may not read it is told who may."""
        self.fill()
        error = PermissionError(13, "Permission denied", "/d/ledger/checkpoint")
        for words in (["show"], ["proof", SESSION]):
            with patch("hoopx.ledger.reader.LedgerReader.checkpoint", side_effect=error):
                status, out, err = await self.hoopx(command, *words)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("/d/ledger/checkpoint: Permission denied", err)
            self.assertIn("the gateway's own user", err)


class ShowTests(LedgerCase):
    async def test_none(self) -> None:
        for words in (["show"], ["show", "--vkey"], ["keys"], ["proof", "x"], ["rotate"]):
            status, out, err = await self.hoopx(command, *words)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("no", err)
        self.assertEqual(os.listdir(self.data), [])

    async def test_json(self) -> None:
        vkey = self.fill()
        self.witnesses()
        shown = json.loads(await self.said("show", "--json"))
        self.assertEqual((shown["origin"], shown["size"], shown["pending"]), (vkey.split("+")[0], 302, 1))
        self.assertEqual(shown["keys"], [{"vkey": vkey, "since": 0}])
        self.assertEqual(shown["cosignatures"], [{"name": "w.example", "at": 1790000000, "size": 301}])
        self.assertIn(shown["root"], shown["checkpoint"])

    async def test_forPeople(self) -> None:
        vkey = self.fill()
        self.witnesses()
        out = await self.said("show")
        self.assertIn(vkey, out)
        self.assertIn("301 leaves, 2026-09-21T", out)

    async def test_notWitnessed(self) -> None:
        self.fill(witnessed=False)
        status, _, err = await self.hoopx(command, "show")
        self.assertEqual(status, 0)
        self.assertIn("roll it back", err)

    async def test_vkey(self) -> None:
        self.assertEqual(await self.said("show", "--vkey") if self.fill() else "", self.open_vkey() + "\n")

    def open_vkey(self) -> str:
        ledger = self.open()
        ledger.close()
        return ledger.vkey

    async def test_entries(self) -> None:
        self.fill()
        rows = [json.loads(line) for line in (await self.said("show", "--entries", "--json")).splitlines()]
        self.assertEqual([row["index"] for row in rows], list(range(302)))
        self.assertEqual(rows[7]["leaf"]["session"], SESSION)
        self.assertEqual(len((await self.said("show", "--entries")).splitlines()), 302)

    async def test_wrongKey(self) -> None:
        self.fill()
        other = Verifier("gw1.00000000", 1, bytes(32)).vkey
        status, _, err = await self.hoopx(command, "show", "--ledger-key", other)
        self.assertEqual(status, 1)
        self.assertIn("no trusted key", err)
        self.assertEqual((await self.hoopx(command, "show", "--ledger-key", "nonsense"))[0], 2)

    async def test_elsewhere(self) -> None:
        """A copy, without the gateway's configuration."""
        vkey = self.fill()
        self.configure(gateway=evolve(self.settings.gateway, data="/nowhere"))
        shown = json.loads(await self.said("show", "--directory", self.directory, "--witness-key", WITNESS.vkey, "--json"))
        self.assertEqual((shown["keys"][0]["vkey"], len(shown["cosignatures"])), (vkey, 1))


class ProofTests(LedgerCase):
    async def test_eachLeaf(self) -> None:
        """What witnesses have seen is proved by their checkpoint, what is newer by the newest."""
        vkey = self.fill()
        self.witnesses()
        out = await self.said("proof", SESSION)
        texts = ["c2sp.org/tlog-proof@v1" + part for part in out.split("c2sp.org/tlog-proof@v1")[1:]]
        sizes = []
        for text in texts:
            proof = decode(text.strip("\n").encode() + b"\n")
            checkpoint, signatures = verify(proof, proof.extra or b"", [Verifier.parse(vkey), WITNESS.verifier])
            sizes.append((checkpoint.size, len(signatures)))
        self.assertEqual(sizes, [(301, 2), (301, 2), (302, 1)])

    async def test_json(self) -> None:
        self.fill()
        rows = [json.loads(line) for line in (await self.said("proof", SESSION, "--json")).splitlines()]
        self.assertEqual([(row["index"], row["leaf"]["type"]) for row in rows], [(7, "opened"), (300, "sealed"), (301, "done")])

    async def test_notThere(self) -> None:
        self.fill()
        for session in ("nobody", f"{1000:026d}"):
            status, _, err = await self.hoopx(command, "proof", session)
            self.assertEqual(status, 1)
            self.assertIn("no leaf", err)


class RotateTests(LedgerCase):
    async def test_rotate(self) -> None:
        old = self.fill()
        new = (await self.said("rotate")).strip()
        self.assertNotEqual(old, new)
        self.assertEqual(publicKey(str(self.data)), Verifier.parse(new).public)
        for words in ([], ["--ledger-key", old], ["--ledger-key", new]):
            self.assertEqual((await self.said("show", "--vkey", *words)).strip(), new)
            self.assertEqual(json.loads(await self.said("show", "--json", *words))["keys"][-1]["vkey"], new)
        self.assertIn("since leaf 303", await self.said("show"))
        self.assertEqual(self.acts(), [("ledger.rotate", new)])

    def acts(self) -> list[tuple[str, str]]:
        """What the audit says."""
        store = Store.open("sqlite:", self.data)
        try:
            return [(row["action"], row["subject"]) for row in store.auditRows()[::-1]]
        finally:
            store.close()

    async def test_running(self) -> None:
        self.fill()
        ledger = self.open()
        self.addCleanup(ledger.close)
        status, out, err = await self.hoopx(command, "rotate")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("is written by process", err)

    def pem(self, number: int) -> str:
        """@return: the path of a key that is kept elsewhere."""
        path = os.path.join(self.data, f"{number}.pem")
        with open(path, "wb") as file:
            file.write(encodeKey(key(number)))
        os.chmod(path, 0o600)
        return path

    def elsewhere(self, number: int) -> None:
        self.configure(recording=RecordingSettings(signingKey=Reference("file", self.pem(number))))
        Ledger.open(self.directory, keyring(self.keys, Files(), encodeKey(key(number))), "gw1").close()

    async def test_keptElsewhere(self) -> None:
        self.elsewhere(7)
        status, out, err = await self.hoopx(command, "rotate")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("--new-key", err)
        status, out, err = await self.hoopx(command, "rotate", "--new-key", self.pem(8))
        self.assertEqual(status, 0, err)
        self.assertEqual(publicKey(str(self.data)), Verifier.parse(out).public)
        self.assertIn("signing_key in [recording] has to name the new key", err)
        status, again, err = await self.hoopx(command, "rotate", "--new-key", f"file:{self.pem(8)}")
        self.assertEqual((status, again), (0, out))
        self.assertIn("already", err)
        self.assertEqual(self.acts(), [("ledger.rotate", out.strip())])

    async def test_environment(self) -> None:
        self.elsewhere(7)
        os.environ["NEXT_KEY"] = encodeKey(key(8)).decode()  # which is taken out of it
        status, out, err = await self.hoopx(command, "rotate", "--new-key", "env:NEXT_KEY")
        self.assertEqual((status, Verifier.parse(out).public), (0, publicKey(str(self.data))), err)

    async def test_notToBeHad(self) -> None:
        """A key that is not there, is none, or stands on the command line itself: said, nothing of it shown, nothing changed."""
        self.elsewhere(7)
        before = publicKey(str(self.data))
        with open(os.path.join(self.data, "none.pem"), "w") as file:
            file.write("hunter2")
        for name, expected in (
            ("nowhere.pem", 1), ("env:NOT_SET_AT_ALL", 1), (os.path.join(self.data, "none.pem"), 1), (encodeKey(key(8)).decode(), 2),
        ):  # fmt: skip
            for verb in ("rotate", "renew"):
                status, out, err = await self.hoopx(command, verb, "--new-key", name)
                self.assertEqual((status, out), (expected, ""), err)
                self.assertNotIn("hunter2", err)
                self.assertNotIn("MC4C", err)
        self.assertEqual(publicKey(str(self.data)), before)

    async def test_openToOthers(self) -> None:
        self.elsewhere(7)
        with open(os.path.join(self.data, "loose.pem"), "wb") as file:
            file.write(encodeKey(key(8)))
        os.chmod(os.path.join(self.data, "loose.pem"), 0o644)
        _, _, err = await self.hoopx(command, "rotate", "--new-key", os.path.join(self.data, "loose.pem"))
        self.assertIn("chmod 600", err)

    async def test_renewElsewhere(self) -> None:
        self.elsewhere(7)
        ledger = Ledger.open(self.directory, key(7), "gw1")
        ledger.append([opened(1)])
        ledger.checkpoint()
        ledger.close()
        status, _, err = await self.hoopx(command, "renew")
        self.assertEqual(status, 1)
        self.assertIn("--new-key", err)
        status, out, err = await self.hoopx(command, "renew", "--new-key", self.pem(8))
        self.assertEqual((status, Verifier.parse(out).public), (0, publicKey(str(self.data))), err)
        self.assertEqual(self.acts(), [("ledger.renew", out.strip())])

    async def test_keys(self) -> None:
        """All of them, the first one first."""
        old = self.fill()
        new = (await self.said("rotate")).strip()
        self.assertEqual((await self.said("keys")).split(), [old, new])
        found = json.loads(await self.said("keys", "--json", "--directory", self.directory))
        self.assertEqual(found, [{"vkey": old, "since": 0}, {"vkey": new, "since": 304}])


class RenewTests(LedgerCase):
    async def test_renew(self) -> None:
        old = self.fill()
        new = (await self.said("renew")).strip()
        self.assertNotEqual(old.split("+")[0], new.split("+")[0])
        (row,) = [json.loads(line) for line in (await self.said("show", "--entries", "--json")).splitlines()]
        self.assertEqual((row["leaf"]["type"], row["leaf"]["origin"]), ("continued", old.split("+")[0]))
