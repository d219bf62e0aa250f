# -*- test-case-name: tests.protocols.postgres.test_view -*-
"""
The client's half of a dialogue: messages become commands, and are queued for their answers (PostgreSQL documentation, "Message
Flow").
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Final, Mapping

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres import reading
from hoopx.protocols.postgres.encodings import decoded
from hoopx.protocols.postgres.shelf import (
    ALLOWED,
    COPY,
    Asked,
    Copied,
    Portal,
    Rows,
    Shape,
    Shelf,
    Statement,
    decodedAll,
)
from hoopx.values import Command, FileTransfer, Notice, Result

PENDING: Final = 50_000
"""Messages of a pipeline without an answer. Beyond them answers are no longer followed until both sides are in step again."""
PENDING_BYTES: Final = 64 * 1024 * 1024
"""Bytes of their texts and parameters: a client can send them faster than a server answers, but not by so much."""

SKIPPED: Final[Mapping[str, str]] = {
    "severity": "SKIPPED",
    "code": "",
    "message": "skipped: an earlier command of its pipeline failed",
}

ENDS_WITH_READY: Final = frozenset((b"Q", b"F", b"S"))
"""Messages that ReadyForQuery answers."""


class Asking:
    """
    What the client has asked for.

    @param emit: callable(item) with each L{Command}, L{Result}, L{FileTransfer} or L{Notice}.
    @ivar at: seconds; C{sequence} and C{first}: numbers of the frame that is being read and of the one in which the present
        message begins; C{channel}. All set by the owner.
    @ivar judgement: of the present client message; set by the owner.
    @ivar codec: Python's name of C{client_encoding}.
    """

    def __init__(self, emit: Callable[[Any], None]) -> None:
        self._out = emit
        self.at = 0.0
        self.sequence = 0
        self.first = 0
        self.channel = 0
        self.judgement = ALLOWED
        self.codec = "utf-8"
        self._queue: deque[Asked] = deque()
        self._statements = Shelf()
        self._portals = Shelf()
        self._copy: Copied | None = None
        self._undecided: tuple[Asked, str, str, tuple, dict] | None = None
        self._skipping = False
        self._numbers = 0
        self._owed = 0
        self._weight = 0
        self._lost = False

    def client(self, kind: bytes, raw: bytes) -> None:
        """
        Take one message of the client.

        @raise ProtocolViolation: it is not what its type promises.
        """
        handler = _CLIENT.get(kind)
        if handler is None:
            raise ProtocolViolation(f"message {kind!r} of a client")
        self._decide()
        if kind not in _COPY_GOES_ON:
            self._copy = None
        handler(self, raw)
        if self._queue and self._queue[0].taking:
            self._take(self._queue[0])

    def decided(self, guard: str | None, reason: str | None) -> None:
        """The verdict on the last message, which was not forwarded."""
        if self.judgement.verdict == "block":
            self.judgement.guard = guard
            self.judgement.reason = reason
            self._decide()

    # Queue and commands.

    def _asked(self, kind: bytes, **what: Any) -> Asked:
        return Asked(kind, self.at, self.first, self.judgement, **what)

    def _ask(self, asked: Asked) -> Asked:
        """Queue it, unless the server will not see it, or answers are not followed."""
        if self._skipping:
            return asked
        if asked.kind in ENDS_WITH_READY:
            self._owed += 1
        if self._lost:
            return asked
        self._queue.append(asked)
        self._weight += asked.weight
        if len(self._queue) > PENDING or self._weight > PENDING_BYTES:
            self._queue.clear()
            self._weight = 0
            self._lost = True
            self._notice("undecodable", reason="too much was asked without an answer: results are not followed")
        return asked

    def _pop(self) -> Asked:
        asked = self._queue.popleft()
        self._weight -= asked.weight
        return asked

    def _announce(self, asked: Asked, kind: str, text: str, parameters: tuple[str | None, ...] = (), **fields: Any) -> None:
        self._decide()
        self._numbers += 1
        asked.number = self._numbers
        self._undecided = asked, kind, text, parameters, fields
        if asked.judgement.verdict == "allow" or asked.judgement.reason is not None:
            self._decide()
        # else: which guard it was is told next
        if self._skipping:
            self._result(asked, error=SKIPPED)

    def _decide(self) -> None:
        if self._undecided is None:
            return
        (asked, kind, text, parameters, fields), self._undecided = self._undecided, None
        judgement = asked.judgement
        said = {"number": asked.number, **fields, **judgement.fields()}
        self._out(
            Command(asked.at, self.channel, kind, text, parameters, judgement.verdict, judgement.guard, asked.sequence, said)
        )

    def _emit(self, item: FileTransfer | Notice | Result) -> None:
        self._decide()
        self._out(item)

    def _notice(self, event: str, **fields: Any) -> None:
        self._emit(Notice(self.at, self.channel, event, fields, self.sequence))

    def _result(self, asked: Asked, tag: str | None = None, error: Mapping[str, str] | None = None, **fields: Any) -> None:
        """Tell what has come back for one command, and be ready for its next result."""
        for copied, operation, path in ((asked.copyIn, "copy in", "STDIN"), (asked.copyOut, "copy out", "STDOUT")):
            if copied is not None:
                size, digest = copied.size, copied.sha256
                self._emit(FileTransfer(self.at, self.channel, operation, path, size, digest, copied.sequence))
        asked.copyIn = asked.copyOut = None
        asked.taking = False
        asked.answers += 1
        rows, asked.rows = asked.rows or Rows(self._shape(asked), _affected(tag)), None
        described = rows.shape.columns
        self._emit(
            Result(
                self.at,
                self.channel,
                None if described is None else [column.name for column in described],
                rows.count,
                tag,
                error,
                max(0.0, self.at - asked.at),
                rows.sample,
                self.first,
                {"number": asked.number, **fields},
            )
        )

    def _shape(self, asked: Asked) -> Shape:
        """How its rows look, also when the statement was described after the Bind was sent."""
        shape, statement = asked.shape or Shape(), asked.statement
        if shape.columns is None and statement is not None and statement.columns is not None:
            return Shape(statement.columns, shape.formats)
        return shape

    # Messages.

    def _query(self, raw: bytes) -> None:
        self._statements.drop(b"")
        self._announce(self._ask(self._asked(b"Q")), "sql", decoded(reading.string(raw)[0], self.codec), **_clip(raw))

    def _parse(self, raw: bytes) -> None:
        name, text, types = reading.parse(raw)
        statement = Statement(name, decoded(text, self.codec), types, judgement=self.judgement)
        statement.before = self._statements.get(name)
        if statement.before is not None:
            statement.before.before = None
        self._statements.put(name, statement, len(text))
        self._ask(self._asked(b"P", statement=statement, weight=len(text)))

    def _bind(self, raw: bytes) -> None:
        bound = reading.bind(raw)
        statement = self._statements.get(bound.statement) or Statement(bound.statement, "", [])
        replaced = self._portals.get(bound.portal)
        if replaced is not None and replaced.executions:
            # They have been told, and a long pipeline need not keep them.
            replaced.values = ()
        shape = Shape(statement.columns, bound.results)
        judgement = statement.judgement if self.judgement is ALLOWED else self.judgement
        portal = Portal(statement, bound.formats, bound.values, shape, judgement, clipped=reading.clipped(raw))
        self._portals.put(bound.portal, portal, len(raw))
        self._ask(self._asked(b"B", statement=statement, portal=portal, weight=len(raw)))

    def _describe(self, raw: bytes) -> None:
        kind, name = reading.named(raw)
        if kind == b"P":
            portal = self._portals.get(name)
            self._ask(self._asked(b"D", statement=portal and portal.statement, portal=portal))
        else:
            self._ask(self._asked(b"D", statement=self._statements.get(name)))

    def _execute(self, raw: bytes) -> None:
        portal = self._portals.get(reading.string(raw)[0]) or Portal(Statement(b"", "", []), (), (), Shape())
        statement = portal.statement
        asked = self._ask(self._asked(b"E", statement=statement, shape=portal.shape))
        if asked.judgement is ALLOWED:
            asked.judgement = portal.judgement
        fields: dict[str, Any] = {}
        if statement.name:
            fields["statement"] = decoded(statement.name, self.codec)
        if portal.executions:
            fields["resumed"] = True
        if portal.clipped:
            fields["clipped"] = True
        portal.executions += 1
        self._announce(asked, "sql", statement.text, portal.parameters(self.codec), **fields)

    def _close(self, raw: bytes) -> None:
        kind, name = reading.named(raw)
        (self._statements if kind == b"S" else self._portals).drop(name)
        self._ask(self._asked(b"C"))

    def _sync(self, raw: bytes) -> None:
        self._skipping = False
        self._ask(self._asked(b"S"))

    def _function(self, raw: bytes) -> None:
        oid, formats, values = reading.function(raw)
        asked = self._ask(self._asked(b"F"))
        self._announce(asked, "function", f"function {oid}", decodedAll(values, formats, (), self.codec), **_clip(raw))

    def _copyData(self, raw: bytes) -> None:
        if self._copy is None:
            self._copy = Copied(self.first)
            self._ask(self._asked(COPY, copyIn=self._copy))
        self._copy.add(raw[5:], reading.size(raw))

    def _copyEnds(self, raw: bytes) -> None:
        if self._copy is None:
            self._copy = Copied(self.first)
            self._ask(self._asked(COPY, copyIn=self._copy))
        self._copy.ended = True
        self._copy = None

    def _nothing(self, raw: bytes) -> None:
        """Flush and Terminate ask for no answer of their own; passwords belong to the login."""

    def _take(self, asked: Asked) -> None:
        """A COPY takes its data from what follows; the server passes over Sync and Flush meanwhile."""
        while asked.taking:
            if asked.copyIn is not None and asked.copyIn.ended:
                asked.taking = False
                return
            if len(self._queue) < 2:
                return
            following = self._queue[1]
            if following.kind == COPY:
                asked.copyIn = following.copyIn
            elif following.kind == b"S":
                self._owed -= 1
            else:
                return
            del self._queue[1]


def _clip(raw: bytes) -> dict[str, Any]:
    return {"clipped": reading.size(raw)} if reading.clipped(raw) else {}


def _affected(tag: str | None) -> int:
    """Rows that a CommandComplete speaks of, where none were seen."""
    last = (tag or "").rpartition(" ")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 20 else 0


_COPY_GOES_ON: Final = frozenset((b"d", b"c", b"f", b"S", b"H"))

_CLIENT: Final[Mapping[bytes, Callable[[Any, bytes], None]]] = {
    b"Q": Asking._query,
    b"P": Asking._parse,
    b"B": Asking._bind,
    b"D": Asking._describe,
    b"E": Asking._execute,
    b"C": Asking._close,
    b"S": Asking._sync,
    b"F": Asking._function,
    b"d": Asking._copyData,
    b"c": Asking._copyEnds,
    b"f": Asking._copyEnds,
    b"H": Asking._nothing,
    b"X": Asking._nothing,
    b"p": Asking._nothing,
}
