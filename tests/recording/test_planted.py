"""
Tampering of other kinds than flips and cuts: names, links, markers, packing, and what the ledger's own files allow. Each is found and
called what it is, or changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64decode, b64encode

import pyrage
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx.frames import HEAD, OPEN, segmentName
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Signer
from hoopx.recording.elsewhere import MARKER
from hoopx.recording.evidence import GOOD
from tests.recording.test_tampering import TamperingBase

OK: dict = {}
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
"""A zstd frame without content (RFC 8878, 3.1.2)."""


class PlantedTests(TamperingBase):
    def at(self, name, segment=None):
        """@return: the path of a session, or of a file in it."""
        _, path = self.session(name)
        return path if segment is None else os.path.join(path, segment if isinstance(segment, str) else segmentName(segment))

    def ledger(self, *names):
        for name in names:
            self.touched.append(os.path.join("ledger", name))
        return [os.path.join(self.data, "ledger", name) for name in names]

    def looked(self, expected, reader=None, said=""):
        """@param expected: session -> (segment, part of the reason); C{"ledger"} -> part of what is wrong with that."""
        expected = dict(expected)
        for each in [reader] if reader is not None else self.readers:
            found, register = self.look(each)
            text = f"{said}: {register.problems} { {name: one.problems for name, one in found.items() if one.problems} }"
            if "ledger" in expected:
                self.assertIn(expected["ledger"], "; ".join(register.problems), text)
                self.assertTrue(all(one.state in GOOD | {"unchecked"} for one in found.values()), text)
                continue
            self.assertEqual(register.problems, [], text)
            wrong = {name: one for name, one in found.items() if one.state not in GOOD}
            self.assertEqual(set(wrong), set(expected), text)
            for name, (segment, reason) in expected.items():
                self.assertEqual(wrong[name].problems[0].segment, segment, text)
                self.assertIn(reason, wrong[name].problems[0].reason, text)

    def test_found(self):
        kinds = sorted(name for name in dir(self) if name.startswith("do_"))
        self.assertGreater(len(kinds), 30)
        for kind in kinds:
            self.looked(getattr(self, kind)(), said=kind)
            self.restore()
        self.sound()

    # -- whole sessions

    def do_directoriesSwapped(self):
        one, other = self.at("plain"), self.at("compressed")
        os.rename(one, one + ".x")
        os.rename(other, one)
        os.rename(one + ".x", other)
        return dict.fromkeys(("plain", "compressed"), ("000000.hxr", "another session"))

    def do_lowerCase(self):
        path = self.at("plain")
        lower = os.path.join(os.path.dirname(path), os.path.basename(path).lower())
        self.touched.append(os.path.relpath(lower, self.data))
        os.rename(path, lower)
        return {"plain": ("000000.hxr", "it is not there"), os.path.basename(lower): ("000000.hxr", "another session")}

    def moved(self, copy):
        path = self.at("plain")
        self.touched.append("recordings/1999")
        other = os.path.join(self.data, "recordings", "1999", "01", "01", os.path.basename(path))
        os.makedirs(os.path.dirname(other))
        (shutil.copytree if copy else os.rename)(path, other)
        return other

    def do_otherDay(self):
        self.moved(False)
        return OK

    def do_twice(self):
        self.moved(True)
        return OK

    def do_twiceOneForged(self):
        other = os.path.join(self.moved(True), segmentName(1))
        data = bytearray(self.read(other))
        data[100] ^= 1
        self.write(other, bytes(data))
        # The look keeps one verdict for each name: the last one, by the folder.
        os.rename(os.path.join(self.data, "recordings", "1999"), os.path.join(self.data, "recordings", "2999"))
        self.touched.append("recordings/2999")
        return {"plain": ("000001.hxr", "checksum")}

    def do_inAnother(self):
        os.rename(self.at("plain"), os.path.join(self.at("compressed"), os.path.basename(self.at("plain"))))
        return OK

    def do_directoryIsFile(self):
        path = self.at("short")
        shutil.rmtree(path)
        self.write(path, b"x")
        return {"short": ("000000.hxr", "it is not there")}

    def do_directoryLoop(self):
        self.touched.append("recordings/loop")
        os.symlink("..", os.path.join(self.data, "recordings", "loop"))
        return OK

    # -- segments

    def do_numberedAgain(self):
        shutil.copy(self.at("plain", 0), self.at("plain", 10))
        return {"plain": ("000003.hxr", "missing")}

    def do_lastAgain(self):
        shutil.copy(self.at("plain", 2), self.at("plain", 3))
        return {"plain": ("000003.hxr", "behind the end")}

    def do_openAgain(self):
        self.write(self.at("plain", OPEN), b"garbage")
        return {"plain": (OPEN, "behind the end")}

    def do_openOnceMore(self):
        os.rename(self.at("plain", 2), self.at("plain", OPEN))
        return {"plain": ("000002.hxr", "missing, which the ledger has")}

    def do_linkedToAnother(self):
        os.remove(self.at("plain", 1))
        os.link(self.at("plain", 0), self.at("plain", 1))
        return {"plain": ("000001.hxr", "missing")}

    def linked(self, path):
        """What was there is elsewhere, whole, and a link leads to it."""
        self.touched.append("elsewhere")
        os.rename(path, os.path.join(self.data, "elsewhere"))
        os.symlink(os.path.join(self.data, "elsewhere"), path)

    def do_linkElsewhere(self):
        self.linked(self.at("plain", 1))
        return {"plain": ("000001.hxr", "symbolic link, which is not followed")}

    def do_linkOfOpen(self):
        self.linked(self.at("live", OPEN))
        return {"live": (OPEN, "symbolic link, which is not followed")}

    def do_linkOfMarker(self):
        """Everything is there, but what the marker tells is not what was written."""
        self.write(self.at("plain", MARKER), json.dumps({"store": "s3:x", "objects": {}}).encode())
        self.linked(self.at("plain", MARKER))
        return {"plain": (MARKER, "symbolic link, which is not followed")}

    def do_linkOfDirectory(self):
        self.linked(self.at("plain"))
        return {"plain": ("", "its directory is a symbolic link, which is not followed")}

    def do_linkOfDirectoryNowhere(self):
        self.linked(self.at("plain"))
        shutil.rmtree(os.path.join(self.data, "elsewhere"))
        return {"plain": ("000000.hxr", "it is not there")}

    def do_linkOfDirectoryInside(self):
        """It is found where it is."""
        path = self.at("plain")
        os.symlink(self.moved(False), path)
        return OK

    def do_linkOfErased(self):
        self.touched.append("recordings/1999")
        folder = os.path.join(self.data, "recordings", "1999", self.world.sessions["erased"])
        os.makedirs(folder)
        os.symlink(os.path.join(self.at("plain"), segmentName(0)), os.path.join(folder, segmentName(0)))
        return {"erased": ("", "symbolic link, which is not followed")}

    def do_pipe(self):
        path = self.at("plain", 1)
        os.remove(path)
        os.mkfifo(path)
        return {"plain": ("000001.hxr", "not a regular file, but a named pipe")}

    def do_pipeForOpen(self):
        """Nobody waits whether it is locked, either."""
        path = self.at("live", OPEN)
        os.remove(path)
        os.mkfifo(path)
        return {"live": (OPEN, "a named pipe")}

    def do_pipeForMarker(self):
        os.mkfifo(self.at("plain", MARKER))
        return {"plain": (MARKER, "a named pipe")}

    def do_linkNowhere(self):
        path = self.at("plain", 1)
        os.remove(path)
        os.symlink("nowhere", path)
        return {"plain": ("000001.hxr", "missing: where it was is a symbolic link")}

    def do_linkZero(self):
        path = self.at("plain", 1)
        os.remove(path)
        os.symlink("/dev/zero", path)
        return {"plain": ("000001.hxr", "not a regular file, but a symbolic link")}

    def do_segmentIsDirectory(self):
        path = self.at("plain", 1)
        os.remove(path)
        os.mkdir(path)
        return {"plain": ("000001.hxr", "not a regular file, but a directory")}

    def do_sparse(self):
        """4 GB of zeros that take no room."""
        path = self.at("plain", 1)
        os.chmod(path, 0o600)
        os.truncate(path, 4 << 30)
        return {"plain": ("000001.hxr", "checksum")}

    def do_headTwice(self):
        """Keys that stand twice in HEAD, the first one for whom reads the first."""
        path = self.at("plain", 0)
        frames = self.frames(path)
        head = frames[0]
        self.assertEqual(head.kind, HEAD)
        frames[0] = head._replace(payload=b'{"session":"another",' + head.payload[1:])
        self.writeFrames(path, frames)
        return {"plain": ("000000.hxr", "HEAD is not the one in the ledger")}

    # -- packing

    def do_unpacked(self):
        """The very content, but not the file that the ledger has."""
        path = self.at("compressed", 1)
        self.write(path, zstandard.ZstdDecompressor().stream_reader(self.read(path)).read())
        return {"compressed": ("000001.hxr", "not the one in the ledger")}

    def do_packedOtherwise(self):
        path = self.at("compressed", 1)
        self.write(path, zstandard.ZstdCompressor(level=19).compress(zstandard.ZstdDecompressor().stream_reader(self.read(path)).read()))
        return {"compressed": ("000001.hxr", "not the one in the ledger")}

    def do_emptyFrameBehind(self):
        path = self.at("compressed", 1)
        self.write(path, self.read(path) + zstandard.compress(b""))
        return {"compressed": ("000001.hxr", "not the one in the ledger")}

    def do_skippableBehind(self):
        path = self.at("compressed", 1)
        self.write(path, self.read(path) + SKIPPABLE)
        return {"compressed": ("000001.hxr", "not the one in the ledger")}

    def do_skippableBefore(self):
        path = self.at("compressed", 1)
        self.write(path, SKIPPABLE + self.read(path))
        return {"compressed": ("000001.hxr", "not a segment")}

    def do_frameBehind(self):
        path = self.at("compressed", 1)
        self.write(path, self.read(path) + zstandard.compress(b"more"))
        return {"compressed": ("000001.hxr", "more than")}

    def do_cutAndFilled(self):
        path = self.at("compressed", 1)
        self.write(path, self.read(path)[:-20] + b"x" * 20)
        return {"compressed": ("000001.hxr", "damaged")}

    def do_encryptedAgain(self):
        """The same content, to the same auditors."""
        path = self.at("encrypted", 1)
        public = self.world.identity.to_public()
        self.write(path, pyrage.encrypt(pyrage.decrypt(self.read(path), [self.world.identity]), [public]))
        return {"encrypted": ("000001.hxr", "not the one in the ledger")}

    def do_decrypted(self):
        path = self.at("encrypted", 0)
        self.write(path, pyrage.decrypt(self.read(path), [self.world.identity]))
        return {"encrypted": ("000000.hxr", "not the one in the ledger")}

    def test_encryptedOtherwise(self):
        """Another content to the same auditors: who can read it sees what is wrong with it, who can not that it is another file."""
        path = self.at("encrypted", 1)
        public = self.world.identity.to_public()
        self.write(path, pyrage.encrypt(pyrage.decrypt(self.read(self.at("encrypted", 2)), [self.world.identity]), [public]))
        for reader, reason in zip(self.readers, ("not the one in the ledger", "number 2")):
            self.looked({"encrypted": ("000001.hxr", reason)}, reader)

    # -- markers

    def do_markerNames(self):
        self.write(self.at("plain", MARKER), json.dumps({"store": "s3:x", "objects": {"000003.hxr": "x"}}).encode())
        return {"plain": (MARKER, "the ledger has 3 segments")}

    def do_markerGarbage(self):
        """It tells nothing, and everything is there."""
        self.write(self.at("plain", MARKER), b"\xff" + b"[" * 100_000)
        return OK

    # -- the ledger

    def do_ledgerLinked(self):
        (path,) = self.ledger("tile/entries/000.p/31")
        self.linked(path)
        return {"ledger": "tile/entries/000.p/31: not a regular file, but a symbolic link, which is not followed"}

    def do_checkpointLinked(self):
        (path,) = self.ledger("checkpoint")
        self.linked(path)
        return {"ledger": "checkpoint: not a regular file, but a symbolic link, which is not followed"}

    def checkpoint(self, change):
        (path,) = self.ledger("checkpoint")
        self.write(path, change(self.read(path)))

    def do_signaturesMore(self):
        """Of strangers, and one that is there already."""
        line = "\N{EM DASH} other.example AAAAAAAAAAAA\n".encode()
        self.checkpoint(lambda note: note + line + note[note.rindex(b"\n", 0, -1) + 1 :])
        return OK

    def do_signaturesTooMany(self):
        self.checkpoint(lambda note: note + "\N{EM DASH} other.example AAAAAAAAAAAA\n".encode() * 200)
        return {"ledger": "at most 100 signatures"}

    def do_extension(self):
        self.checkpoint(lambda note: note.replace(b"\n\n", b"\nanother line\n\n"))
        return {"ledger": "does not hold"}

    def do_cosignatureTime(self):
        def change(note):
            line = next(line for line in note.split(b"\n") if b"witness.example" in line)
            name, _, encoded = line.rpartition(b" ")
            data = bytearray(b64decode(encoded))
            data[10] ^= 1
            return note.replace(line, name + b" " + b64encode(bytes(data)))

        self.checkpoint(change)
        return {"ledger": "does not hold"}

    def do_lineEnds(self):
        self.checkpoint(lambda note: note.replace(b"\n", b"\r\n"))
        return {"ledger": "control characters"}

    def do_bundleNotTiles(self):
        """A leaf as long as before; the tiles are what they were."""
        (path,) = self.ledger("tile/entries/000.p/31")
        self.write(path, self.read(path).replace(b'"segments":3', b'"segments":9', 1))
        return {"ledger": "hashes are not those of the entries"}

    def do_olderTiles(self):
        """Of earlier checkpoints: nobody needs them any more, and who is given one that is wrong has been lied to."""
        names = [f"tile/{kind}/000.p/{count}" for kind in ("0", "entries") for count in os.listdir(self.ledger("tile/0/000.p")[0]) if count != "31"]
        self.touched = []
        for path in self.ledger(*names):
            self.write(path, b"x")
        return {"ledger": "of an earlier checkpoint, and not what this tree has there"}

    def do_olderTilesGone(self):
        for path in self.ledger("tile/0/000.p", "tile/entries/000.p"):
            for name in os.listdir(path):
                if name != "31":
                    os.remove(os.path.join(path, name))
        return OK

    def do_otherKeySameName(self):
        """The whole ledger again with another key, under its own name, and the public half changed with it."""
        lines = [line for _, line in self.leaves()]
        (directory,) = self.ledger("")
        self.touched = ["ledger", "keys"]
        shutil.rmtree(directory)
        os.mkdir(directory)
        key = Ed25519PrivateKey.generate()
        self.write(os.path.join(directory, "origin"), Signer(self.key.name, key).vkey.encode() + b"\n")
        self.write(os.path.join(self.data, "keys", "ledger.pub"), key.public_key().public_bytes_raw().hex().encode())
        ledger = Ledger.open(directory, key, "gw")
        ledger.append(lines)
        ledger.checkpoint()
        ledger.close()
        return {"ledger": "not signed by the key given"}
