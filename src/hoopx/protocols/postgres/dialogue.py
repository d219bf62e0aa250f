# -*- test-case-name: tests.protocols.postgres.test_view -*-
"""
Which answer belongs to which command: the order of PostgreSQL's two streams (PostgreSQL documentation, "Message Flow").

What the server answers is for the head of the queue. After an error in the extended protocol it passes over everything until
Sync; ReadyForQuery puts both sides in step again.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Final, Mapping

from attrs import evolve

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres import reading
from hoopx.protocols.postgres.asking import ENDS_WITH_READY, SKIPPED, Asking
from hoopx.protocols.postgres.encodings import codecOf, decoded
from hoopx.protocols.postgres.shelf import COPY, Asked, Copied, Rows, Shape
from hoopx.protocols.postgres.types import value

UNANSWERED: Final[Mapping[str, str]] = {"severity": "UNKNOWN", "code": "", "message": "no answer in the recording"}


class Dialogue(Asking):
    """One connection's commands and their answers."""

    def __init__(self, emit: Callable[[Any], None]) -> None:
        super().__init__(emit)
        self._live = False

    def target(self, kind: bytes, raw: bytes) -> None:
        """
        Take one message of the server.

        @raise ProtocolViolation: it is not what its type promises.
        """
        handler = _TARGET.get(kind)
        if handler is None:
            raise ProtocolViolation(f"message {kind!r} of a server")
        if not self._lost or kind in _OUT_OF_BAND:
            handler(self, raw)

    def finish(self) -> None:
        """The recording ends here: commands that were never answered say so."""
        self._decide()
        queue, self._queue = self._queue, deque()
        for asked in queue:
            if asked.number and asked.open:
                self._result(asked, error=UNANSWERED)

    def _head(self) -> Asked | None:
        """What the server is answering. CopyData that no COPY waits for is passed over by the server."""
        queue = self._queue
        while queue and queue[0].kind == COPY:
            self._pop()
        return queue[0] if queue else None

    def _running(self) -> Asked | None:
        """The command whose result is arriving."""
        head = self._head()
        return head if head is not None and head.kind in _RUNNING else None

    # Steps of the extended protocol.

    def _done(self, kind: bytes) -> Asked | None:
        head = self._head()
        return self._pop() if head is not None and head.kind == kind else None

    def _parsed(self, raw: bytes) -> None:
        asked = self._done(b"P")
        if asked is not None and asked.statement is not None:
            asked.statement.before = None

    def _bound(self, raw: bytes) -> None:
        self._done(b"B")

    def _closed(self, raw: bytes) -> None:
        self._done(b"C")

    def _parameters(self, raw: bytes) -> None:
        head = self._head()
        if head is not None and head.kind == b"D" and head.statement is not None:
            head.statement.types = reading.parameterDescription(raw)

    def _noData(self, raw: bytes) -> None:
        self._done(b"D")

    # Results.

    def _described(self, raw: bytes) -> None:
        head = self._head()
        if head is None:
            return
        columns = reading.rowDescription(raw, self.codec)
        if head.kind == b"D":
            self._pop()
            if head.portal is not None:
                head.portal.shape.columns = columns
                head.portal.shape.formats = None
            elif head.statement is not None:
                head.statement.columns = columns
        elif head.kind in _RUNNING:
            head.rows = Rows(Shape(columns))

    def _row(self, raw: bytes) -> None:
        head = self._running()
        if head is None:
            return
        rows = head.rows
        if rows is None:
            rows = head.rows = Rows(self._shape(head))
        rows.count += 1
        if rows.wanted:
            rows.keep(reading.dataRow(raw), self.codec)

    def _complete(self, raw: bytes) -> None:
        self._completed(decoded(reading.string(raw)[0], self.codec))

    def _empty(self, raw: bytes) -> None:
        self._completed(None)

    def _suspended(self, raw: bytes) -> None:
        self._completed(None, suspended=True)

    def _completed(self, tag: str | None, **fields: Any) -> None:
        head = self._running()
        if head is not None:
            self._result(head, tag=tag, **fields)
            if head.kind == b"E":
                self._pop()

    def _value(self, raw: bytes) -> None:
        head = self._running()
        if head is not None:
            head.rows = Rows(Shape(), 1)
            head.rows.sample.append([value(0, 0, reading.value(raw), self.codec)])

    # COPY.

    def _copyIn(self, raw: bytes) -> None:
        head = self._running()
        if head is not None:
            head.taking = True
            self._take(head)

    def _copyOut(self, raw: bytes) -> None:
        head = self._running()
        if head is not None:
            head.copyOut = Copied(self.first)

    def _copyBoth(self, raw: bytes) -> None:
        self._copyOut(raw)
        self._copyIn(raw)

    def _copiedOut(self, raw: bytes) -> None:
        head = self._running()
        if head is not None and head.copyOut is not None:
            head.copyOut.add(raw[5:], reading.size(raw))

    # Errors and the end of a turn.

    def _failed(self, raw: bytes) -> None:
        error = reading.fields(raw, self.codec)
        head = self._head()
        if head is None or self._lost:
            self._notice("error", **error)
        elif head.kind in _SIMPLE:
            self._result(head, error=error)
        elif head.kind == b"S":
            # What Sync commits can still fail: a deferred constraint.
            self._result(evolve(head, number=self._numbers), error=error, step="commit")
        else:
            self._failedStep(head, error)
            self._pop()
            self._passOver()

    def _failedStep(self, head: Asked, error: Mapping[str, str]) -> None:
        """An error of the extended protocol belongs to the statement that it hit."""
        statement = head.statement
        if head.kind == b"E":
            self._result(head, error=error)
            return
        if statement is None or head.kind == b"C":
            self._notice("error", **error)
            return
        self._restore(head)
        for asked in self._queue:
            if asked.kind == b"S":
                break
            if asked.kind == b"E" and asked.statement is statement:
                self._result(asked, error=error)
                return
        if head.judgement.verdict == "allow":
            head.judgement = statement.judgement
        parameters = head.portal.parameters(self.codec) if head.portal is not None else ()
        self._announce(head, "sql", statement.text, parameters, step=_STEPS[head.kind])
        self._result(head, error=error)

    def _restore(self, asked: Asked) -> None:
        """A Parse that failed leaves the statement that bore its name."""
        statement = asked.statement
        if asked.kind == b"P" and statement is not None and self._statements.get(statement.name) is statement:
            self._statements.drop(statement.name)
            if statement.before is not None:
                self._statements.put(statement.name, statement.before, len(statement.before.text))

    def _passOver(self) -> None:
        """Everything until Sync is passed over by the server."""
        while self._queue and self._queue[0].kind != b"S":
            self._skip(self._pop(), SKIPPED)
        self._skipping = not self._queue

    def _skip(self, asked: Asked, error: Mapping[str, str]) -> None:
        self._restore(asked)
        if asked.number and not asked.answers:
            self._result(asked, error=error)
        if asked.kind in _SIMPLE:
            self._owed -= 1

    def _ready(self, raw: bytes) -> None:
        self._live = True
        self._owed = max(0, self._owed - 1)
        if self._lost:
            self._lost = self._owed > 0
            return
        while self._queue:
            asked = self._pop()
            if asked.kind in ENDS_WITH_READY:
                if asked.number and asked.open:
                    self._result(asked)
                break
            self._skip(asked, UNANSWERED)
        self._skipping = False

    # What is said besides.

    def _noticed(self, raw: bytes) -> None:
        self._notice("notice", **reading.fields(raw, self.codec))

    def _notified(self, raw: bytes) -> None:
        process, name, payload = reading.notification(raw)
        self._notice("notification", name=decoded(name, self.codec), payload=decoded(payload, self.codec), process=process)

    def _status(self, raw: bytes) -> None:
        name, position = reading.string(raw)
        setting = decoded(reading.string(raw, position)[0], self.codec)
        if name == b"client_encoding":
            self.codec = codecOf(setting)
        if self._live:
            # Before, it is what every server says to every client.
            self._notice("parameter", name=decoded(name, self.codec), value=setting)

    def _unheard(self, raw: bytes) -> None:
        """Said at the login, or meant for the driver alone."""


_SIMPLE: Final = frozenset((b"Q", b"F"))
_RUNNING: Final = frozenset((b"Q", b"F", b"E"))
_STEPS: Final = {b"P": "parse", b"B": "bind", b"D": "describe"}

_TARGET: Final[Mapping[bytes, Callable[[Dialogue, bytes], None]]] = {
    b"1": Dialogue._parsed,
    b"2": Dialogue._bound,
    b"3": Dialogue._closed,
    b"t": Dialogue._parameters,
    b"n": Dialogue._noData,
    b"T": Dialogue._described,
    b"D": Dialogue._row,
    b"C": Dialogue._complete,
    b"I": Dialogue._empty,
    b"s": Dialogue._suspended,
    b"V": Dialogue._value,
    b"G": Dialogue._copyIn,
    b"H": Dialogue._copyOut,
    b"W": Dialogue._copyBoth,
    b"d": Dialogue._copiedOut,
    b"c": Dialogue._unheard,
    b"E": Dialogue._failed,
    b"Z": Dialogue._ready,
    b"N": Dialogue._noticed,
    b"A": Dialogue._notified,
    b"S": Dialogue._status,
    b"R": Dialogue._unheard,
    b"K": Dialogue._unheard,
    b"v": Dialogue._unheard,
}
_OUT_OF_BAND: Final = frozenset((b"E", b"Z", b"N", b"A", b"S"))
