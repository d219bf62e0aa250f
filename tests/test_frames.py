"""The format of recordings."""

from __future__ import annotations

import os
import re
import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx import frames
from hoopx.frames import DATA, EVENTS, HEADER, KINDS, LIMIT, START, Decoder, FrameError, encode, pack, segmentName, unpack
from hoopx.reading import readSession
from hoopx.values import Frame

FIXTURES = os.path.join(os.path.dirname(__file__), "fixtures", "recordings")
u8 = st.integers(0, 255)
someFrame = st.tuples(
    st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), u8, u8, u8, u8, st.binary(max_size=200)
)


def segment(parts):
    made = [Frame(at, number, *rest) for number, (at, *rest) in enumerate(parts)]
    return made, START + b"".join(encode(*f) for f in made)


class EncodeTests(SynchronousTestCase):
    def test_layout(self):
        """Byte for byte what docs/reference/format.rst says."""
        data = encode(5, 6, 7, 3, 2, 1, 1, b"xyz")
        self.assertEqual(len(data), HEADER + 3)
        size, crc = struct.unpack(">II", data[:8])
        self.assertEqual((size, crc), (3, zlib.crc32(data[8:])))
        self.assertEqual(struct.unpack(">QQI4B", data[8:32]), (5, 6, 7, 3, 2, 1, 1))
        self.assertEqual(START, b"\x89HXR\r\n\x1a\n\x00\x01")

    def test_tooLong(self):
        encode(0, 0, 0, DATA, payload=bytes(LIMIT))
        self.assertRaises(ValueError, encode, 0, 0, 0, DATA, payload=bytes(LIMIT + 1))

    def test_canonical(self):
        self.assertEqual(pack({"b": "é", "a": [1, None]}), '{"a":[1,null],"b":"é"}'.encode())
        self.assertEqual(unpack(pack({"a": "\udc80"})), {"a": "\udc80"})
        for wrong in (b"[]", b"{", b"\xff", b"[" * 100000):
            self.assertRaises(ValueError, unpack, wrong)

    def test_catalogue(self):
        for name, meaning in EVENTS.items():
            self.assertRegex(name, r"^[a-z]+(-[a-z]+)*$")
            self.assertTrue(meaning.endswith("."), name)

    def test_catalogueInCode(self):
        """Every event that the code records is in the catalogue."""
        package = os.path.dirname(frames.__file__)
        recorded = set()
        for place, _, names in os.walk(package):
            for name in names:
                if name.endswith(".py"):
                    with open(os.path.join(place, name), encoding="utf-8") as file:
                        recorded.update(re.findall(r"""\.note\(\s*["']([a-z]+(?:-[a-z]+)*)["']""", file.read()))
        self.assertLessEqual(recorded, set(EVENTS))

    def test_catalogueInDocs(self):
        path = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "docs", "reference", "format.rst")
        with open(path, encoding="utf-8") as file:
            table = file.read().split("\nEvents\n")[1].split("\nSignatures\n")[0]
        rows = dict(re.findall(r"^([a-z-]+) +([A-Z].*)$", table, re.MULTILINE))
        self.assertEqual(rows, EVENTS)


class DecoderTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(st.lists(someFrame, max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=20))
    def test_anySplit(self, parts, cuts):
        made, data = segment(parts)
        decoder, found, at, turn = Decoder(), [], 0, 0
        while at < len(data):
            step = cuts[turn % len(cuts)]
            found += decoder.feed(data[at : at + step])
            at += step
            turn += 1
        self.assertEqual(found, made)
        self.assertIsNone(decoder.finish())
        self.assertEqual((decoder.offset, decoder.frames), (len(data), len(made)))

    @settings(deadline=None)
    @given(st.lists(someFrame, min_size=1, max_size=5), st.data())
    def test_tornAnywhere(self, parts, data):
        made, whole = segment(parts)
        cut = data.draw(st.integers(0, len(whole) - 1))
        decoder = Decoder("open.hxr")
        found = decoder.feed(whole[:cut])
        self.assertEqual(found, made[: len(found)])
        ends = [len(START)]
        for frame in made:
            ends.append(ends[-1] + HEADER + len(frame.payload))
        wrong = decoder.finish()
        if cut in ends:
            self.assertIsNone(wrong)
        else:
            self.assertTrue(wrong.torn)
            self.assertEqual(wrong.offset, max([0] + [end for end in ends if end <= cut]))

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.booleans(), st.integers(1, 100))
    def test_anyBytes(self, noise, started, step):
        data = START + noise if started else noise
        decoder = Decoder()
        try:
            for at in range(0, len(data), step):
                decoder.feed(data[at : at + step])
                self.assertLessEqual(decoder.buffered, HEADER + LIMIT + step)
        except FrameError:
            self.assertRaises(FrameError, decoder.feed, b"")
            self.assertIsInstance(decoder.finish(), FrameError)

    @settings(deadline=None)
    @given(st.lists(someFrame, min_size=1, max_size=4), st.data())
    def test_anyFlippedBit(self, parts, data):
        """No changed bit goes unnoticed."""
        made, whole = segment(parts)
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        decoder = Decoder()
        try:
            found = decoder.feed(bytes(changed))
        except FrameError:
            found = []
        self.assertLess(len(found), len(made))
        self.assertEqual(found, made[: len(found)])
        self.assertIsNotNone(decoder.finish())

    def test_lengthOverLimit(self):
        """Refused from the header alone: nobody makes us keep a gigabyte."""
        decoder = Decoder()
        error = self.assertRaises(FrameError, decoder.feed, START + struct.pack(">II", LIMIT + 1, 0) + bytes(24))
        self.assertIn("more than", str(error))

    def test_sequence(self):
        decoder = Decoder("000003.hxr")
        data = START + encode(0, 5, 0, DATA) + encode(0, 5, 0, DATA)
        self.assertEqual(len(decoder.feed(data)), 1)
        error = decoder.finish()
        self.assertEqual((error.segment, error.offset, error.frame, error.torn), ("000003.hxr", len(START) + HEADER, 1, False))
        self.assertIn("sequence 5 follows 5", str(error))

    def test_otherStarts(self):
        for begin, word in (
            (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd"),
            (b"age-encryption.org/v1\n", "age"),
            (frames.MAGIC + b"\0\x02", "format 2"),
            (b"hello, world", "not a segment"),
        ):
            self.assertIn(word, str(self.assertRaises(FrameError, Decoder().feed, begin)))

class FixtureTests(SynchronousTestCase):
    """Recordings that were written by earlier versions, readable for ever."""

    def test_format1(self):
        path = os.path.join(FIXTURES, "format1")
        found = list(readSession(path))
        self.assertEqual([f.sequence for f in found], list(range(1, len(found) + 1)))
        self.assertEqual(
            [KINDS[f.kind] for f in found],
            "head event data data check seal link clock data event data done seal".split(),
        )
        self.assertEqual(unpack(found[0].payload)["format"], 1)
        self.assertEqual(
            [(f.side, f.origin, f.payload) for f in found if f.kind == DATA],
            [
                (1, 1, b"Q\x00\x00\x00\x0dSELECT 1\x00"),
                (2, 1, b"Z\x00\x00\x00\x05I"),
                (1, 2, b"Q\x00\x00\x00\x10DROP TABLE x\x00"),
                (2, 3, b"E\x00\x00\x00\x05\x00"),
            ],
        )
        self.assertEqual(unpack(found[-2].payload)["reason"], "client-left")
        self.assertEqual(sorted(os.listdir(path)), [segmentName(0), segmentName(1)])

    def test_format1Torn(self):
        """One that a crash has left, with a torn tail."""
        found = list(readSession(os.path.join(FIXTURES, "format1-torn")))
        self.assertEqual([KINDS[f.kind] for f in found], ["head", "event", "data"])
