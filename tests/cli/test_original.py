"""
What masks hide, for auditors: C{--original} of show, replay and export. Nobody else trips over it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage

from hoopx import registry
from hoopx.recording.auditors import recipients
from hoopx.recording.originals import FIELD, Originals
from hoopx.state.store import Store
from hoopx.ulid import ulid
from hoopx.values import ATTEMPTED, CLIENT, MADE, ORIGINAL, PASSED, TARGET
from tests.cli.recordings import BEGAN, record
from tests.cli.test_sessions import Case
from tests.doubles import Picky

CARD = b"4111 2222"
AUDITOR, STRANGER = (pyrage.x25519.Identity.generate() for _ in range(2))


class OriginalTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.patch(registry, "protocols", lambda: {"raw": SimpleNamespace(view=Picky)})
        self.keys = Path(self.mktemp())
        self.keys.mkdir()
        for name, identity in (("auditor", AUDITOR), ("stranger", STRANGER)):
            (self.keys / name).write_text(f"{identity}\n")

    def key(self, name: str = "auditor") -> tuple[str, str]:
        return "--identity", str(self.keys / name)

    def recorded(self, damage: bool = False) -> str:
        session = ulid(BEGAN, os.urandom(10))
        originals = Originals(session, recipients([str(AUDITOR.to_public())]))
        steps = [(CLIENT, PASSED, b"GET\n")]
        for data, origin, sent in ((CARD, MADE, b"4111 ****"), (CARD + b"!", MADE, b""), (b"torn", ATTEMPTED, b"")):
            steps += [(TARGET, ORIGINAL, sealed) for sealed in originals.seal(0, TARGET, data)]
            steps.append((TARGET, origin, sent))
        steps.append((TARGET, MADE, b"bye"))
        if damage:
            steps[3] = (TARGET, ORIGINAL, steps[3][2][:-1] + bytes([steps[3][2][-1] ^ 1]))
        return record(self.data, steps, id=session, protocol="raw", **{FIELD: originals.head})

    async def told(self, *arguments: str) -> list[tuple]:
        status, out, err = await self.sessions("show", *arguments, "--json")
        self.assertEqual((status, err), (0, ""))
        return [(line["stream"], line["text"]) for line in map(json.loads, out.splitlines()) if line["kind"] == "output"]

    async def test_show(self) -> None:
        session = self.recorded()
        masked = [("client", "GET\n"), ("target (gateway)", "4111 ****"), ("target (gateway)", "bye")]
        self.assertEqual(await self.told(session), masked)
        self.assertEqual(await self.told(session, *self.key()), masked)
        self.assertEqual(
            await self.told(session, "--original", *self.key()),
            [
                ("client", "GET\n"),
                ("target", "4111 2222"),
                ("target", "4111 2222!"),
                ("target (not forwarded)", "torn"),
                ("target (gateway)", "bye"),
            ],
        )

    async def test_replay(self) -> None:
        session = self.recorded()
        for arguments, there in (((), False), (("--original", *self.key()), True)):
            status, out, err = await self.sessions("replay", session, "--speed", "0", *arguments)
            self.assertEqual((status, err, "4111 2222" in out), (0, "", there))

    async def exported(self, session: str, *arguments: str) -> bytes:
        out = self.data / "exported"
        status, _, err = await self.sessions("export", session, "-o", str(out), *arguments)
        self.assertEqual(status, 0, err)
        return out.read_bytes()

    async def test_raw(self) -> None:
        """What a side has sent, what it has received, and what it would have."""
        session = self.recorded()
        original = ("--original", *self.key())
        for direction, side, masked, plain in (
            ("from", "target", b"", CARD + CARD + b"!torn"),
            ("to", "client", b"4111 ****bye", CARD + CARD + b"!bye"),
            ("from", "client", b"GET\n", b"GET\n"),
            ("to", "target", b"GET\n", b"GET\n"),
        ):
            raw = ("--format", "raw", f"--{direction}", side)
            self.assertEqual(await self.exported(session, *raw), masked)
            self.assertEqual(await self.exported(session, *raw, *original), plain)

    async def test_formats(self) -> None:
        session = self.recorded()
        for form in ("jsonl", "csv", "pcapng", "ocsf"):
            self.assertNotIn(CARD, await self.exported(session, "--format", form), form)
            if form != "ocsf":  # which tells of no output
                self.assertIn(CARD, await self.exported(session, "--format", form, "--original", *self.key()), form)

    async def refused(self, *arguments: str, status: int = 1) -> str:
        found, out, err = await self.sessions(*arguments)
        self.assertEqual((found, out), (status, ""))
        return err

    async def test_refused(self) -> None:
        """Why, and what to do; and nobody has looked."""
        session = self.recorded()
        self.assertIn("unmasked bytes are sealed to the auditors: give --identity KEYFILE", await self.refused("show", session, "--original"))
        for arguments in (("show", session), ("replay", session), ("export", session, "--format", "jsonl")):
            said = await self.refused(*arguments, "--original", *self.key("stranger"))
            self.assertIn("unmasked bytes are sealed to others: none of the identities given opens them", said)
        plain = record(self.data, [(TARGET, PASSED, b"x")], protocol="raw")
        self.assertIn(f'session {plain} keeps no originals: [recording] original was not "sealed"', await self.refused("show", plain, "--original", *self.key()))
        self.assertIn("--proof takes the recording as it is", await self.refused("export", session, "--proof", "--original", status=2))
        self.assertEqual(self.looks(), [])

    def looks(self) -> list[Any]:
        store = Store.open("sqlite:", self.data)
        try:
            return [(row["action"], row["details"].get("original")) for row in store.auditRows()[::-1]]
        finally:
            store.close()

    async def test_looks(self) -> None:
        """The audit tells looks at what is hidden from others."""
        session = self.recorded()
        original = ("--original", *self.key())
        await self.sessions("show", session)
        await self.sessions("show", session, *original)
        await self.sessions("replay", session, "--speed", "0", *original)
        await self.exported(session, "--format", "raw", "--to", "client", *original)
        self.assertEqual(self.looks(), [("session.show", None), *((f"session.{one}", True) for one in ("show", "replay", "export"))])

    async def test_damaged(self) -> None:
        """What is before is shown."""
        session = self.recorded(damage=True)
        status, out, err = await self.sessions("show", session, "--original", *self.key())
        self.assertEqual(status, 1)
        self.assertIn("the recording is damaged here: sealed original 1 does not decrypt", err)
        self.assertIn("4111 2222", out)
        out_ = self.data / "exported"
        status, _, err = await self.sessions("export", session, "--format", "raw", "--from", "target", "-o", str(out_), "--original", *self.key())
        self.assertEqual((status, out_.read_bytes()), (1, CARD))
        self.assertIn("what is before is exported", err)
        self.assertEqual(await self.told(session), await self.told(session, *self.key()))
