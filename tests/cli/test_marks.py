from __future__ import annotations

import json
import os

import pyrage

from hoopx.api import peer
from hoopx.cli import retention
from hoopx.cli.reindex import command as reindex
from hoopx.cli.sessions import command
from hoopx.recording import catalogue
from hoopx.recording.packing import pack
from hoopx.state.marks import Marks
from hoopx.state.store import Store
from tests.cli.gateway import GatewayCase
from tests.cli.recordings import record


class MarksTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.session = record(self.data, [])
        self.iAm("bob")

    def iAm(self, name: str) -> None:
        self.patch(peer, "myself", lambda: f"uid 7 ({name})")

    async def sessions(self, *arguments: str) -> tuple[int, str, str]:
        found: tuple[int, str, str] = await self.hoopx(command, *arguments)
        return found

    async def test_tags(self) -> None:
        self.assertEqual(await self.sessions("tag", self.session[:20], "pci", "incident-7"), (0, "", ""))
        status, out, _ = await self.sessions("tag", self.session, "--list", "--json")
        self.assertEqual([(row["session"], row["tag"], row["by"]) for row in json.loads(out)], [(self.session, "incident-7", "uid 7 (bob)"), (self.session, "pci", "uid 7 (bob)")])
        _, out, _ = await self.sessions("tag", self.session, "--list")
        self.assertIn("pci\tuid 7 (bob)\t", out)
        self.assertEqual(await self.sessions("tag", self.session, "--remove", "pci"), (0, "", ""))
        status, _, err = await self.sessions("tag", self.session, "--remove", "pci")
        self.assertEqual(status, 0)
        self.assertIn("Nothing to do", err)

    async def test_listed(self) -> None:
        """Sessions that bear all of some tags: without an index, and with one."""
        other, none = record(self.data, []), record(self.data, [])
        for session, *tags in ((self.session, "pci", "seen"), (other, "pci")):
            self.assertEqual((await self.sessions("tag", session, *tags))[0], 0)
        for _ in range(2):
            for arguments, expected in (
                (["--tag", "pci"], {self.session, other}),
                (["--tag", "pci", "--tag", "seen"], {self.session}),
                (["--tag", "seen", "--target", "nothing"], set()),
                (["--tag", "unknown"], set()),
                ([], {self.session, other, none}),
            ):
                status, out, err = await self.sessions("list", "--json", *arguments)
                self.assertEqual((status, err, {line["session"] for line in json.loads(out)}), (0, "", expected), arguments)
            self.assertEqual((await self.hoopx(reindex))[0], 0)

    async def test_usage(self) -> None:
        for arguments in (["tag", "S"], ["tag", "S", "x", "--list"], ["tag", "S", "--list", "--remove"], ["review", "S", "--list", "--sign-off"]):
            self.assertEqual((await self.sessions(*arguments))[0], 2, arguments)

    async def test_wrong(self) -> None:
        status, _, err = await self.sessions("tag", self.session, "two words")
        self.assertEqual(status, 1)
        self.assertIn("is no tag", err)
        self.assertEqual((await self.sessions("tag", "nothing", "x"))[0], 1)

    async def test_review(self) -> None:
        status, _, err = await self.sessions("review", self.session, "--sign-off")
        self.assertEqual(status, 1)
        self.assertIn("nobody has reviewed", err)
        status, _, err = await self.sessions("review", self.session, "--note", "fine")
        self.assertEqual((status, err), (0, f"{self.session} is reviewed.\n"))
        self.assertEqual((await self.sessions("review", self.session, "--sign-off"))[0], 1)
        self.iAm("alice")
        status, _, err = await self.sessions("review", self.session, "--sign-off")
        self.assertEqual(status, 1)
        self.assertIn("their own", err)
        self.iAm("carol")
        self.assertEqual((await self.sessions("review", self.session, "--sign-off"))[0], 0)
        _, out, _ = await self.sessions("review", self.session, "--list", "--json")
        self.assertEqual([(row["what"], row["by"], row["note"]) for row in json.loads(out)], [("reviewed", "uid 7 (bob)", "fine"), ("signed-off", "uid 7 (carol)", "")])
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        self.assertEqual([row["action"] for row in store.auditRows()[::-1]], ["session.review", "session.sign-off"])


class EncryptedTests(GatewayCase):
    """Sessions that whoever marks them can not read."""

    def setUp(self) -> None:
        super().setUp()
        self.session = record(self.data, [])
        self.auditor = pyrage.x25519.Identity.generate()
        self.iAm("bob")

    def iAm(self, name: str) -> None:
        self.patch(peer, "myself", lambda: f"uid 7 ({name})")

    def encrypt(self) -> None:
        pack(os.path.join(catalogue.find(str(self.data), self.session), "000000.hxr"), True, [str(self.auditor.to_public())])

    async def done(self, *arguments: str) -> None:
        group = retention.command if arguments[0] == "hold" else command
        status, _, err = await self.hoopx(group, *arguments)
        self.assertEqual(status, 0, err)

    async def test_tagAndHold(self) -> None:
        self.encrypt()
        await self.done("tag", self.session[:20], "odd")
        await self.done("hold", self.session[:20], "--reason", "a lawsuit")
        store = Store.open("sqlite:", self.data)
        self.addCleanup(store.close)
        marks = Marks(store, "x", lambda: 1.0)
        self.assertEqual([each["tag"] for each in marks.tagged(self.session)], ["odd"])
        self.assertEqual([each["session"] for each in marks.holding()], [self.session])

    async def test_reviewWithIdentity(self) -> None:
        """Whose session it is stands in the recording; without a key, and an index, it could be anybody's."""
        self.encrypt()
        key: str = self.mktemp()
        with open(key, "w") as file:
            file.write(f"{self.auditor}\n")
        status, _, err = await self.hoopx(command, "review", self.session)
        self.assertEqual(status, 1)
        self.assertIn("nobody can tell whose session", err)
        self.assertIn("--identity KEYFILE", err)
        await self.done("review", self.session, "--identity", key)
        self.iAm("alice")
        status, _, err = await self.hoopx(command, "review", self.session, "--sign-off", "--identity", key)
        self.assertEqual(status, 1)
        self.assertIn("their own", err)
        self.iAm("carol")
        await self.done("review", self.session, "--sign-off", "--identity", key)
        await self.done("review", self.session, "--list")

    async def test_reviewByIndex(self) -> None:
        self.assertEqual((await self.hoopx(reindex))[0], 0)
        self.encrypt()
        self.iAm("alice")
        status, _, err = await self.hoopx(command, "review", self.session)
        self.assertEqual(status, 1)
        self.assertIn("their own", err)
        self.iAm("carol")
        await self.done("review", self.session)
