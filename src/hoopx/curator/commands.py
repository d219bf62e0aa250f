# -*- test-case-name: tests.curator.test_commands -*-
"""
What gateway and curator say to each other: AMP over the curator's standard streams.

A value of AMP holds at most 65,535 bytes: what may be longer travels in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from twisted.internet.error import ConnectionDone
from twisted.protocols.amp import AMP, BinaryBoxProtocol, Boolean, Command, Float, Integer, String, Unicode
from twisted.python.failure import Failure

from hoopx.errors import HoopxError

GONE: Final = Failure(ConnectionDone())
PIECE: Final = 60_000
"""Bytes of a piece: below AMP's limit, with room for whatever it adds."""
LARGEST: Final = 16 << 20
"""Bytes that all pieces of one message may have: a configuration with thousands of targets has one."""
SAID: Final = 1000
"""Characters of an error or an alarm."""


class CuratorFailed(HoopxError):
    """The curator can not do what it was asked for. The text is for the operator."""


class Configure(Command):
    """The settings and the secrets that they refer to, as JSON (L{hoopx.curator.settings}), piece by piece. The first of all."""

    arguments = [(b"piece", String()), (b"last", Boolean())]
    response: ClassVar[list] = []
    errors = {CuratorFailed: b"FAILED"}


class Recover(Command):
    """
    Put right what a crash left (C{fresh}: the gateway has only just started, no session lives), then look for all that is sealed.
    The answer is a JSON list of C{[session, path, outcome, cut, detail]}; where C{more} is true, ask again for the next ones.
    """

    arguments = [(b"fresh", Boolean())]
    response = [(b"found", String()), (b"more", Boolean())]
    errors = {CuratorFailed: b"FAILED"}


class Opened(Command):
    """HEAD is on the disk. Answered when the OPEN leaf is: C{index} is the leaf's."""

    arguments = [(b"session", Unicode()), (b"path", Unicode()), (b"key", Unicode()), (b"head", Unicode())]
    response = [(b"index", Integer())]
    errors = {CuratorFailed: b"FAILED"}


class Sealed(Command):
    """A segment is sealed, and on the disk. A hint: one that is lost is found by looking."""

    arguments = [(b"session", Unicode()), (b"path", Unicode()), (b"segment", Integer()), (b"digest", Unicode())]
    response: ClassVar[list] = []


class Ended(Command):
    """A recording is closed. A hint, like L{Sealed}."""

    arguments = [(b"session", Unicode()), (b"path", Unicode()), (b"segment", Integer()), (b"digest", Unicode())]
    response: ClassVar[list] = []


class Survey(Command):
    """Hints were lost: look for all that is sealed."""

    response: ClassVar[list] = []


class Audit(Command):
    """An audit record's hash for the ledger, and the number of its row. Answered when its leaf is durable."""

    arguments = [(b"audit", Unicode()), (b"row", Integer())]
    response = [(b"index", Integer())]
    errors = {CuratorFailed: b"FAILED"}


class Hold(Command):
    """
    A hold is set (C{on}), or lifted, as this row of the audit says: of a session, or (C{session} is empty) by a filter, as JSON. Answered
    when that is durable.
    """

    arguments = [
        (b"session", Unicode()), (b"on", Boolean()), (b"audit", Unicode()), (b"row", Integer()), (b"hold", Integer()),
        (b"filter", Unicode()),
    ]  # fmt: skip
    response = [(b"index", Integer())]
    errors = {CuratorFailed: b"FAILED"}


class Holds(Command):
    """All holds that hold now, as a JSON list of C{{"id", "session", "filter"}}, piece by piece: what the store is to lock."""

    arguments = [(b"piece", String()), (b"last", Boolean())]
    response: ClassVar[list] = []
    errors = {CuratorFailed: b"FAILED"}


class Expired(Command):
    """The next sessions, by name, whose time is over: a JSON list (L{hoopx.retention.erasing.Eraser.expired})."""

    arguments = [(b"after", Unicode())]
    response = [(b"found", String())]
    errors = {CuratorFailed: b"FAILED"}


class Erase(Command):
    """Erase a session whose time is over, as this row of the audit says. Answered when its leaf is durable."""

    arguments = [(b"session", Unicode()), (b"audit", Unicode())]
    response = [(b"index", Integer())]
    errors = {CuratorFailed: b"FAILED"}


class ConfirmClock(Command):
    """A person says that the wall clock is right. Answered with JSON (L{hoopx.retention.clock.ClockGuard.confirm})."""

    response = [(b"said", String())]
    errors = {CuratorFailed: b"FAILED"}


class Reload(Command):
    """New settings, like L{Configure}: of them the retention rules and the targets' labels come into force."""

    arguments = [(b"piece", String()), (b"last", Boolean())]
    response: ClassVar[list] = []
    errors = {CuratorFailed: b"FAILED"}


class Status(Command):
    """How the curator is: a JSON object (L{hoopx.curator.workshop.Workshop.status})."""

    response = [(b"status", String())]
    errors = {CuratorFailed: b"FAILED"}


class Stop(Command):
    """Finish what is sealed, for C{seconds} at most; nothing new is begun. Then the input ends."""

    arguments = [(b"seconds", Float())]
    response: ClassVar[list] = []
    errors = {CuratorFailed: b"FAILED"}


class Alarm(Command):
    """From the curator: something that a person should look at."""

    arguments = [(b"alarm", Unicode()), (b"text", Unicode())]
    response: ClassVar[list] = []


class Progress(Command):
    """From the curator: so many of so many recordings are recovered."""

    arguments = [(b"done", Integer()), (b"count", Integer())]
    response: ClassVar[list] = []


class Renew(Command):
    """From the curator: the store has refused the credentials. Answered when those that there are now have come with L{Reload}."""

    response: ClassVar[list] = []
    errors = {CuratorFailed: b"FAILED"}


def pieces(message: bytes) -> Iterator[tuple[bytes, bool]]:
    """@return: iterator of C{(piece, whether it is the last)}."""
    for at in range(0, len(message) or 1, PIECE):
        yield message[at : at + PIECE], at + PIECE >= len(message)


class Peer(AMP):
    """AMP that does not log that it is connected: the addresses of pipes tell nobody anything."""

    def makeConnection(self, transport: Any) -> None:
        BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = GONE) -> None:
        BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None
