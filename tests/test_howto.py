"""
The listings of the how-tos are whole and right; C{tests.peers.test_redislike} runs the protocol against a real server.
"""

import sys
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.config.loader import load
from hoopx.errors import ProtocolViolation, Refusal, TargetFailed
from hoopx.frames import DATA
from hoopx.interfaces import IConversation, IProtocolRecorder, ISessionView, IWireCodec
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Command, Credential, Frame, Result, Token, block
from tests.packaging import ROOT

LISTING = ROOT / "docs/howto/listings/redislike"
MASKED = ROOT / "docs/howto/listings/redismasked"
sys.path += [str(LISTING / "src"), str(MASKED / "src")]

from acme_redislike.codec import UNIT_LIMIT, RespCodec, command, words  # noqa: E402
from acme_redislike.conversation import RedisConversation  # noqa: E402
from acme_redislike.view import RedisView  # noqa: E402
from acme_redismasked import MaskedConversation  # noqa: E402

BULK = st.binary(max_size=30).map(lambda word: b"$%d\r\n%s\r\n" % (len(word), word))
LINE = st.sampled_from([b"+OK\r\n", b"-ERR no\r\n", b":17\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n"])
REPLY = st.recursive(LINE | BULK, lambda inner: st.lists(inner).map(lambda all: b"*%d\r\n" % len(all) + b"".join(all)))
SAID = st.lists(BULK, min_size=1, max_size=4).map(lambda all: b"*%d\r\n" % len(all) + b"".join(all))
SAID |= st.sampled_from([b"PING\r\n", b"\r\n"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, none of them empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in zip(edges, edges[1:])]


class CodecTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(IWireCodec, RespCodec(client=True))

    @given(st.lists(REPLY, max_size=6), st.lists(st.integers(0, 500)))
    def test_replies(self, replies: list[bytes], places: list[int]) -> None:
        self.check(RespCodec(client=False), replies, places)

    @given(st.lists(SAID, max_size=6), st.lists(st.integers(0, 500)))
    def test_commands(self, said: list[bytes], places: list[int]) -> None:
        self.check(RespCodec(client=True), said, places)

    def check(self, codec: RespCodec, units: list[bytes], places: list[int]) -> None:
        """Whatever the splits, the same units."""
        found = [raw for piece in cut(b"".join(units), places) for _, raw in codec.feed(piece)]
        self.assertEqual(found, units)
        self.assertTrue(codec.atBoundary)

    @given(st.binary(max_size=200), st.lists(st.integers(0, 200)), st.booleans())
    def test_garbage(self, data: bytes, places: list[int], client: bool) -> None:
        """Units whose bytes concatenate to the input, or a violation."""
        codec = RespCodec(client)
        try:
            found = [raw for piece in cut(data, places) for _, raw in codec.feed(piece)]
        except ProtocolViolation:
            return
        self.assertEqual(b"".join(found) + codec.residue(), data)

    def test_noHiding(self) -> None:
        """A string on its own is a line to Redis: what follows it is a command, not its content."""
        codec = RespCodec(client=True)
        self.assertEqual(codec.feed(b"$9\r\nAUTH x y\r\n"), [("command", b"$9\r\n"), ("login", b"AUTH x y\r\n")])
        for wrong in (b"*1\r\n+AUTH\r\n", b"*1_0\r\n", b"*+1\r\n", b"*1\n", b"*1\rx\n"):
            self.assertRaises(ProtocolViolation, RespCodec(client=True).feed, wrong)

    def test_limit(self) -> None:
        codec = RespCodec(client=True)
        codec.feed(b"*2\r\n$3\r\nSET\r\n$99999999\r\n")
        self.assertRaises(ProtocolViolation, codec.feed, b"x" * UNIT_LIMIT)

    def test_words(self) -> None:
        self.assertEqual(words(command(b"SET", b"a\r\n", b"")), [b"SET", b"a\r\n", b""])


class Door:
    """What the conversation asks of a door, a session and a lane."""

    startsTLS = requireTLS = secure = judged = False
    pinned = None
    address = "127.0.0.1:1"

    def __init__(self) -> None:
        self.said: list[tuple] = []
        self.conversation = RedisConversation()
        self.conversation.begin(self)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **more: self.said.append((name, *arguments, *more.values()))

    def lane(self, channel: int, masks: tuple = ()) -> "Door":
        self.masks = masks
        return self

    target = SimpleNamespace(tls="off")

    def take(self) -> list[tuple]:
        said, self.said = self.said, []
        return said

    def hear(self, side: int, data: bytes) -> None:
        """Bytes, as the core hands them to handlers; without one, they are forwarded."""
        conversation = self.conversation
        codec = conversation.clientCodec if side == CLIENT else conversation.targetCodec
        for kind, raw in codec.feed(data):
            handlers = conversation.clientHandlers if side == CLIENT else conversation.targetHandlers
            handlers.get(kind, lambda raw: self.forward(side, raw))(raw)


class ConversationTests(SynchronousTestCase):
    def loggedIn(self, judged: bool = False) -> Door:
        door = Door()
        door.judged = judged
        door.hear(CLIENT, command(b"auth", b"app@cache", b"hx_1"))
        ((_, claim),) = door.take()
        self.assertEqual((claim.protocol, claim.target, claim.account, claim.proof), ("redislike", "cache", "app", Token("hx_1")))
        door.conversation.targetReady(door, Credential("default", {"password": b"pw"}))
        self.assertEqual(door.take(), [("ask", command(b"AUTH", b"default", b"pw"))])
        door.hear(TARGET, b"+OK\r\n")
        self.assertEqual(door.take(), [("live",), ("forward", TARGET, b"+OK\r\n", MADE)])
        return door

    def test_interface(self) -> None:
        verifyObject(IConversation, RedisConversation())

    def test_login(self) -> None:
        door = self.loggedIn()
        door.hear(CLIENT, b"PING\r\n")
        door.hear(TARGET, b"-ERR no\r\n+PONG\r\n")
        forwarded = [("forward", CLIENT, b"PING\r\n"), ("forward", TARGET, b"-ERR no\r\n"), ("forward", TARGET, b"+PONG\r\n")]
        self.assertEqual(door.take(), forwarded)

    def test_tooEarly(self) -> None:
        door = Door()
        for said in (b"GET x\r\n", b"HELLO 3\r\n", b"AUTH hx_1\r\n", b"\r\n"):
            door.hear(CLIENT, said)
        self.assertEqual([(name, raw[:8]) for name, raw in door.take()], [("reply", b"-NOAUTH ")] * 4)

    def test_asksForTLS(self) -> None:
        door = Door()
        door.requireTLS = True
        self.assertRaises(Refusal, door.hear, CLIENT, b"AUTH cache hx_1\r\n")

    def test_targetRefuses(self) -> None:
        door = Door()
        door.conversation.targetReady(door, Credential("default", {"password": b"pw"}))
        self.assertRaises(TargetFailed, door.hear, TARGET, b"-WRONGPASS no\r\n")

    def test_refusedInOrder(self) -> None:
        """The refusal stands where the target's error stands, and the attempt's place is taken by what no Redis knows."""
        door = self.loggedIn(judged=True)
        door.hear(CLIENT, command(b"FLUSHALL"))
        ((_, raw, said, _proceed),) = door.take()
        self.assertEqual((raw, said.text), (command(b"FLUSHALL"), "FLUSHALL"))
        door.conversation.refuse(door, said, block("not\r\nhere"))
        door.hear(TARGET, b"+OK\r\n-ERR unknown command 'HOOPX.REFUSED', with args beginning with: \r\n")
        self.assertEqual([one[1:3] for one in door.take()], [
            (CLIENT, command(b"HOOPX.REFUSED")),
            (TARGET, b"+OK\r\n"),
            (TARGET, b"-ERR unknown command 'HOOPX.REFUSED', with args beginning with: \r\n"),
            (TARGET, b"-NOPERM not here\r\n"),
        ])  # fmt: skip

    def test_secondLogin(self) -> None:
        """Its token goes nowhere."""
        door = self.loggedIn()
        door.hear(CLIENT, command(b"AUTH", b"cache", b"hx_2"))
        self.assertEqual(door.take(), [("forward", CLIENT, command(b"HOOPX.REFUSED"), MADE)])

    def test_end(self) -> None:
        door = self.loggedIn()
        self.assertEqual(door.conversation.end("killed", "enough"), b"-ERR enough\r\n")
        door.hear(TARGET, b"$5\r\nhal")  # kept back: the client has whole replies
        self.assertTrue(door.conversation.targetCodec.atBoundary)


class MaskedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.door = Door()
        self.door.conversation = conversation = MaskedConversation()
        conversation.begin(self.door)
        self.door.hear(CLIENT, command(b"auth", b"app@cache", b"hx_1"))
        conversation.targetReady(self.door, Credential("default", {"password": b"pw"}))
        self.door.hear(TARGET, b"+OK\r\n")
        self.door.take()

    def test_interface(self) -> None:
        verifyObject(IConversation, MaskedConversation())
        self.assertEqual(self.door.masks, (TARGET,))

    def test_masked(self) -> None:
        """Whatever the splits: as long as before, and the rest as it is; errors too."""
        said = b"$19\r\n4111 2222 3333 4444\r\n+OK\r\n-ERR no '4111222233334444'\r\n*1\r\n$20\r\n411122223333444455556\r\n"
        said = said.replace(b"$20", b"$21")
        for size in (1, 7, len(said)):
            for begin in range(0, len(said), size):
                self.door.hear(TARGET, said[begin : begin + size])
            units = [raw for _, raw in RespCodec(client=False).feed(said)]
            self.assertEqual(
                self.door.take(),
                [
                    ("masked", TARGET, b"$19\r\n***************4444\r\n", units[0]),
                    ("forward", TARGET, units[1]),
                    ("masked", TARGET, b"-ERR no '************4444'\r\n", units[2]),
                    ("forward", TARGET, units[3]),
                ],
            )

    @given(st.lists(REPLY, max_size=6))
    def test_lengths(self, replies: list[bytes]) -> None:
        """What is sent is the same units again, to a codec."""
        for reply in replies:
            self.door.hear(TARGET, reply)
        sent = b"".join(one[2] for one in self.door.take())
        self.assertEqual(len(RespCodec(client=False).feed(sent)) if sent else 0, len(replies))


class ViewTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(ISessionView, RedisView())

    def test_conversation(self) -> None:
        view = RedisView()

        def frame(at: int, side: int, origin: int, payload: bytes) -> list:
            return view.feed(Frame(at * 1_000_000_000, at, 0, DATA, side, origin, 0, payload))

        self.assertEqual(frame(1, CLIENT, PASSED, command(b"GET", b"a")[:9]), [])
        (asked,) = frame(2, CLIENT, PASSED, command(b"GET", b"a")[9:])
        self.assertEqual(asked, Command(2.0, 0, "redis", "GET a", sequence=2))
        (got,) = frame(3, TARGET, PASSED, b"*2\r\n:1\r\n:2\r\n")
        self.assertEqual(got, Result(3.0, 0, None, 2, "*2", None, 1.0, sequence=3))
        (asked,) = frame(4, CLIENT, ATTEMPTED, command(b"FLUSHALL"))
        self.assertEqual(asked.verdict, "block")
        self.assertEqual(frame(5, CLIENT, MADE, command(b"HOOPX.REFUSED")), [])
        self.assertEqual(frame(6, TARGET, ATTEMPTED, b"-ERR unknown\r\n"), [])
        (got,) = frame(7, TARGET, MADE, b"-NOPERM not here\r\n")
        self.assertEqual(got.error, {"code": "NOPERM", "message": "not here"})


class ListingTests(SynchronousTestCase):
    def test_dropin(self) -> None:
        found: dict = {}
        exec((LISTING / "src/hoopx/plugins/acme_redislike.py").read_text(), found)  # noqa: S102
        recorder = found["recorder"]
        verifyObject(IProtocolRecorder, recorder)
        self.assertIsInstance(recorder.conversation(), RedisConversation)
        self.assertIsInstance(recorder.view(), RedisView)
        exec((MASKED / "src/hoopx/plugins/acme_redismasked.py").read_text(), found)  # noqa: S102
        self.assertIsInstance(found["recorder"].conversation(), MaskedConversation)
        self.assertIsInstance(found["recorder"].view(), RedisView)

    def test_small(self) -> None:
        """The promise: under 200 lines of Python."""
        lines = [line for path in LISTING.rglob("src/**/*.py") for line in path.read_text().splitlines() if line.strip()]
        self.assertLess(len(lines), 200)

    def test_noInit(self) -> None:
        """A third party's drop-in lies in a folder that is hoopx's: an __init__.py there would overwrite or hide it."""
        for listing in (LISTING, MASKED):
            self.assertEqual(list((listing / "src/hoopx").rglob("__init__.py")), [])

    def test_quickstart(self) -> None:
        """The quickstart's configuration is one, and the README shows the same."""
        text = (ROOT / "docs/howto/listings/quickstart.toml").read_text()
        settings = load(str(ROOT / "docs/howto/listings/quickstart.toml"))
        self.assertEqual(list(settings.targets), ["orders"])
        shown = [line.strip() for line in (ROOT / "README.rst").read_text().splitlines()]
        self.assertEqual([line for line in text.splitlines() if line.strip() not in shown], [])
