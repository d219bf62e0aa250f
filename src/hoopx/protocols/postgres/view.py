# -*- test-case-name: tests.protocols.postgres.test_view -*-
"""
Reading a recorded PostgreSQL session: statements, parameters, results, errors, COPY, notices.

The two streams are put together from the frames with the relay's own codec: what the client meant is client/passed and
client/attempted (client/made replaces a refused command, and only the server saw it); what it received is target/passed and
target/made.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Mapping

from zope.interface import implementer

from hoopx import telling
from hoopx.errors import ProtocolViolation
from hoopx.frames import DATA, EVENT
from hoopx.interfaces import ISessionView
from hoopx.protocols.postgres.codec import ALL, CLIENT_KINDS, TARGET_KINDS, MessageCodec
from hoopx.protocols.postgres.dialogue import Dialogue
from hoopx.protocols.postgres.encodings import codecOf
from hoopx.protocols.postgres.shelf import ALLOWED, Judgement
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Frame, Notice

MESSAGE: Final = 16 * 1024 * 1024
"""Bytes of one message that are looked at; what is longer is counted, not read."""

GARBAGE: Final = 100
"""Messages that can not be read of which a notice tells; a hostile recording must not make an endless list of them."""


class _Stream:
    """One direction's bytes: cut into messages, each with the number of the frame in which it begins."""

    __slots__ = ("_codec", "_first", "broken")

    def __init__(self, kinds: frozenset) -> None:
        self._codec = MessageCodec(ALL, kinds, MESSAGE, clip=True)
        self._first: int | None = None
        self.broken = False

    def feed(self, frame: Frame) -> tuple[list, str | None]:
        """@return: ([(kind, raw, first frame)], why the rest can not be read or C{None})"""
        problem = None
        try:
            units = self._codec.feed(frame.payload)
        except ProtocolViolation as violation:
            self.broken = True
            units, problem = list(violation.units), str(violation)
        found = []
        for kind, raw in units:
            if kind is not None:
                found.append((kind, raw, frame.sequence if self._first is None else self._first))
            self._first = None
        if not self._codec.buffered:
            self._first = None
        elif self._first is None:
            self._first = frame.sequence
        return found, problem


@implementer(ISessionView)
class PostgresView:
    """See L{ISessionView}."""

    def __init__(self) -> None:
        self._found: list[Any] = []
        self._dialogue = Dialogue(self._found.append)
        self._client = _Stream(CLIENT_KINDS)
        self._target = _Stream(TARGET_KINDS)
        self._garbage = 0
        self._held = False

    def feed(self, frame: Frame) -> list[Any]:
        self._dialogue.at = telling.seconds(frame)
        self._dialogue.sequence = self._dialogue.first = frame.sequence
        if frame.kind == DATA:
            if frame.payload:
                self._data(frame)
        else:
            notice = telling.notice(frame)
            if notice is not None:
                if frame.kind == EVENT:
                    self._event(notice)
                self._found.append(notice)
        return self._taken()

    def finish(self) -> list[Any]:
        self._dialogue.finish()
        return self._taken()

    def _taken(self) -> list[Any]:
        found = self._found[:]
        self._found.clear()
        return found

    def _data(self, frame: Frame) -> None:
        if frame.side == CLIENT and frame.origin in (PASSED, ATTEMPTED):
            self._messages(frame, self._client, self._dialogue.client)
        elif frame.side == TARGET and frame.origin in (PASSED, MADE):
            self._messages(frame, self._target, self._dialogue.target)

    def _messages(self, frame: Frame, stream: _Stream, take: Callable[[bytes, bytes], None]) -> None:
        if stream.broken:
            return
        units, problem = stream.feed(frame)
        dialogue = self._dialogue
        for kind, raw, dialogue.first in units:
            if frame.side == CLIENT:
                attempted = frame.origin == ATTEMPTED
                plain = not (attempted or self._held)
                dialogue.judgement = ALLOWED if plain else Judgement("block" if attempted else "allow", held=self._held)
                self._held = False
            try:
                take(kind, raw)
            except ProtocolViolation as violation:
                self._undecodable(frame, str(violation), message=kind.decode("latin-1"))
        if problem is not None:
            self._undecodable(frame, problem, side="client" if frame.side == CLIENT else "target")

    def _undecodable(self, frame: Frame, reason: str, **fields: Any) -> None:
        self._garbage += 1
        if self._garbage <= GARBAGE:
            self._found.append(telling.undecodable(frame, reason, **fields))

    def _event(self, notice: Notice) -> None:
        fields = notice.fields
        if notice.event == "startup":
            parameters = fields.get("parameters", fields)
            if isinstance(parameters, Mapping) and isinstance(parameters.get("client_encoding"), str):
                self._dialogue.codec = codecOf(parameters["client_encoding"])
        elif notice.event == "approval":
            self._held = self._held or fields.get("state") == "asked"
        elif notice.event == "verdict" and fields.get("verdict") == "block":
            self._dialogue.decided(_text(fields.get("guard")), _text(fields.get("reason")))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
