"""
What can not be read is said in one line and left as it is; what stands beside it is read all the same.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import pyrage
import zstandard

from hoopx.cli.reindex import command as reindex
from hoopx.cli.sessions import command as sessions
from hoopx.cli.verify import command as verify
from hoopx.frames import MAGIC, START
from hoopx.recording.packing import pack
from tests.cli.test_verify import VerifyCase


def foreign(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(5000))


def half(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def newer(path: Path) -> None:
    path.write_bytes(MAGIC + b"\0\x02" + path.read_bytes()[len(START) :])


def tornZstd(path: Path) -> None:
    packed = zstandard.compress(path.read_bytes())
    path.write_bytes(packed[:-20])


def bomb(path: Path) -> None:
    """A frame that says it is 1 TB long."""
    whole = bytearray(zstandard.ZstdCompressor(write_content_size=False).compress(path.read_bytes()))
    path.write_bytes(bytes(whole[:4]) + b"\xc0\x58" + (1 << 40).to_bytes(8, "little") + bytes(whole[6:]))


def tornAge(path: Path) -> None:
    packed = pyrage.encrypt(path.read_bytes(), [pyrage.x25519.Identity.generate().to_public()])
    path.write_bytes(packed[: len(packed) // 2])


def someoneElses(path: Path) -> None:
    """Encrypted to somebody whose key nobody here has."""
    pack(str(path), True, [str(pyrage.x25519.Identity.generate().to_public())])


def garbled(path: Path) -> None:
    """The checksums fit, the JSON of HEAD is none."""
    whole = bytearray(path.read_bytes())
    size = int.from_bytes(whole[10:14], "big")
    whole[42 : 42 + size] = b"\xff" * size
    whole[14:18] = zlib.crc32(bytes(whole[18 : 42 + size])).to_bytes(4, "big")
    path.write_bytes(bytes(whole))


BAD = {each.__name__: each for each in (foreign, half, empty, newer, tornZstd, bomb, tornAge, someoneElses, garbled)}
SAID = {
    "foreign": "not a segment",
    "newer": "format 2",
    "someoneElses": "encrypted to others",
    "tornAge": "encrypted to others",
}


class BadRecordingTests(VerifyCase):
    """Every kind of bad first segment, against every command that reads."""

    def digests(self) -> dict[str, str]:
        folder = self.data / "recordings"
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}

    async def each(self, name: str) -> None:
        spoilt = Path(self.path("plain")) / "000000.hxr"
        spoilt.chmod(0o600)
        BAD[name](spoilt)
        before = self.digests()
        id, other = self.world.sessions["plain"], self.world.sessions["compressed"]
        identity = ["--identity", str(self.keyfile)]
        for arguments in (
            ["show", id, *identity], ["replay", id, *identity], ["export", id, "--format", "jsonl", "-o", os.devnull, *identity],
            ["export", id, "--format", "csv", "-o", os.devnull, *identity], ["export", id, "--format", "raw", "--to", "client", "-o", os.devnull, *identity],
            ["export", id, "--format", "pcapng", "-o", os.devnull, *identity],
        ):  # fmt: skip
            if name == "garbled" and {"raw", "pcapng"} & set(arguments):
                continue  # bytes need no HEAD
            status, _, err = await self.hoopx(sessions, *arguments)
            self.assertEqual(status, 1, (name, arguments, err))
            self.assertNotIn("Traceback", err)
            self.assertIn(SAID.get(name, ""), err, (name, arguments))
            self.assertTrue(err.strip(), (name, arguments))
            self.assertLess(len(err.splitlines()), 4, err)
        status, found, err = await self.verified(*self.keys, *identity)
        self.assertEqual(status, 1, err)
        (told,) = [line for line in found if line["session"] == id]
        self.assertIn(told["state"], ("TAMPERED", "unchecked"), told)
        self.assertEqual(told["segment"] or "000000.hxr", "000000.hxr", told)
        self.assertTrue(told["problem"], told)
        self.assertEqual([line["state"] for line in found if line["session"] == other], ["complete"])
        status, out, err = await self.hoopx(sessions, "list", "--json", *identity)
        self.assertEqual((status, "Traceback" in err), (0, False), err)
        self.assertIn(other, out)
        status, _, err = await self.hoopx(sessions, "show", other)
        self.assertEqual((status, err), (0, ""))
        status, _, err = await self.hoopx(reindex, *identity)
        self.assertEqual((status, "Traceback" in err, id in err), (1, False, True), err)
        self.assertEqual(self.digests(), before, "something was changed")


def _case(name: str):
    async def test(self: BadRecordingTests) -> None:
        await self.each(name)

    return test


for _name in BAD:
    setattr(BadRecordingTests, f"test_{_name}", _case(_name))


class WrongKeyTests(VerifyCase):
    async def test_ledgerKey(self) -> None:
        """Somebody else's key proves nothing, and changes nothing."""
        before = {str(path): path.read_bytes() for path in self.data.rglob("*") if path.is_file()}
        status, _, err = await self.hoopx(verify, "--ledger-key", "gw+00000000+" + "A" * 44)
        self.assertNotEqual(status, 0)
        self.assertNotIn("Traceback", err)
        self.assertEqual({str(path): path.read_bytes() for path in self.data.rglob("*") if path.is_file()}, before)
