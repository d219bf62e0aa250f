"""Signed notes, checkpoints, cosignatures."""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.note import (
    MAX_SIGNATURES,
    Checkpoint,
    Cosigner,
    NoteError,
    Signer,
    Verifier,
    isName,
    makeNote,
    openNote,
    parseCheckpoint,
    signatureLine,
    split,
    union,
)
from tests.ledger.rig import key

# The example of Go's golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = TEXT + (
    "\n\N{EM DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

CHECK = Checkpoint("gw1.00000000", 20852163, bytes(range(32)))


class VectorTests(SynchronousTestCase):
    def test_verify(self):
        text, found = openNote(NOTE, [Verifier.parse(NEUMANN)])
        self.assertEqual((text, [one.name for one in found], found[0].timestamp), (TEXT, ["PeterNeumann"], None))

    def test_sign(self):
        signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(b64decode(SECRET)[1:]))
        self.assertEqual(signer.vkey, NEUMANN)
        self.assertEqual(makeNote(TEXT, [signer.sign(TEXT)]), NOTE)

    def test_specification(self):
        """The checkpoint with a cosignature that the specification shows: it can be taken apart, and nobody trusted has signed it."""
        note = (
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
            "\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
            "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
        ).encode()
        text, lines = split(note)
        self.assertEqual(parseCheckpoint(text)[:2], ("example.com/behind-the-sofa", 20852163))
        self.assertEqual([line[0] for line in lines], ["example.com/behind-the-sofa", "witness.example.com/w1"])
        self.assertEqual(int.from_bytes(lines[1][2][:8], "big"), 1679315147)
        self.assertRaises(NoteError, openNote, note, [Verifier.parse(NEUMANN)])


class KeyTests(SynchronousTestCase):
    def test_round(self):
        for make in (Signer, Cosigner):
            signer = make("gw1.00000000", key())
            again = Verifier.parse(signer.vkey + "\n")
            self.assertEqual((again.vkey, again.kind, again.keyId), (signer.vkey, signer.kind, signer.verifier.keyId))

    def test_notOurs(self):
        name, hash, data = NEUMANN.split("+", 2)
        for wrong in (
            "",
            "+",
            "PeterNeumann",
            f"{name}+{hash}",
            f"{name}+00000000+{data}",
            f"{name}x+{hash}+{data}",
            f"{name}+{hash}+{data[:-4]}",
            f"{name}+{hash}+*{data[1:]}",
            f"+{hash}+{data}",
            f"a b+{hash}+{data}",
            f"{name}+{hash}+" + b64encode(b"\x02" + b64decode(data)[1:]).decode(),
        ):
            self.assertRaises(ValueError, Verifier.parse, wrong)

    def test_names(self):
        self.assertTrue(isName("witness.example.com/w1"))
        for wrong in ("", "a b", "a+b", "a\n", "a\u2003b", "\ud800", "x" * 256, "a\x00"):
            self.assertFalse(isName(wrong))
        self.assertRaises(ValueError, Signer, "a b", key())


class OpenTests(SynchronousTestCase):
    def setUp(self):
        self.signer = Signer("gw1.00000000", key())
        self.witness = Cosigner("w.example", key(2))
        self.text = CHECK.text()
        self.note = makeNote(self.text, [self.signer.sign(self.text), self.witness.cosign(self.text, 1790000000)])

    def test_both(self):
        _, found = openNote(self.note, [self.signer.verifier, self.witness.verifier])
        self.assertEqual([(one.name, one.timestamp) for one in found], [("gw1.00000000", None), ("w.example", 1790000000)])
        self.assertEqual(self.note, makeNote(self.text, [one.line for one in found]))

    def test_unknownPassedOver(self):
        for verifier in (self.signer.verifier, self.witness.verifier):
            _, found = openNote(self.note, [verifier])
            self.assertEqual([one.name for one in found], [verifier.name])
        self.assertRaises(NoteError, openNote, self.note, [Signer("gw1.00000000", key(3)).verifier])
        self.assertRaises(NoteError, openNote, self.note, [])

    def test_sameKeyOtherUse(self):
        """A ledger's signature is no cosignature of the same key, and the other way round."""
        self.assertRaises(NoteError, openNote, self.note, [Cosigner("gw1.00000000", key()).verifier])
        self.assertRaises(NoteError, openNote, self.note, [Signer("w.example", key(2)).verifier])

    def test_oneBadRefusesAll(self):
        bad = signatureLine("w.example", self.witness.verifier.keyId, bytes(72))
        note = makeNote(self.text, [self.signer.sign(self.text), bad])
        self.assertRaises(NoteError, openNote, note, [self.signer.verifier, self.witness.verifier])
        openNote(note, [self.signer.verifier])

    def test_twiceCountsOnce(self):
        line = self.witness.cosign(self.text, 5)
        _, found = openNote(makeNote(self.text, [line] * 3), [self.witness.verifier])
        self.assertEqual(len(found), 1)

    def test_timeIsSigned(self):
        line = self.witness.cosign(self.text, 5)
        later = self.witness.cosign(self.text, 6)
        data = b64decode(line.split(b" ")[2])
        forged = signatureLine("w.example", data[:4], (6).to_bytes(8, "big") + data[12:])
        self.assertNotEqual(forged, later)
        self.assertRaises(NoteError, openNote, makeNote(self.text, [forged]), [self.witness.verifier])

    def test_everyBit(self):
        """No changed bit of text or signature gets through."""
        verifiers = [self.signer.verifier, self.witness.verifier]
        length = len(self.text)
        for at in range(length):
            changed = bytearray(self.note)
            changed[at] ^= 1
            self.assertRaises(NoteError, openNote, bytes(changed), verifiers)

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_changed(self, data):
        """A changed note is refused, or says the same with fewer signatures."""
        at = data.draw(st.integers(0, len(self.note) - 1))
        changed = bytearray(self.note)
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
        try:
            text, found = openNote(bytes(changed), [self.signer.verifier, self.witness.verifier])
        except NoteError:
            return
        self.assertEqual(text, self.text)
        for one in found:
            self.assertIn(one.line, self.note)

    @given(st.binary(max_size=300))
    def test_anyBytes(self, data):
        for note in (data, self.text + b"\n" + data, data + self.note):
            try:
                openNote(note, [self.signer.verifier])
            except NoteError:
                pass

    def test_noNote(self):
        line = self.signer.sign(self.text)
        for wrong in (
            b"",
            self.text,
            self.text + b"\n",
            self.text + line,
            self.text + b"\n" + line[:-1],
            self.text + b"\n" + line + b"more\n",
            self.text + b"\n-" + line[3:],
            self.text + b"\n" + line.replace(b"gw1", b"\xff"),
            self.text.replace(b"gw1", b"gw\x01") + b"\n" + line,
            self.text.replace(b"\n", b"\r\n") + b"\n" + line,
            self.text + b"\n" + line * (MAX_SIGNATURES + 1),
            b"x" * 1024 * 1024 + self.text + b"\n" + line,
        ):
            self.assertRaises(NoteError, openNote, wrong, [self.signer.verifier])

    def test_union(self):
        first = makeNote(self.text, [self.signer.sign(self.text), self.witness.cosign(self.text, 1)])
        other = Cosigner("x.example", key(3))
        second = makeNote(self.text, [self.signer.sign(self.text), other.cosign(self.text, 2), self.witness.cosign(self.text, 3)])
        _, found = openNote(union(first, second), [self.signer.verifier, self.witness.verifier, other.verifier])
        self.assertEqual([(one.name, one.timestamp) for one in found], [("gw1.00000000", None), ("w.example", 3), ("x.example", 2)])


class CheckpointTests(SynchronousTestCase):
    def test_round(self):
        for one in (CHECK, Checkpoint("o", 0, bytes(32)), Checkpoint("o", 5, bytes(32), ("more", "and more"))):
            self.assertEqual(parseCheckpoint(one.text()), one)

    def test_wrong(self):
        good = CHECK.text()
        for wrong in (
            b"",
            b"\n\n\n",
            good[:-1],
            good + b"\n",
            good.replace(b"20852163", b"020852163"),
            good.replace(b"20852163", b"-1"),
            good.replace(b"20852163", b"1e3"),
            good.replace(b"20852163", "٣".encode()),
            good.replace(b"20852163", b"9" * 20),
            good.replace(b"=", b""),
            b"\n".join(good.split(b"\n")[:2]) + b"\n",
        ):
            self.assertRaises(NoteError, parseCheckpoint, wrong)
