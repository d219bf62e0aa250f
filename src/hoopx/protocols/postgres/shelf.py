# -*- test-case-name: tests.protocols.postgres.test_view -*-
"""
What a reader of a session remembers between messages: statements, portals, results that are arriving. All of it is bounded.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Final

from attrs import define, field

from hoopx.protocols.postgres.encodings import decoded
from hoopx.protocols.postgres.reading import Column
from hoopx.protocols.postgres.types import value

SAMPLE_ROWS: Final = 20
"""First rows of a result that are kept to be shown: a screenful."""
SAMPLE_BYTES: Final = 32 * 1024
"""Bytes of values among them: wide rows must not make a recording's reader large."""
VALUE_LIMIT: Final = 2 * 1024
"""Bytes of one value that are shown."""
SHELF_ITEMS: Final = 10_000
"""Named statements or portals that are remembered; the oldest go first, and their Executes show no text."""
SHELF_BYTES: Final = 64 * 1024 * 1024
"""Bytes of their texts or parameters."""


class Shelf:
    """
    The newest things by name.

    @param items: how many at most.
    @param room: sum of their weights at most.
    """

    def __init__(self, items: int = SHELF_ITEMS, room: int = SHELF_BYTES) -> None:
        self._items = items
        self._room = room
        self._weight = 0
        self._things: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, name: bytes) -> Any:
        """@return: the thing, or C{None}."""
        return self._things.get(name, (None, 0))[0]

    def put(self, name: bytes, thing: Any, weight: int) -> None:
        self.drop(name)
        self._things[name] = thing, weight
        self._weight += weight
        while len(self._things) > 1 and (len(self._things) > self._items or self._weight > self._room):
            self.drop(next(iter(self._things)))

    def drop(self, name: bytes) -> None:
        self._weight -= self._things.pop(name, (None, 0))[1]


@define(eq=False)
class Shape:
    """
    How the rows of a result look, as far as it is known.

    @ivar formats: the result formats of the Bind, or C{None} for those of the description.
    """

    columns: list[Column] | None = None
    formats: tuple[int, ...] | None = None

    def of(self, number: int) -> tuple[int, int]:
        """@return: (type, format) of one column."""
        column = self.columns[number] if self.columns is not None and number < len(self.columns) else None
        if self.formats is None:
            format = column.format if column else 0
        elif len(self.formats) == 1:
            format = self.formats[0]
        else:
            format = self.formats[number] if number < len(self.formats) else 0
        return column.oid if column else 0, format


@define(eq=False)
class Judgement:
    """What became of a message: C{verdict} C{"allow"} or C{"block"}, by which guard and why; C{held} when a person was asked."""

    verdict: str = "allow"
    guard: str | None = None
    reason: str | None = None
    held: bool = False

    def fields(self) -> dict[str, Any]:
        return {**({"reason": self.reason} if self.reason else {}), **({"held": True} if self.held else {})}


ALLOWED: Final = Judgement()
"""Of nearly everything."""


@define(eq=False)
class Statement:
    """A parsed statement. C{before}: what bore its name until then, which comes back when this one fails."""

    name: bytes
    text: str
    types: list[int]
    columns: list[Column] | None = None
    before: Statement | None = None
    judgement: Judgement = ALLOWED


@define(eq=False)
class Portal:
    """A bound statement. C{executions} of it so far."""

    statement: Statement
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    shape: Shape
    judgement: Judgement = ALLOWED
    executions: int = 0
    clipped: bool = False

    def parameters(self, codec: str) -> tuple[str | None, ...]:
        return decodedAll(self.values, self.formats, self.statement.types, codec)


def decodedAll(
    values: tuple[bytes | None, ...], formats: tuple[int, ...], types: list[int] | tuple[int, ...], codec: str
) -> tuple[str | None, ...]:
    """
    Parameters as text.

    @param formats: as Bind has them: none = all text, one = the same for all.
    """
    found = []
    for number, data in enumerate(values):
        format = formats[number] if number < len(formats) else formats[0] if len(formats) == 1 else 0
        found.append(value(types[number] if number < len(types) else 0, format, data, codec))
    return tuple(found)


@define(eq=False)
class Copied:
    """Bytes of one COPY in one direction, counted and hashed, not kept."""

    sequence: int
    size: int = 0
    hash: Any = field(factory=hashlib.sha256)
    ended: bool = False

    def add(self, data: bytes, size: int) -> None:
        self.size += size
        if self.hash is not None and len(data) == size:
            self.hash.update(data)
        else:
            self.hash = None

    @property
    def sha256(self) -> str | None:
        return None if self.hash is None else str(self.hash.hexdigest())


@define(eq=False)
class Rows:
    """Rows of one result: all counted, the first ones kept as text."""

    shape: Shape
    count: int = 0
    sample: list[list[str | None]] = field(factory=list)
    room: int = SAMPLE_BYTES

    @property
    def wanted(self) -> bool:
        return len(self.sample) < SAMPLE_ROWS and self.room > 0

    def keep(self, values: tuple[bytes | None, ...], codec: str) -> None:
        row = []
        for number, data in enumerate(values):
            oid, format = self.shape.of(number)
            text: str | None
            if data is not None and len(data) > VALUE_LIMIT:
                part = data[:VALUE_LIMIT]
                text = (decoded(part, codec) if format == 0 else "\\x" + part.hex()) + f"… ({len(data)} bytes)"
            else:
                text = value(oid, format, data, codec)
            self.room -= len(text) if text is not None else 4
            row.append(text)
            if self.room <= 0:
                break
        self.sample.append(row)


COPY: Final = b"copy"
"""Kind of an L{Asked} that stands for a run of CopyData."""


@define(eq=False)
class Asked:
    """
    One message of the client that has no full answer yet.

    @ivar number: of the L{hoopx.values.Command} that told of it; C{0} for none.
    @ivar answers: results told so far.
    @ivar taking: a COPY takes what follows as its data.
    @ivar weight: bytes of texts and parameters that it keeps.
    """

    kind: bytes
    at: float
    sequence: int
    judgement: Judgement = ALLOWED
    number: int = 0
    statement: Statement | None = None
    portal: Portal | None = None
    shape: Shape | None = None
    rows: Rows | None = None
    answers: int = 0
    taking: bool = False
    weight: int = 0
    copyIn: Copied | None = None
    copyOut: Copied | None = None

    @property
    def open(self) -> bool:
        """C{True} while a result is arriving, or none has been told of."""
        return not self.answers or self.rows is not None or self.copyIn is not None or self.copyOut is not None
