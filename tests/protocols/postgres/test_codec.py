"""
Tests of the PostgreSQL codecs and messages.
"""

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import ProtocolViolation
from hoopx.interfaces import IWireCodec
from hoopx.protocols.postgres import messages
from hoopx.protocols.postgres.codec import (
    BULK,
    CLIENT_KINDS,
    MAX_STARTUP,
    TARGET_KINDS,
    AnswerCodec,
    MessageCodec,
    RelayedCodec,
    StartupCodec,
)

kinds = st.sampled_from([bytes([kind]) for kind in b"QPBDE"])
wire = st.lists(st.builds(messages.message, kinds, st.binary(max_size=40)), max_size=12)
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
splits = st.lists(st.integers(1, 30), max_size=40)


def split(data, sizes):
    position = 0
    for size in [*sizes, len(data) + 1]:
        piece = data[position : position + size]
        position += size
        if piece:
            yield piece


def fed(codec, data, sizes):
    return [unit for piece in split(data, sizes) for unit in codec.feed(piece)]


class MessageCodecTests(SynchronousTestCase):
    def test_interface(self):
        for codec in (MessageCodec(), RelayedCodec(), StartupCodec(), AnswerCodec()):
            verifyObject(IWireCodec, codec)

    @given(wire, splits, st.frozensets(kinds))
    def test_everySplit(self, sent, sizes, interest):
        """Whatever the splits, the same units of interest, and all bytes."""
        data = b"".join(sent)
        codec = MessageCodec(interest, CLIENT_KINDS)
        units = fed(codec, data, sizes)
        self.assertEqual(b"".join(raw for _, raw in units), data)
        self.assertEqual([raw for kind, raw in units if kind], [raw for raw in sent if raw[:1] in interest])
        self.assertTrue(codec.atBoundary)
        self.assertEqual(codec.residue(), b"")

    @given(st.binary(max_size=200), splits)
    def test_anyBytes(self, data, sizes):
        """Units or a violation, and never more kept than was fed."""
        for codec in (MessageCodec({b"Q"}, CLIENT_KINDS, 64), StartupCodec()):
            try:
                units = fed(codec, data, sizes)
            except ProtocolViolation:
                continue
            self.assertEqual(b"".join(raw for _, raw in units) + codec.residue(), data)

    def test_tooLargeToJudge(self):
        codec = MessageCodec({b"Q"}, CLIENT_KINDS, 100)
        self.assertRaises(ProtocolViolation, codec.feed, b"Q" + pack(">I", 101))

    def test_largeAndUnwanted(self):
        codec = MessageCodec(frozenset(), CLIENT_KINDS, 100)
        self.assertEqual(codec.feed(b"Q" + pack(">I", 1 << 29)), [(None, b"Q" + pack(">I", 1 << 29))])
        self.assertFalse(codec.atBoundary)

    @given(wire, splits, st.frozensets(kinds))
    def test_boundaries(self, sent, sizes, interest):
        """What was given out ends with a message or not, and that is remembered for one feed."""
        data, codec, ends, given, before = b"".join(sent), MessageCodec(interest, CLIENT_KINDS), {0}, 0, True
        for raw in sent:
            ends.add(max(ends) + len(raw))
        for part in split(data, sizes):
            given += sum(len(raw) for _, raw in codec.feed(part))
            self.assertEqual((codec.wasAtBoundary, codec.atBoundary), (before, given in ends))
            before = codec.atBoundary

    def test_noLength(self):
        for length in (0, 3, 0x40000000, 0xFFFFFFFF):
            self.assertRaises(ProtocolViolation, MessageCodec(frozenset(), CLIENT_KINDS).feed, b"Q" + pack(">I", length))


spoken = st.lists(
    st.one_of(
        st.builds(messages.message, st.sampled_from([b"D", b"T", b"C", b"A", b"d"]), st.binary(max_size=40)),
        st.just(messages.message(b"Z", b"I")),
    ),
    max_size=12,
)


class RelayedCodecTests(SynchronousTestCase):
    @given(spoken, splits, st.integers(0, 40))
    def test_everySplit(self, sent, sizes, cut):
        """It passes on all it gets at once, and knows the boundaries as well as the codec that cuts."""
        data = b"".join(sent)
        data = data[: max(0, len(data) - cut)]
        codec, exact = RelayedCodec(), MessageCodec(frozenset(), TARGET_KINDS)
        position = 0
        for size in [*sizes, len(data) + 1]:
            piece = data[position : position + size]
            position += size
            if piece:
                self.assertEqual(codec.feed(piece), [(None, piece)])
                exact.feed(piece)
                self.assertEqual(codec.atBoundary, exact.atBoundary)
        self.assertEqual((codec.buffered, codec.residue()), (0, b""))

    def test_bulk(self):
        """Inside of bulk no boundary is known, not even where there is one; the next ReadyForQuery is one, however it comes."""
        row = messages.message(b"D", b"x" * 1019)
        rows = row * (BULK // len(row))
        done = messages.message(b"C", b"SELECT 1\0") + messages.message(b"Z", b"I")
        for cut in range(len(done)):
            codec = RelayedCodec()
            codec.feed(row)
            self.assertTrue(codec.atBoundary)
            codec.feed(rows)
            self.assertFalse(codec.atBoundary)
            codec.feed(row)
            self.assertFalse(codec.atBoundary)
            codec.feed(rows + done[:cut])
            self.assertFalse(codec.atBoundary)
            for byte in done[cut:]:
                self.assertFalse(codec.atBoundary)
                codec.feed(bytes([byte]))
            self.assertTrue(codec.atBoundary)
            codec.feed(row[:7])
            self.assertFalse(codec.atBoundary)
            codec.feed(row[7:])
            self.assertTrue(codec.atBoundary)

    def test_insideOfAMessage(self):
        """A value that looks like ReadyForQuery, in a message whose end is known."""
        value = messages.message(b"Z", b"I")
        codec = RelayedCodec()
        row = messages.message(b"D", b"1234" + value + b"1234")
        codec.feed(row[:9])
        self.assertFalse(codec.atBoundary)
        codec.feed(row[9:-4])
        self.assertFalse(codec.atBoundary)
        codec.feed(b"1234")
        self.assertTrue(codec.atBoundary)

    @given(st.lists(st.binary(min_size=1, max_size=30), max_size=20))
    def test_anyBytes(self, pieces):
        """Never an exception, and never anything kept back but a header."""
        codec = RelayedCodec()
        for piece in pieces:
            self.assertEqual(codec.feed(piece), [(None, piece)])
            self.assertLess(len(codec._part), 6)
        if codec._skip < 0:
            codec.feed(messages.message(b"Z", b"T"))
            self.assertTrue(codec.atBoundary)


class StartupCodecTests(SynchronousTestCase):
    @settings(max_examples=50)
    @given(splits)
    def test_everySplit(self, sizes):
        start = messages.startup(messages.VERSION_3_0, {"user": "app"})
        data = start + messages.password(b"x") + messages.query(b"SELECT 1")
        self.assertEqual([kind for kind, _ in fed(StartupCodec(), data, sizes)], ["startup", b"p", b"Q"])

    def test_length(self):
        for length in (0, 7, MAX_STARTUP + 1, 2 << 30):
            self.assertRaises(ProtocolViolation, StartupCodec().feed, pack(">II", length, 0x30000))

    def test_injection(self):
        """CVE-2021-23214: nothing may follow a request for encryption."""
        self.assertRaises(ProtocolViolation, StartupCodec().feed, messages.SSL_REQUEST_PACKET + b"Q")

    def test_answerInjection(self):
        """CVE-2021-23222, and an answer that is not PostgreSQL's."""
        self.assertRaises(ProtocolViolation, AnswerCodec().feed, b"SE")
        self.assertRaises(ProtocolViolation, AnswerCodec().feed, b"H")

    def test_directTLS(self):
        self.assertEqual(StartupCodec().feed(b"\x16\x03\x01"), [("tls", b"\x16\x03\x01")])


class MessagesTests(SynchronousTestCase):
    @given(st.dictionaries(st.text("abc_", min_size=1), values, max_size=5))
    def test_startup(self, parameters):
        raw = messages.startup(messages.VERSION_3_2, parameters)
        self.assertEqual(messages.readStartup(raw), (messages.VERSION_3_2, parameters))

    @given(st.binary(max_size=60))
    def test_bindOfAnyBytes(self, body):
        try:
            messages.readBind(messages.message(b"B", body))
        except ProtocolViolation:
            pass

    def test_fieldsEndNowhereElse(self):
        """A text with a NUL can not forge another field."""
        raw = messages.fields(b"E", "ERROR", "42501", "no\0Cforged")
        self.assertEqual(messages.readFields(raw)["C"], "42501")
        self.assertEqual(messages.readFields(raw)["M"], "no Cforged")

    def test_cancel(self):
        self.assertEqual(messages.readCancel(messages.cancelRequest(7, b"abcd")), (7, b"abcd"))
        self.assertRaises(ProtocolViolation, messages.readCancel, messages.cancelRequest(7, b""))
