# -*- test-case-name: tests.protocols.postgres.test_flight -*-
"""
What was sent to the server and is not answered yet, and what the names of its statements and portals stand for.

The server answers in order (PostgreSQL documentation, "Message Flow"), but not everything: after an error in the extended protocol
it passes over whatever comes until Sync, simple queries as well; while it takes COPY data it passes over Sync. Who miscounts takes
the answer to one Parse for the answer to another, and judges a name by a text that it does not stand for. So where an answer is
not the one that is due, or can not be told apart, no name counts any more, until an answer comes that is unmistakable: the error
at a name that only we know.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

from hoopx.errors import ProtocolViolation

FLIGHT_LIMIT: Final = 50_000
"""Messages sent ahead of their answers: psycopg's pipelines stay far below; each costs some 150 bytes here."""
NAMES_LIMIT: Final = 10_000
"""Prepared statements and portals that are remembered. One that is forgotten is not understood, and judged so."""
TEXT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of their texts, and as many again of those under way."""
SAME_LIMIT: Final = 16
"""Messages under way that make the same name, behind a Sync. More of them are not compared."""

TURNS: Final = frozenset((b"Q", b"F", b"S"))
"""Messages that ReadyForQuery answers."""
COPY_ENDS: Final = b"c"
"""CopyDone, and CopyFail too."""
MAKING: Final = frozenset((b"P", b"B"))
"""Messages that make a name."""
RUNNING: Final = frozenset((b"Q", b"E"))
"""Messages that may run a COPY."""


class Sent(NamedTuple):
    """
    One message.

    @ivar kind: its type byte.
    @ivar name: of the statement (Parse) or portal (Bind) that it makes.
    @ivar text: what the name stands for then; C{None} when that is not known.
    @ivar mark: the name that only we know, where it stands in a refused one's place; else C{""}.
    @ivar serial: its number.
    """

    kind: bytes
    name: bytes
    text: str | None
    mark: str
    serial: int


class Flight:
    """
    @ivar skipping: the server passes over everything until the next Sync, which was not sent yet.
    @ivar blind: answers can not be told apart: no name counts.
    """

    def __init__(self) -> None:
        self.skipping = False
        self.blind = False
        self._queue: deque[Sent] = deque()
        self._making: dict[tuple[bytes, bytes], deque[Sent]] = {}  # those that make a name, by it
        self._serial = self._turn = self._forgotten = 0
        self._dropped: dict[tuple[bytes, bytes], int] = {}
        self._weight = 0
        self._taking = False  # COPY data, for the head
        self._passed = 0  # Syncs that the head's COPY has passed over
        self._names: OrderedDict[tuple[bytes, bytes], str | None] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        return len(self._queue)

    # What is sent.

    def sent(self, kind: bytes, name: bytes = b"", text: str | None = None, mark: str = "") -> None:
        """@raise ProtocolViolation: too much is under way."""
        if self.skipping:
            if kind != b"S":
                return
            self.skipping = False
        if len(self._queue) >= FLIGHT_LIMIT:
            raise ProtocolViolation(f"more than {FLIGHT_LIMIT} messages without an answer can not be judged")
        size = len(text or "")
        if self._weight + size > TEXT_LIMIT:
            text, size = None, 0
        self._weight += size
        self._serial += 1
        entry = Sent(kind, name, text, mark, self._serial)
        self._queue.append(entry)
        if kind in TURNS:
            self._turn = self._serial
        elif kind in MAKING:
            self._making.setdefault((kind, name), deque()).append(entry)
        if self._taking:
            self._take()

    def resolve(self, kind: bytes, name: bytes) -> str | None:
        """
        @param kind: C{b"P"} for a statement's name, C{b"B"} for a portal's.
        @return: the one text that the name can stand for, or C{None}.
        """
        if self.blind:
            return None
        key = (kind, name)
        making = self._making.get(key, ())
        if making and making[-1].serial > self._turn:
            # Whatever keeps the server from it keeps it from what is sent now.
            return self._known(key, making[-1])
        if len(making) > SAME_LIMIT:
            return None
        texts = {self._known(key, entry) for entry in making}
        texts.add(self._names.get(key))
        return texts.pop() if len(texts) == 1 else None

    def _known(self, key: tuple[bytes, bytes], entry: Sent) -> str | None:
        return entry.text if entry.serial > max(self._forgotten, self._dropped.get(key, 0)) else None

    def drop(self, kind: bytes, name: bytes) -> None:
        """The name is to be closed: whether or not it will be, it is better not understood than misunderstood."""
        self._forget((kind, name))
        if self._queue:
            self._dropped[kind, name] = self._serial
            if len(self._dropped) > NAMES_LIMIT:
                self.forget()

    def forget(self) -> None:
        """All names, also those that are being made: SQL may give them another meaning."""
        self._names.clear()
        self._dropped.clear()
        self._held = 0
        self._forgotten = self._serial

    # What is answered.

    def done(self, kinds: bytes) -> None:
        """One of these messages is done: ParseComplete, BindComplete, CloseComplete, RowDescription, NoData, CommandComplete, ..."""
        head = self._head()
        if head is None or head.kind not in kinds or head.mark:
            self._lose()
            return
        key = (head.kind, head.name)
        if head.kind in MAKING:
            self._learn(key, self._known(key, head))
        self._pop()

    def described(self) -> None:
        """RowDescription: of a Describe, or of a simple query's result."""
        head = self._head()
        if head is None or head.kind != b"Q":
            self.done(b"D")

    def completed(self) -> None:
        """CommandComplete, EmptyQueryResponse, PortalSuspended: an Execute is done, a simple query goes on."""
        head = self._head()
        if head is None or head.kind != b"Q":
            if self._taking:  # without the end of its data
                self._lose()
            self.done(b"E")

    def copying(self) -> None:
        """CopyInResponse."""
        head = self._head()
        if head is None or head.kind not in RUNNING:
            self._lose()
            return
        self._taking = True
        self._take()

    def failed(self) -> None:
        """An error that is nobody's but the head's."""
        head = self._head()
        if head is None or self._passed:
            # Whether a Sync stood before the error or behind it nobody can say.
            self._lose()
        self._taking = False
        if head is not None and head.kind not in TURNS:
            self._pop()
            self._passOver()

    def refused(self, mark: str) -> None:
        """The error at a name that only we know: whatever was before, this is where the server is."""
        if not any(entry.mark == mark for entry in self._queue):
            self._lose()
            return
        while self._queue[0].mark != mark:
            self._pop()
        self._taking = self.blind = False
        if self._queue[0].kind not in TURNS:
            self._pop()
            self._passOver()

    def ready(self) -> None:
        """ReadyForQuery."""
        head = self._head()
        if head is None or head.kind not in TURNS or self._taking:
            self._lose()
        self._taking = self.skipping = False
        while self._queue and self._pop().kind not in TURNS:
            pass

    def _head(self) -> Sent | None:
        """What is being answered. The end of a COPY that nobody runs is passed over."""
        while self._queue and self._queue[0].kind == COPY_ENDS:
            self._pop()
        return self._queue[0] if self._queue else None

    def _pop(self) -> Sent:
        entry = self._queue.popleft()
        self._weight -= len(entry.text or "")
        self._passed = 0
        if entry.kind in MAKING:
            making = self._making[entry.kind, entry.name]
            making.popleft()
            if not making:
                del self._making[entry.kind, entry.name]
        if not self._queue:
            self._dropped.clear()
        return entry

    def _take(self) -> None:
        """A COPY takes its data from what follows, and passes over Sync."""
        while self._taking and len(self._queue) > 1:
            kind = self._queue[1].kind
            if kind == COPY_ENDS:
                self._taking = False
            elif kind == b"S":
                self._passed += 1
            else:
                # The server ends the connection, or, as older ones do, takes it for the end of the data.
                self._lose()
                return
            del self._queue[1]

    def _passOver(self) -> None:
        while self._queue and self._queue[0].kind != b"S":
            self._pop()
        self.skipping = not self._queue

    def _lose(self) -> None:
        self.blind = True
        self._names.clear()
        self._held = 0

    def _learn(self, key: tuple[bytes, bytes], text: str | None) -> None:
        self._forget(key)
        if self.blind or text is None:
            return
        self._names[key] = text
        self._held += len(text)
        while len(self._names) > NAMES_LIMIT or self._held > TEXT_LIMIT:
            self._held -= len(self._names.popitem(last=False)[1] or "")

    def _forget(self, key: tuple[bytes, bytes]) -> None:
        self._held -= len(self._names.pop(key, None) or "")
