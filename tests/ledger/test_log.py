"""The ledger on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerDamaged, LedgerFailed, WrongKey
from hoopx.ledger.keys import publicBytes, verifyRotation
from hoopx.ledger.leaf import leaf, parse
from hoopx.ledger.log import MAX_BATCH
from hoopx.ledger.note import Checkpoint, Cosigner, NoteError, Signer, Verifier, makeNote, openNote, parseCheckpoint, split
from hoopx.ledger.places import MAX_TAIL
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.tree import EMPTY, ProofError, leafHash, verifyConsistency, verifyInclusion
from hoopx.recording.locks import Locked
from tests.ledger.rig import AT, DIGEST, done, key, mth, open_, opened, sealed
from tests.recording.rig import FaultyFiles

SEVEN = f"{7:026d}"


class Base(SynchronousTestCase):
    def setUp(self):
        self.directory = os.path.join(self.mktemp(), "ledger")

    def open(self, **named):
        ledger = open_(self.directory, **named)
        self.addCleanup(ledger.close)
        return ledger

    def filled(self, count):
        ledger = self.open()
        lines = [opened(number) for number in range(count)]
        for start in range(0, count, 1000):
            ledger.append(lines[start : start + 1000])
        return ledger, lines


class AppendTests(Base):
    def test_inOrder(self):
        ledger = self.open()
        self.assertEqual(ledger.append([opened(1), sealed(1, 0)]), [0, 1])
        self.assertEqual(ledger.append([sealed(1, 1), done(1)]), [2, 3])
        self.assertEqual(ledger.size, 4)
        self.assertEqual(ledger.entries(0, 99), [opened(1), sealed(1, 0), sealed(1, 1), done(1)])
        self.assertEqual(ledger.entries(1, 3), [sealed(1, 0), sealed(1, 1)])

    def test_thereAfterwards(self):
        ledger, lines = self.filled(1000)
        ledger.close()
        again = self.open()
        self.assertEqual((again.size, again.entries(0, 1000)), (1000, lines))

    def test_thousandAtOnce(self):
        """One write, one sync."""
        files = FaultyFiles()
        ledger = self.open(files=files)
        files.calls.clear()
        files.writes.clear()
        ledger.append([opened(number) for number in range(1000)])
        self.assertEqual(([name for name, _ in files.calls], len(files.writes)), (["fdatasync"], 1))

    def test_idempotent(self):
        """In the tail, in tiles, after opening again, and within one batch."""
        ledger, lines = self.filled(300)
        acts = [leaf("hold-set", AT, session="a", audit=DIGEST), leaf("audit", AT, audit=DIGEST), leaf("erased", AT, session="a", audit=DIGEST)]
        batch = [opened(7, 5.0), sealed(7, 0), sealed(7, 1), sealed(7, 0, 5.0), done(7), done(7, 5.0), *acts, *acts]
        expected = [7, 300, 301, 300, 302, 302, 303, 304, 305, 303, 304, 305]
        for _ in range(2):
            self.assertEqual(ledger.append(batch), expected)
            ledger.checkpoint()
            self.assertEqual(ledger.append(batch), expected)
            ledger.close()
            ledger = self.open()
        self.assertEqual(ledger.size, 306)
        self.assertEqual([ledger.find("opened", SEVEN), ledger.find("sealed", SEVEN, 1)], [7, 301])
        self.assertEqual([ledger.find("opened", "x"), ledger.find("sealed", SEVEN, 2), ledger.find("later", "x")], [None] * 3)

    def test_lookupLost(self):
        ledger, _ = self.filled(1000)
        ledger.checkpoint()
        ledger.close()
        for name in os.listdir(self.directory):
            if name.startswith("lookup"):
                os.unlink(os.path.join(self.directory, name))
        again = self.open()
        self.assertEqual(again.append([opened(5), opened(999), opened(1000)]), [5, 999, 1000])

    def test_lookupOfAnother(self):
        """One that knows more than there is does not belong here."""
        ledger, _ = self.filled(300)
        ledger.checkpoint()
        ledger.close()
        database = sqlite3.connect(os.path.join(self.directory, "lookup.sqlite"))
        with database:
            database.execute("UPDATE covered SET at = 5120")
            database.execute("UPDATE leaf SET at = 4000")
        database.close()
        self.assertEqual(self.open().append([opened(5)]), [5])

    def test_notALeaf(self):
        ledger = self.open()
        rotated = leaf("key-rotated", AT, key="k", signature="ab" * 64)
        for wrong in (b"", b"{}", opened(1) + b"\n", rotated, b'{"at":1.0,"type":"later","v":1}'):
            self.assertRaises(ValueError, ledger.append, [opened(2), wrong])
        self.assertEqual(ledger.size, 0)
        self.assertRaises(ValueError, ledger.append, [opened(1)] * (MAX_BATCH + 1))

    def test_tailIsBounded(self):
        """Without any checkpoint, full bundles leave the tail and the memory."""
        ledger = self.open()
        for start in range(0, 3 * MAX_TAIL, 1000):
            ledger.append([opened(number) for number in range(start, start + 1000)])
            self.assertLessEqual(len(ledger._leaves.recent), MAX_TAIL)
            self.assertLessEqual(len(ledger._places._recent), MAX_TAIL)
        self.assertTrue(os.path.exists(os.path.join(self.directory, "tile", "entries", "000")))


class CheckpointTests(Base):
    def test_signed(self):
        ledger, lines = self.filled(700)
        note = ledger.checkpoint()
        text, _ = openNote(note, [Verifier.parse(ledger.vkey)])
        self.assertEqual(parseCheckpoint(text), Checkpoint(ledger.origin, 700, mth([leafHash(line) for line in lines])))
        with open(os.path.join(self.directory, "checkpoint"), "rb") as file:
            self.assertEqual(file.read(), note)
        self.assertEqual(ledger.published, note)

    def test_empty(self):
        text, _ = split(self.open().checkpoint())
        self.assertEqual(parseCheckpoint(text)[1:3], (0, EMPTY))

    def test_nothingNew(self):
        ledger, _ = self.filled(3)
        note = ledger.checkpoint()
        os.unlink(os.path.join(self.directory, "checkpoint"))
        self.assertEqual(ledger.checkpoint(), note)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "checkpoint")))

    def test_origin(self):
        ledger = self.open()
        self.assertRegex(ledger.origin, r"^gw1\.[0-9a-f]{8}$")
        ledger.close()
        self.assertEqual(self.open(name="other").origin, ledger.origin)

    def test_everySize(self):
        """Each checkpoint follows from the one before, over many bundles; the layout is that of the specification."""
        ledger = self.open()
        before, count = (0, EMPTY), 0
        for step in (1, 1, 3, 250, 1, 1, 255, 256, 257, 1000, 5):
            ledger.append([opened(number) for number in range(count, count + step)])
            count += step
            found = parseCheckpoint(split(ledger.checkpoint())[0])
            verifyConsistency(before[0], before[1], found.size, found.root, ledger.consistency(before[0], found.size))
            reader = LedgerReader(self.directory)
            self.assertEqual(reader.audit(reader.checkpoint()), [])
            before = found.size, found.root
        names = []
        for folder, _, files in os.walk(os.path.join(self.directory, "tile")):
            names += [os.path.relpath(os.path.join(folder, name), self.directory) for name in files]
        last = count // 256
        self.assertEqual(
            sorted(name for name in names if ".p" not in name),
            sorted(f"tile/{level}/{number:03d}" for level in ("0", "entries") for number in range(last)),
        )
        self.assertEqual({name.split(".p")[0] for name in names if ".p" in name}, {f"tile/0/{last:03d}", f"tile/entries/{last:03d}", "tile/1/000"})

    def test_proofs(self):
        ledger, lines = self.filled(700)
        for size in (1, 2, 255, 256, 257, 513, 700):
            root = mth([leafHash(line) for line in lines[:size]])
            self.assertEqual(ledger.root(size), root)
            for index in {0, size // 2, size - 1}:
                verifyInclusion(leafHash(lines[index]), index, size, ledger.inclusion(index, size), root)
        self.assertRaises(ProofError, ledger.root, 701)
        self.assertRaises(ProofError, ledger.inclusion, 700, 700)
        self.assertRaises(ProofError, ledger.inclusion, 0, 701)
        self.assertRaises(ProofError, ledger.consistency, 5, 701)


class PublishTests(Base):
    def cosigned(self, ledger, number=2, at=1790000000):
        note = ledger.checkpoint()
        text, lines = split(note)
        return makeNote(text, [lines[0][3], Cosigner(f"w{number}.example", key(number)).cosign(text, at)])

    def test_kept(self):
        ledger, _ = self.filled(3)
        first, second = self.cosigned(ledger, 2), self.cosigned(ledger, 3)
        ledger.publish(first)
        ledger.publish(second)
        names = [name for name, *_ in split(ledger.published)[1]]
        self.assertEqual(names, [ledger.origin, "w2.example", "w3.example"])
        self.assertEqual(ledger.checkpoint(), ledger.published)
        ledger.close()
        again = self.open()
        self.assertEqual((again.published, again.witnessed), (ledger.published, ledger.witnessed))
        self.assertEqual(again.published, again.witnessed)

    def test_late(self):
        """Cosignatures that come when there is a newer checkpoint take nothing back."""
        ledger, _ = self.filled(3)
        late = self.cosigned(ledger)
        ledger.append([opened(100)])
        newer = ledger.checkpoint()
        ledger.publish(late)
        self.assertEqual(ledger.published, newer)
        self.assertEqual(ledger.witnessed, late)
        reader = LedgerReader(self.directory)
        self.assertEqual(reader.checkpoint(witnessed=True).checkpoint.size, 3)
        self.assertEqual(reader.checkpoint().checkpoint.size, 4)

    def test_foreign(self):
        ledger, lines = self.filled(3)
        signer = Signer(ledger.origin, key())
        for wrong in (
            Checkpoint(ledger.origin, 4, bytes(32)),
            Checkpoint(ledger.origin, 3, bytes(32)),
            Checkpoint(ledger.origin, 2, ledger.root(3)),
            Checkpoint("gw2.00000000", 3, ledger.root(3)),
            Checkpoint(ledger.origin, 3, ledger.root(3), ("more",)),
        ):
            self.assertRaises(NoteError, ledger.publish, makeNote(wrong.text(), [signer.sign(wrong.text())]))
        right = Checkpoint(ledger.origin, 3, ledger.root(3)).text()
        self.assertRaises(NoteError, ledger.publish, makeNote(right, [Signer(ledger.origin, key(5)).sign(right)]))
        self.assertIsNone(ledger.published)
        ledger.publish(makeNote(right, [signer.sign(right)]))


class RotationTests(Base):
    def test_oldSignsNew(self):
        ledger, _ = self.filled(3)
        old = Verifier.parse(ledger.vkey)
        ledger.rotate(key(2))
        value = parse(ledger.entries(3, 4)[0])
        verifyRotation(publicBytes(key()), value["key"], value["signature"])
        self.assertEqual(value["key"], ledger.vkey)
        new = Verifier.parse(ledger.vkey)
        self.assertEqual(new.name, old.name)
        # the first is signed by both, the next by the new one alone
        self.assertEqual(len(openNote(ledger.published, [old, new])[1]), 2)
        ledger.append([opened(9)])
        note = ledger.checkpoint()
        openNote(note, [new])
        self.assertRaises(NoteError, openNote, note, [old])

    def test_keyThatSignsNow(self):
        for count in (3, 700):
            with self.subTest(count):
                self.setUp()
                ledger, _ = self.filled(count)
                ledger.rotate(key(2))
                ledger.append([opened(number) for number in range(10_000, 10_700)])
                ledger.checkpoint()
                ledger.rotate(key(3))
                ledger.close()
                for number in (1, 2):
                    self.assertRaises(WrongKey, open_, self.directory, signer=key(number))
                again = self.open(signer=key(3))
                reader = LedgerReader(self.directory)
                self.assertEqual([one.vkey for _, one in reader.chain(reader.first())][-1], again.vkey)
                self.assertEqual(len(reader.chain(reader.first())), 3)
                again.close()

    def test_inFlight(self):
        """A checkpoint that was on its way to the witnesses when the key changed."""
        ledger, _ = self.filled(3)
        note = ledger.checkpoint()
        text, lines = split(note)
        ledger.rotate(key(2))
        late = makeNote(text, [lines[0][3], Cosigner("w.example", key(7)).cosign(text, 5)])
        ledger.publish(late)
        self.assertEqual(ledger.witnessed, late)


class OpenTests(Base):
    def test_oneOwner(self):
        ledger = self.open()
        self.assertRaises(Locked, open_, self.directory)
        ledger.close()
        self.open()

    def test_closed(self):
        ledger = self.open()
        ledger.close()
        ledger.close()
        self.assertRaises(LedgerFailed, ledger.append, [opened(1)])
        self.assertRaises(LedgerFailed, ledger.checkpoint)

    def test_wrongKey(self):
        self.open().close()
        self.assertRaises(WrongKey, open_, self.directory, signer=key(2))

    def test_keyAskedFor(self):
        asked = []

        def choose(public):
            asked.append(public)
            return key()

        self.open(signer=choose).close()
        self.open(signer=choose)
        self.assertEqual(asked, [None, publicBytes(key()), publicBytes(key())])

    def test_damaged(self):
        """Each is noticed, and nothing is changed: opening the original again is as before."""
        ledger, lines = self.filled(1000)
        note = ledger.checkpoint()
        ledger.append([opened(5000)])
        ledger.close()
        kept = self.directory + ".kept"
        shutil.copytree(self.directory, kept)
        older = Checkpoint(ledger.origin, 1000, bytes(32)).text()
        ahead = Checkpoint(ledger.origin, 1002, bytes(32)).text()
        signer = Signer(ledger.origin, key())

        def flip(name, at):
            with open(os.path.join(self.directory, name), "r+b") as file:
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 1]))

        def put(name, data):
            with open(os.path.join(self.directory, name), "wb") as file:
                file.write(data)

        for harm in (
            lambda: os.unlink(os.path.join(self.directory, "tail")),
            lambda: put("tail", b""),
            lambda: flip("tail", 10),
            lambda: flip("tail", 500),
            lambda: os.unlink(os.path.join(self.directory, "origin")),
            lambda: put("origin", b"gw1.00000000+00000000+AAAA\n"),
            lambda: put("origin", Signer("gw2.00000000", key()).vkey.encode()),
            lambda: os.unlink(os.path.join(self.directory, "tile", "0", "001")),
            lambda: flip("tile/0/001", 77),
            lambda: put("tile/0/001", b""),
            lambda: put("checkpoint", makeNote(older, [signer.sign(older)])),
            lambda: put("checkpoint", makeNote(ahead, [signer.sign(ahead)])),
            lambda: put("witnessed", makeNote(ahead, [signer.sign(ahead)])),
            lambda: put("checkpoint", note[5:]),
            lambda: put("checkpoint", b""),
        ):
            harm()
            before = self.tree()
            self.assertRaises(LedgerDamaged, open_, self.directory)
            self.assertEqual(self.tree(), before)
            shutil.rmtree(self.directory)
            shutil.copytree(kept, self.directory)
        self.assertEqual(open_(self.directory).entries(0, 2000), [*lines, opened(5000)])

    def tree(self):
        found = {}
        for folder, _, files in os.walk(self.directory):
            for name in files:
                if not name.startswith("lookup"):
                    with open(os.path.join(folder, name), "rb") as file:
                        found[os.path.join(folder, name)] = file.read()
        return found

    def test_partialsAgain(self):
        """What nothing had waited for is made again when it is missing or half there."""
        ledger, _ = self.filled(300)
        ledger.checkpoint()
        ledger.close()
        for level in ("0", "entries"):
            path = os.path.join(self.directory, "tile", level, "001.p", "44")
            with open(path, "wb"):
                pass
        shutil.rmtree(os.path.join(self.directory, "tile", "1"))
        self.open()
        reader = LedgerReader(self.directory)
        self.assertEqual(reader.audit(reader.checkpoint()), [])
